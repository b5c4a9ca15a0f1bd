"""Reproduction kit for *Segmentation Classification of Stroke Regions* on brain CT slices.

The package has wings, each with modules: base, phantom, data, evaluate, learn, results, figures, reading and course.
Importing this package alone loads neither TensorFlow nor matplotlib, so exploring the data stays quick.
"""

__version__ = "0.1.0"

"""Reproduction kit for *Segmentation Classification of Stroke Regions* on brain CT slices.

Each stage of the course is one module; import the module you need. Importing this package alone
loads neither TensorFlow nor matplotlib, so exploring the data stays quick.
"""

__version__ = "0.1.0"

"""Networks: what they are fed, how they are built, trained and asked.

It alone knows TensorFlow, Keras and segmentation-models, which ``backend`` prepares and exports.
``inputs`` makes batches from pictures, ``tfrecords`` from records; ``models`` builds, ``training`` trains, by a recipe
of ``recipes``, and ``predict`` asks networks, ``joint`` makes one of three, ``saliency`` shows where they look,
``trials`` what small trainings tell. ``pretrain`` teaches backbones on drawn heads before they see a cohort; ``starts``
reads and writes the files that carry what they learned.
"""

__all__ = [
    "backend",
    "inputs",
    "joint",
    "models",
    "predict",
    "pretrain",
    "recipes",
    "saliency",
    "starts",
    "tfrecords",
    "training",
    "trials",
]

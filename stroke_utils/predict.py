"""From a fitted model and slices to a table of predictions, or to class masks at the slices' own size."""

import os
from collections.abc import Callable

import numpy as np
import pandas as pd

from stroke_utils import files, inputs, masks, metrics, models  # models first: it prepares keras

# isort: split
import keras
import tensorflow as tf

BATCH = 32
"""Slices per batch of prediction; the value changes no result."""


def probabilities(
    model: keras.Model, paths: pd.Series, preprocess: models.Preprocess, size: int, batch: int = BATCH
) -> np.ndarray:
    """Return a classifier's probability of class 1 for every path, (n,), from one sigmoid or two softmax outputs."""
    batches = inputs.image_batches(paths, None, preprocess, size, batch)
    return model.predict(batches, verbose=0)[:, -1].astype(float)


def table(slices: pd.DataFrame, truth: str, probability: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """Return the predictions table of a classifier.

    Args:
        slices: rows with ``slice_id``, ``split`` and the column ``truth``.
        truth: name of the column with the true class 0/1.
        probability: (n,) of class 1.
        threshold: probabilities at or above it are called 1.

    Returns:
        Columns slice_id, split, truth, probability, called, outcome (``TP``, ``FP``, ``FN``, ``TN``).
    """
    out = slices[["slice_id", "split"]].assign(truth=slices[truth].astype(int), probability=probability)
    out["called"] = (out["probability"] >= threshold).astype(int)
    names = {(1, 1): "TP", (0, 1): "FP", (1, 0): "FN", (0, 0): "TN"}
    out["outcome"] = [names[pair] for pair in zip(out["truth"], out["called"], strict=True)]
    return out.reset_index(drop=True)


def class_mask(model: Callable, image: np.ndarray, size: int, preprocess: models.Preprocess) -> np.ndarray:
    """Segment one slice.

    Args:
        model: a U-Net in inference mode, or any function from pixels to class probabilities.
        image: uint8 (H, W, 3) at its own size.
        size: side the model takes.
        preprocess: as in training.

    Returns:
        uint8 (H, W) of 0 background, 1 ischemia, 2 hemorrhage: probabilities are resized to (H, W), then the most
        probable class is taken.
    """
    batch = tf.image.resize(tf.cast(image, tf.float32), (size, size), antialias=True)[None]
    batch = tf.round(batch)  # training saw whole grey levels
    soft = model(preprocess(batch))
    return tf.argmax(tf.image.resize(soft, image.shape[:2])[0], axis=-1).numpy().astype(np.uint8)


def segment(
    model: keras.Model,
    slices: pd.DataFrame,
    references: pd.Series,
    size: int,
    preprocess: models.Preprocess,
    folder: str | os.PathLike,
    quiet: bool = False,
) -> pd.DataFrame:
    """Segment slices, write each class mask as a palette PNG and score it at the slice's own size.

    Args:
        model: a U-Net.
        slices: rows with ``slice_id``, ``png``, ``label``, ``split``, and ``patient`` where known.
        references: paths of the true class masks, same index.
        size: side the model takes.
        preprocess: as in training.
        folder: gets ``<slice_id>.png``.
        quiet: show no progress.

    Returns:
        Columns slice_id, split, label, patient and those of :func:`stroke_utils.metrics.mask_scores`.
    """
    run = tf.function(lambda x: model(x, training=False))  # traced once, inference mode
    rows = []
    for row in files.progress(slices.itertuples(), "Segmenting slices", total=len(slices), quiet=quiet):
        predicted = class_mask(run, masks.read_rgb(row.png), size, preprocess)
        masks.write_class_mask(f"{folder}/{row.slice_id}.png", predicted)
        reference = masks.read_class_mask(references[row.Index])
        scores = metrics.mask_scores(reference, predicted)
        about = {"slice_id": row.slice_id, "split": row.split, "label": row.label}
        rows.append(about | {"patient": getattr(row, "patient", None)} | scores)
    return pd.DataFrame(rows)

"""Small trainings that answer one question each: fewer patients, other masks."""

import numpy as np
import pandas as pd

from stroke_utils.evaluate import metrics
from stroke_utils.learn import models
from stroke_utils.learn.backend import keras, tf


def fewer_patients(slices: pd.DataFrame, shares: list[float], seed: int) -> dict[int, np.ndarray]:
    """Choose the training slices of some of the patients, each choice within the next larger one.

    Args:
        slices: rows with ``split`` and ``patient``; where a patient is unknown, a slice counts as one.
        shares: of the patients with training slices, above 0 and up to 1.
        seed: of the choice.

    Returns:
        Places of slices in the table by number of patients. All choices are of one length, that of all training
        slices: those of few patients come more often, so that every training takes the same number of steps.
    """
    train = np.flatnonzero((slices["split"] == "train").to_numpy())
    patients = metrics.cluster_codes(len(train), slices["patient"].to_numpy(dtype=object)[train])
    order = np.random.default_rng(seed).permutation(patients.max() + 1)
    numbers = [max(1, round(share * len(order))) for share in shares]
    return {n: np.resize(train[np.isin(patients, order[:n])], len(train)) for n in numbers}


def small_unet(size: int, widths: tuple[int, ...] = (8, 16, 32, 64)) -> keras.Model:
    """Build a small U-Net with a softmax over background, ischemia and hemorrhage; its widths are ours.

    Args:
        size: side of the square RGB input in pixels, a multiple of two to the power of the number of widths minus one.
        widths: filters of the stages, from the finest to the coarsest.

    Returns:
        A model from float32 (b, size, size, 3) to class probabilities (b, size, size, 3).
    """

    def stage(x, width):
        for _ in range(2):
            x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
            x = keras.layers.ReLU()(x)
        return x

    x, finer = (image := keras.Input((size, size, 3))), []
    for width in widths[:-1]:
        x = stage(x, width)
        finer.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = stage(x, widths[-1])
    for width, skip in zip(widths[-2::-1], finer[::-1], strict=True):
        x = stage(keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skip]), width)
    return keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax")(x), name="small_unet")


def probabilities_of(
    model: keras.Model, images: list[np.ndarray], preprocess: models.Preprocess, size: int, batch: int = 32
) -> np.ndarray:
    """Return a classifier's probability of class 1, (n,), for slices in memory, uint8 (H, W, 3) of any size."""
    small = [tf.round(tf.image.resize(tf.cast(image, tf.float32), (size, size), antialias=True)) for image in images]
    pixels = preprocess(tf.stack(small))
    return model.predict(pixels, batch_size=batch, verbose=0)[:, -1].astype(float)

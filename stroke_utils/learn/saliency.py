"""What a classifier looks at: the answers of its first convolution, and Grad-CAM."""

import numpy as np
import pandas as pd

from stroke_utils.data import pixels
from stroke_utils.data import regions as regions_of
from stroke_utils.learn.backend import keras, tf
from stroke_utils.learn.models import Preprocess

BATCH = 8
"""Slices per batch; the value changes no result."""


def first_layer(model: keras.Model, image: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Return the answers of a network's first convolution to one slice.

    Args:
        model: any network of this package.
        image: (side, side, 3), values 0–255, of the model's size.
        preprocess: as in training.

    Returns:
        float32 (h, w, filters).
    """
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    answers = keras.Model(model.input, layer.output)(preprocess(tf.cast(image, tf.float32)[None]), training=False)
    return answers[0].numpy()


def grad_cam(model: keras.Model, images: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Map where a classifier finds reasons for class 1 (Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74).

    The gradient of the answer with respect to the last maps of features says how much each map counts; their sum,
    weighted so, is the result where it is positive. The answer is taken before its sigmoid or softmax, whose gradient
    vanishes where a network is sure.

    Args:
        model: a detector or type classifier; its last layer is dense.
        images: (b, side, side, 3), values 0–255.
        preprocess: as in training.

    Returns:
        float32 (b, h, w) at the size of the last maps that have more than one pixel; 0 where nothing speaks for class
        1, and the sum of each map is 1 unless all of it is 0.
    """
    last = model.layers[-1]
    maps = [layer for layer in model.layers if len(layer.output.shape) == 4 and layer.output.shape[1] > 1][-1]
    inner = keras.Model(model.input, [maps.output, last.input])
    towards = tf.constant([[1.0]] if last.units == 1 else [[-1.0], [1.0]])

    def heat(some: np.ndarray) -> tf.Tensor:
        with tf.GradientTape() as tape:
            features, hidden = inner(preprocess(tf.cast(some, tf.float32)), training=False)
            answer = (hidden @ last.kernel + last.bias) @ towards
        weights = tf.reduce_mean(tape.gradient(answer, features), axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))

    # The tape keeps all that the network computes, some hundred megabytes a slice at the paper's size.
    found = tf.concat([heat(images[k : k + BATCH]) for k in range(0, len(images), BATCH)], axis=0)
    return tf.math.divide_no_nan(found, tf.reduce_sum(found, axis=(1, 2), keepdims=True)).numpy()


def enlarged(heat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a map (h, w) at a slice's own size (H, W), bilinear."""
    return tf.image.resize(heat[..., None], shape)[..., 0].numpy()


def mass_inside(heats: np.ndarray, slices: pd.DataFrame, regions: dict[str, np.ndarray]) -> pd.DataFrame:
    """Measure how much of each map lies inside the lesion, beside two maps that know nothing.

    Args:
        heats: (n, h, w) of :func:`grad_cam`.
        slices: (n) rows with ``slice_id`` and ``png``.
        regions: class mask (H, W) by slice id; slices without one are left out.

    Returns:
        One row a slice: ``slice_id``, ``inside`` (share of the map's sum, nan for an empty map), ``uniform`` (of a map
        that is the same everywhere) and ``in_head`` (of one that is the same on the head and 0 beside it; nan where
        the slice has no head).
    """
    rows = []
    for heat, row in zip(heats, slices.itertuples(), strict=True):
        if (region := regions.get(row.slice_id)) is not None:
            region, large = region > 0, enlarged(heat, region.shape)
            head = regions_of.whole_head(pixels.read_rgb(row.png)[..., 0])
            inside = large[region].sum() / large.sum() if large.sum() else np.nan
            in_head = (region & head).sum() / head.sum() if head.any() else np.nan
            rows.append((row.slice_id, inside, region.mean(), in_head))
    return pd.DataFrame(rows, columns=["slice_id", "inside", "uniform", "in_head"])

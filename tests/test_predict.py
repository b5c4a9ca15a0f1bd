import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image

from stroke_utils import inputs, masks, predict


def test_table_names_every_outcome():
    slices = pd.DataFrame({"slice_id": list("abcd"), "split": "test", "stroke": [1, 0, 1, 0]})
    table = predict.table(slices, "stroke", np.array([0.9, 0.6, 0.4, 0.1]), threshold=0.5)
    assert list(table["outcome"]) == ["TP", "FP", "FN", "TN"]
    assert list(table["called"]) == [1, 1, 0, 0]
    assert list(table.columns) == ["slice_id", "split", "truth", "probability", "called", "outcome"]


def bright_is_hemorrhage(pixels, training=False):
    """A model that calls every pixel above half white hemorrhage."""
    bright = tf.cast(pixels[..., 0] > 0.5, tf.float32)
    return tf.stack([1 - bright, 0 * bright, bright], axis=-1)


def test_masks_come_back_at_the_slices_own_size():
    image = np.zeros((40, 56, 3), np.uint8)
    image[10:20, 14:42] = 255
    found = predict.class_mask(bright_is_hemorrhage, image, 32, inputs.unit_range)
    assert found.shape == (40, 56) and found.dtype == np.uint8
    assert masks.dice(found, np.where(image[..., 0] > 0, 2, 0)) > 0.9


def test_segment_writes_and_scores_each_slice(tmp_path):
    for k, (h, w) in enumerate([(64, 64), (64, 80)]):
        image = np.zeros((h, w, 3), np.uint8)
        image[16:32, 16:32] = 255
        Image.fromarray(image).save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"m{k}.png", np.where(image[..., 0] > 0, np.uint8(2 - k), np.uint8(0)))
    slices = pd.DataFrame(
        {
            "slice_id": ["0", "1"],
            "png": [str(tmp_path / "0.png"), str(tmp_path / "1.png")],
            "split": "test",
            "label": ["hemorrhage", "ischemia"],
        }
    )
    references = pd.Series([str(tmp_path / "m0.png"), str(tmp_path / "m1.png")])
    out = tmp_path / "out"
    table = predict.segment(bright_is_hemorrhage, slices, references, 32, inputs.unit_range, out, quiet=True)
    assert (table["lesion_dice"] > 0.9).all()
    # The second slice is truly ischemia: found as a lesion, but not as its own type.
    assert table["typed_dice"].iloc[0] > 0.9 and table["typed_dice"].iloc[1] == 0
    assert masks.read_class_mask(tmp_path / "out" / "1.png").shape == (64, 80)

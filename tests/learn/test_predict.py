from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from stroke_utils.base.errors import UserError
from stroke_utils.data import masks
from stroke_utils.evaluate import brightness, overlap
from stroke_utils.learn import inputs, predict


def test_table_names_every_outcome():
    slices = pd.DataFrame({"slice_id": list("abcd"), "split": "test", "stroke": [1, 0, 1, 0]})
    table = predict.table(slices, "stroke", np.array([0.9, 0.6, 0.4, 0.1]), threshold=0.5)
    assert list(table["outcome"]) == ["TP", "FP", "FN", "TN"]
    assert list(table["predicted"]) == [1, 1, 0, 0]
    assert list(table.columns) == ["slice_id", "split", "truth", "probability", "predicted", "outcome"]


def test_a_probability_that_is_no_number_is_refused_and_not_called_none(tmp_path):
    slices = pd.DataFrame({"slice_id": list("abc"), "split": "test", "stroke": [1, 0, 1]})
    with pytest.raises(UserError, match=r"1 of 3 slices is no number; the first is b\. .* train it again"):
        predict.table(slices, "stroke", np.array([0.9, np.nan, 0.4]))
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    broken = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Lambda(lambda x: x[:, 0, 0, :1] / 0.0)])
    with pytest.raises(UserError, match="1 of 1 slices is no number; the first is .*a.png"):
        predict.probabilities(broken, pd.Series([str(path)]), inputs.raw, 8)


def bright_is_hemorrhage(pixels, training=False):
    """A model that calls every pixel above half white hemorrhage."""
    bright = tf.cast(pixels[..., 0] > 0.5, tf.float32)
    return tf.stack([1 - bright, 0 * bright, bright], axis=-1)


def test_masks_come_back_at_the_slices_own_size():
    image = np.zeros((40, 56, 3), np.uint8)
    image[10:20, 14:42] = 255
    soft = predict.soft_masks(bright_is_hemorrhage, image, 32, inputs.unit_range)[False]
    found = predict.class_mask(soft, image.shape[:2])
    assert found.shape == (40, 56) and found.dtype == np.uint8
    assert overlap.dice(found, np.where(image[..., 0] > 0, 2, 0)) > 0.9


def test_small_lesions_go_and_the_majority_names_the_type():
    classes = np.zeros((32, 32), np.uint8)
    classes[2:8, 2:8], classes[2:4, 8], classes[20, 20], classes[21, 21] = 1, 2, 2, 2
    soft = tf.one_hot(classes, 3)
    for smallest, vote, left in ((0, False, [36, 4]), (2, False, [36, 4]), (3, False, [36, 2]), (3, True, [38, 0])):
        found = predict.class_mask(soft, (32, 32), predict.MaskOptions(False, smallest, vote))
        assert np.bincount(found.ravel(), minlength=3)[1:].tolist() == left
    assert not predict.class_mask(soft, (32, 32), predict.MaskOptions(False, 99, True)).any()


def left_is_bleeding(batch, training=False):
    """A model that is sure of bleeding in the left half, whatever it sees there."""
    left = tf.cast(tf.range(tf.shape(batch)[2]) < tf.shape(batch)[2] // 2, tf.float32)
    left = 0.8 * left * tf.ones_like(batch[..., 0])
    return tf.stack([1 - left, 0 * left, left], axis=-1)


def test_flipping_averages_with_the_mirrored_back_answer():
    image = np.zeros((32, 32, 3), np.uint8)
    soft = predict.soft_masks(left_is_bleeding, image, 32, inputs.unit_range, flip=True)
    plain, both = soft[False].numpy(), soft[True].numpy()
    assert list(predict.soft_masks(left_is_bleeding, image, 32, inputs.unit_range)) == [False]
    np.testing.assert_allclose(both, (plain + plain[:, ::-1]) / 2)
    np.testing.assert_allclose(both[..., 2], 0.4)


def test_the_second_answer_is_for_the_slice_mirrored_left_to_right():
    def left_and_bright(batch, training=False):
        seen = left_is_bleeding(batch)[..., 2] * batch[..., 0]
        return tf.stack([1 - seen, 0 * seen, seen], axis=-1)

    image = np.zeros((32, 32, 3), np.uint8)
    image[:8, 20:] = 255  # on the right, and not symmetric up and down
    soft = predict.soft_masks(left_and_bright, image, 32, inputs.unit_range, flip=True)
    assert not soft[False].numpy()[..., 2].any()
    np.testing.assert_allclose(soft[True].numpy()[..., 2], 0.4 * (image[..., 0] > 0))


@pytest.fixture
def slices(tmp_path):
    """Four slices, two of them validation, with a bright lesion and a bright speck that is none."""
    rows = []
    for k, split in enumerate(("validation", "validation", "test", "train")):
        image = np.zeros((64, 64, 3), np.uint8)
        image[10:30, 10:30], image[50:53, 50:53] = 255, 255
        Image.fromarray(image).save(tmp_path / f"{k}.png")
        truth = np.where(image[..., 0] > 0, 2, 0).astype(np.uint8)
        truth[40:] = 0
        masks.write_class_mask(tmp_path / f"m{k}.png", truth)
        rows.append((str(k), str(tmp_path / f"{k}.png"), str(tmp_path / f"m{k}.png"), "hemorrhage", split))
    return pd.DataFrame(rows, columns=["slice_id", "png", "reference", "label", "split"])


def test_options_are_chosen_on_validation_and_nothing_else_is_looked_at(slices):
    def choose():
        return predict.choose_options(bright_is_hemorrhage, slices, slices["reference"], 64, inputs.unit_range)

    choice, table = choose()
    assert choice == predict.MaskOptions(flip=False, smallest=30, vote=False)  # the plainest that drops the speck
    assert len(table) == len(predict.GRID) and table["typed_dice"].max() == 1
    poisoned = slices["split"] != "validation"
    for path in [*slices.loc[poisoned, "png"], *slices.loc[poisoned, "reference"]]:
        Path(path).write_text("poison")
    again, same = choose()
    assert again == choice
    pd.testing.assert_frame_equal(same, table)
    for path in slices.loc[~poisoned, "reference"]:  # the check can fail: a change of validation changes the choice
        masks.write_class_mask(path, np.pad(np.full((3, 3), np.uint8(2)), ((50, 11), (50, 11))))
    assert choose()[1]["typed_dice"].max() < 1


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
    # No lesion is as large as a slice: the second way leaves nothing.
    ways = {tmp_path / "out": predict.PLAIN, tmp_path / "none": predict.MaskOptions(flip=True, smallest=64 * 80)}
    found = predict.segment(bright_is_hemorrhage, slices, references, 32, inputs.unit_range, ways, quiet=True)
    table, none = found[tmp_path / "out"], found[tmp_path / "none"]
    assert (table["lesion_dice"] > 0.9).all()
    # The second slice is truly ischemia: found as a lesion, but not as its own type.
    assert table["typed_dice"].iloc[0] > 0.9 and table["typed_dice"].iloc[1] == 0
    assert masks.read_class_mask(tmp_path / "out" / "1.png").shape == (64, 80)
    assert (none["lesion_dice"] == 0).all() and not masks.read_class_mask(tmp_path / "none" / "0.png").any()


@pytest.mark.parametrize("shape", [(64, 64), (64, 96)])
def test_what_is_found_in_the_box_around_the_head_is_laid_back_onto_the_slice(tmp_path, shape):
    shown = []

    def bright(batch, training=False):
        shown.append(float((batch[..., 0] > 0.1).numpy().mean()))
        return bright_is_hemorrhage(batch)

    image, empty = np.zeros((*shape, 3), np.uint8), np.zeros((*shape, 3), np.uint8)
    image[20:50, 30:60], image[24:30, 34:44] = 80, 255
    slices = []
    for k, pixels in enumerate((image, empty)):
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"m{k}.png", np.where(image[..., 0] > 200, np.uint8(2), np.uint8(0)))
        slices.append((str(k), str(tmp_path / f"{k}.png"), str(tmp_path / f"m{k}.png"), "hemorrhage", "validation"))
    slices = pd.DataFrame(slices, columns=["slice_id", "png", "reference", "label", "split"])
    about = slices, slices["reference"], 64, inputs.unit_range
    ways = {tmp_path / "out": predict.MaskOptions(flip=True)}
    found = predict.segment(bright, *about, ways, quiet=True, crop=True)[tmp_path / "out"]
    assert found["lesion_dice"][0] > 0.85 and found["lesion_dice"][1] == 0
    painted = masks.read_class_mask(tmp_path / "out" / "0.png")
    assert painted.shape == shape and painted[25:29, 35:43].all() and not painted[40:].any()
    assert shown[0] > 0.3 > 900 / np.prod(shape), "the head fills more of what is seen than of the slice"
    _, tried = predict.choose_options(bright, *about, crop=True)
    assert tried["lesion_dice"].max() == pytest.approx(found["lesion_dice"].mean(), abs=0.05)


def test_a_grey_level_is_scored_as_a_network_is(slices, tmp_path):
    image = np.full((64, 64, 3), 100, np.uint8)  # all brain, and a square of blood where the truth has it
    image[10:30, 10:30] = 200
    Image.fromarray(image).save(tmp_path / "0.png")
    rule, ways = brightness.Threshold("hemorrhage", 150), {tmp_path / "out": predict.PLAIN}
    found = predict.segment(rule, slices[:1], slices["reference"], 64, inputs.raw, ways, quiet=True)[tmp_path / "out"]
    assert found["typed_dice"].item() == 1 and found["hard_agreed_2"].item() == found["hard_true_2"].item() == 400


def test_flips_and_no_flips_side_by_side_are_each_what_they_are_alone(slices, tmp_path):
    def segment(*options):
        ways = {tmp_path / f"{k}": way for k, way in enumerate(options)}
        found = predict.segment(left_is_bleeding, slices, slices["reference"], 64, inputs.unit_range, ways, quiet=True)
        return list(found.values())

    flipped = predict.MaskOptions(flip=True)
    plain, both = segment(predict.PLAIN, flipped)
    pd.testing.assert_frame_equal(plain, segment(predict.PLAIN)[0])
    pd.testing.assert_frame_equal(both, segment(flipped)[0])
    assert plain["predicted_px"].iloc[0] == 64 * 32 and both["predicted_px"].iloc[0] == 0


def test_ways_share_the_networks_answer_and_nothing_else(slices, tmp_path):
    asked = []

    def model(batch, training=False):
        asked.append(1)
        return bright_is_hemorrhage(batch)

    ways = {tmp_path / "a": predict.MaskOptions(smallest=30), tmp_path / "b": predict.PLAIN}
    named = slices.assign(patient=list("pqrs"))
    found = predict.segment(model, named, named["reference"], 64, inputs.unit_range, ways, quiet=True)
    tidied, plain = found[tmp_path / "a"], found[tmp_path / "b"]
    assert set(tidied["predicted_px"]) == {400} and set(plain["predicted_px"]) == {409}
    assert len(asked) == len(slices) and list(plain["patient"]) == list("pqrs")

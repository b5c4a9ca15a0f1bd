import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stroke_utils.base import identity
from stroke_utils.base.errors import UserError
from stroke_utils.learn import inputs


def indices(*args, **kwargs):
    return [(int(e), b.tolist()) for e, b in inputs.index_batches(*args, **kwargs).as_numpy_iterator()]


def test_each_pass_sees_every_slice_once_in_an_order_of_seed_and_epoch_alone():
    passes = indices(7, 3, seed=5, epochs=4)
    assert [(e, len(b)) for e, b in passes] == [(e, n) for e in range(4) for n in (3, 3, 1)]
    orders = [list(itertools.chain(*(b for _, b in passes[3 * e : 3 * e + 3]))) for e in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    resumed = inputs.index_batches(7, 3, seed=5, epochs=4).skip(6).as_numpy_iterator()
    again = [(int(e), b.tolist()) for e, b in resumed]
    assert again == passes[6:], "a resumed run must see what an unbroken one sees"
    assert indices(7, 3, seed=6, epochs=1) != passes[:3]


def test_without_a_seed_the_order_is_kept():
    assert indices(5, 2) == [(0, [0, 1]), (0, [2, 3]), (0, [4])]


def augmented(rows, seed=0, epoch=0, amount="strong"):
    images = np.zeros((len(rows), 32, 32, 3), np.float32)
    images[:, 8:20, 4:12] = 200
    rows, epoch = tf.constant(rows, tf.int64), tf.constant(epoch, tf.int64)
    return inputs.augment(tf.constant(images), rows, epoch, seed, inputs.AUGMENTATIONS[amount]).numpy()


def test_augmentation_depends_on_seed_epoch_and_slice_not_on_the_batch():
    both, alone = augmented([3, 8]), augmented([8])
    np.testing.assert_allclose(both[1], alone[0], atol=1e-4)
    tf.random.set_seed(99)  # must not matter
    np.testing.assert_array_equal(augmented([3, 8]), both)
    for other in (augmented([3, 8], seed=1), augmented([3, 8], epoch=1), augmented([4, 9])):
        assert np.abs(other - both).mean() > 1


def test_augmentation_keeps_the_range_and_light_only_moves_the_picture():
    strong, light = augmented(list(range(40))), augmented(list(range(40)), amount="light")
    assert strong.min() >= 0 and strong.max() <= 255
    assert np.abs(light.max(axis=(1, 2, 3)) - 200).max() < 1, "light must not touch grey levels"
    left = light[:, :, :16].sum(axis=(1, 2, 3)) > light[:, :, 16:].sum(axis=(1, 2, 3))
    assert 10 <= left.sum() <= 30, "about half must be mirrored"
    np.testing.assert_allclose(augmented([0], amount="none"), augmented([1], amount="none"))


def test_an_unknown_augmentation_is_refused(slices):
    with pytest.raises(UserError, match="'much' is no augmentation. Known: none, light, strong"):
        inputs.image_batches(slices["png"], None, inputs.raw, 16, augmentation="much")


def test_images_stay_with_their_targets(slices):
    targets = np.arange(7)
    batches = list(
        inputs.image_batches(slices["png"], targets, inputs.raw, 20, 3, seed=1, epochs=2).as_numpy_iterator()
    )
    assert [x.shape for x, _ in batches[:3]] == [(3, 20, 20, 3), (3, 20, 20, 3), (1, 20, 20, 3)]
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0, 0, 0], 10 + 30 * y)
    assert batches[0][0].dtype == np.float32


def test_preprocessing_is_applied_once(slices):
    plain = next(inputs.image_batches(slices["png"], None, inputs.raw, 20).as_numpy_iterator())
    unit = next(inputs.image_batches(slices["png"], None, inputs.unit_range, 20).as_numpy_iterator())
    np.testing.assert_allclose(unit, plain / 255, rtol=1e-6)


def test_resize_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::4] = 255
    Image.fromarray(stripes).save(tmp_path / "s.png")
    small = inputs.decode(tf.constant(str(tmp_path / "s.png")), 16).numpy()
    # A quarter of each output pixel is white; without antialiasing the samples fall between the stripes, on black.
    assert abs(small[2:-2, 2:-2].astype(int) - 64).max() < 12


def test_resized_files_equal_resizing_on_the_fly_and_are_made_once(slices, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    paths = inputs.resized(slices, 16, "abc", quiet=True)
    direct = next(inputs.image_batches(slices["png"], None, inputs.raw, 16).as_numpy_iterator())
    cached = next(inputs.image_batches(paths, None, inputs.raw, 16).as_numpy_iterator())
    np.testing.assert_array_equal(direct, cached)
    folder = Path(paths.iloc[0]).parent
    assert identity.read_note(folder)["settings"] == {"size": 16} and {Path(p).parent for p in paths} == {folder}
    assert Path(inputs.resized(slices, 16, "abd", quiet=True).iloc[0]).parent != folder, "of another cohort"
    whole = Path(paths.iloc[2]).read_bytes()
    Path(paths.iloc[2]).write_bytes(whole[:-20])
    inputs.resized(slices, 16, "abc", quiet=True)
    assert Path(paths.iloc[2]).read_bytes() == whole, "what was cut short is made anew"
    stamp = {p: (tmp_path / p).stat().st_mtime_ns for p in paths}
    inputs.resized(slices, 16, "abc", quiet=True)
    assert stamp == {p: (tmp_path / p).stat().st_mtime_ns for p in paths}

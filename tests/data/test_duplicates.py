"""Doubles of slices: found exactly, found nearly, as fast as it must be and the same as by comparing all pairs."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from stroke_utils.data import duplicates


def head(seed: int) -> np.ndarray:
    """A smooth picture that differs from seed to seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((128, 128)).convert("RGB"))


def table(folder, pictures: dict) -> pd.DataFrame:
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png", compress_level=len(name))
    return pd.DataFrame({"slice_id": list(pictures), "png": [str(folder / f"{name}.png") for name in pictures]})


def brute_force(hashes, distance):
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    return np.argwhere(np.triu(apart <= distance, 1))


@pytest.mark.parametrize("distance", [0, 3, 6])
def test_near_pairs_are_those_of_all_pairs(distance):
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 256, (60, 32), dtype=np.uint8)
    copies = np.unpackbits(hashes[rng.integers(0, 60, 240)], axis=1)
    for row in copies:
        row[rng.choice(256, rng.integers(1, 10), replace=False)] ^= 1
    hashes = np.unique(np.concatenate([hashes, np.packbits(copies, axis=1)]), axis=0)
    expected = brute_force(hashes, distance)
    assert np.array_equal(duplicates.near_pairs(hashes, distance), expected)
    assert len(expected) > 20 or distance == 0


def test_equal_hashes_are_paired_with_the_first_of_them():
    hashes = np.zeros((4, 32), np.uint8)
    hashes[2] = 255
    assert duplicates.near_pairs(hashes).tolist() == [[0, 1], [0, 3]]


def test_many_equal_hashes_are_compared_once():
    """All pairs of a release in which every slice is black would be 24 million."""
    hashes = np.repeat(np.random.default_rng(0).integers(0, 256, (2, 32), dtype=np.uint8), [6000, 951], axis=0)
    pairs = duplicates.near_pairs(hashes)
    assert len(pairs) == 5999 + 950 and set(pairs[:, 0]) == {0, 6000}


def test_groups_are_exact_doubles_near_doubles_and_neither(tmp_path):
    one, two = Image.fromarray(head(1)), Image.fromarray(head(2))
    pictures = {
        "a": one,
        "again": one.convert("RGBA"),  # other bytes and another mode, the same pixels
        "b": two,
        "blurred": two.filter(ImageFilter.GaussianBlur(0.6)),
        "smaller": two.resize((120, 120)),
        "other": Image.fromarray(head(3)),
        "mirrored": one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }
    groups = duplicates.add_groups(table(tmp_path, pictures), quiet=True).set_index("slice_id")
    assert groups["exact_group"].dropna().to_dict() == {"a": 0, "again": 0}
    assert groups["near_group"].dropna().to_dict() == {"a": 0, "again": 0, "b": 1, "blurred": 1, "smaller": 1}


def test_empty_slices_have_no_near_group_but_may_be_exact_doubles(tmp_path):
    black, dot = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    dot[30:34, 30:34] = 90
    wide = Image.fromarray(black.reshape(32, 128, 3))  # the same bytes in another shape
    pictures = {"one": Image.fromarray(black), "two": Image.fromarray(black), "dot": Image.fromarray(dot), "wide": wide}
    groups = duplicates.add_groups(table(tmp_path, pictures), quiet=True).set_index("slice_id")
    assert groups["exact_group"].dropna().to_dict() == {"one": 0, "two": 0}
    assert groups["near_group"].dropna().to_dict() == {"one": 0, "two": 0}
    nothing = duplicates.add_groups(table(tmp_path, {}), quiet=True)
    assert {"exact_group", "near_group"} <= set(nothing.columns)

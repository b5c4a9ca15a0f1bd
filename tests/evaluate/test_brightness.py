"""Segmentation by a grey level: what it sees of a head, and that the level comes from the slices it is given."""

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import brightness, overlap


def head(grey=100, lesion=None, side=60):
    """A round head: scalp, skull, brain with a black ventricle; a square lesion, with its class mask."""
    y, x = np.mgrid[:side, :side] - side // 2
    radius = np.hypot(y, x)
    picture = np.zeros((side, side), np.float32)
    picture[radius < 29], picture[radius < 27], picture[radius < 22] = 60, 255, grey
    picture[radius < 4] = 5
    truth = np.zeros((side, side), np.uint8)
    if lesion:
        label, level = lesion
        truth[20:26, 36:44] = ("", "ischemia", "hemorrhage").index(label)
        picture[truth > 0] = level
    return picture, truth


def test_the_inside_of_the_head_is_brain_with_its_holes_and_neither_scalp_nor_skull():
    picture, truth = head(lesion=("hemorrhage", 180))
    inside = brightness.inside_head(picture)
    assert inside[30, 30] and inside[truth > 0].all()
    assert not inside[picture == 255].any() and not inside[picture == 60].any() and not inside[0, 0]
    assert not brightness.inside_head(np.zeros((20, 20))).any()


def test_a_threshold_answers_as_a_network_does():
    picture, truth = head(lesion=("hemorrhage", 180))
    rule = brightness.Threshold("hemorrhage", 140)
    answer = rule(np.repeat(picture[None, ..., None], 3, -1))
    assert answer.shape == (1, 60, 60, 3) and answer.dtype == np.float32 and set(answer.sum(-1).ravel()) == {1}
    assert (answer[0].argmax(-1) == truth).all() and str(rule) == "grey ≥ 140: hemorrhage"
    dark = brightness.Threshold("ischemia", 80).class_mask(picture)
    assert set(np.unique(dark)) == {0, 1} and dark[30, 30] == 1 and not dark[picture == 60].any()


def test_every_level_is_scored_as_its_mask_is():
    pairs = [
        head(g, pair) for g, pair in ((100, ("hemorrhage", 150)), (90, ("hemorrhage", 190)), (110, ("ischemia", 50)))
    ]
    table = brightness.dice_by_level([*pairs, head()])
    assert table.index.tolist() == brightness.LEVELS.tolist() and list(table) == ["ischemia", "hemorrhage"]
    for label, of_type in (("hemorrhage", pairs[:2]), ("ischemia", pairs[2:])):
        for level in (0, 48, 104, 152, 256):
            rule = brightness.Threshold(label, level)
            by_mask = np.mean([overlap.dice(truth, rule.class_mask(picture)) for picture, truth in of_type])
            assert table.loc[level, label] == pytest.approx(by_mask), (label, level)


def test_the_chosen_level_parts_lesion_and_brain_of_the_slices_given():
    chosen = brightness.choose(brightness.dice_by_level([head(100, ("hemorrhage", 150)), head(100, ("ischemia", 60))]))
    assert chosen["hemorrhage"] == brightness.Threshold("hemorrhage", 104)
    assert chosen["ischemia"] == brightness.Threshold("ischemia", 64)
    other = brightness.choose(brightness.dice_by_level([head(160, ("hemorrhage", 200))]))
    assert list(other) == ["hemorrhage"] and 160 < other["hemorrhage"].level <= 200
    with pytest.raises(UserError, match="No slice with a lesion"):
        brightness.choose(pd.DataFrame())

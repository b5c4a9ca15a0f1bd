"""Agreement of masks against segmentation-models, MedPy and cases worked by hand."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from stroke_utils.base.errors import UserError
from stroke_utils.data import masks
from stroke_utils.evaluate import overlap
from stroke_utils.learn import models

EXPECTED = Path(__file__).parents[1] / "expected"


def test_mask_scores_by_hand():
    reference = np.zeros((4, 4), np.uint8)
    reference[0] = 1
    predicted = np.zeros((4, 4), np.uint8)
    predicted[0, :2], predicted[0, 2], predicted[1, 0] = 1, 2, 1
    scores = overlap.mask_scores(reference, predicted)
    # Any lesion: 3 of 4 found, 4 predicted: 2·3/8. Right type only: 2 of 4 found, 4 predicted: 2·2/8.
    assert scores["lesion_dice"] == pytest.approx(0.75)
    assert scores["lesion_iou"] == pytest.approx(3 / 5)
    assert scores["typed_dice"] == pytest.approx(4 / 8)
    assert (scores["reference_px"], scores["predicted_px"]) == (4, 4)


def test_an_empty_reference_is_nan():
    empty = overlap.mask_scores(np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8))
    assert all(np.isnan(empty[name]) for name in ("lesion_dice", "typed_dice", "tolerant_iou", "hd95"))
    assert (empty["lesions"], empty["regions"], empty["false"]) == (0, 1, 1)
    nothing = overlap.mask_scores(np.eye(4, dtype=np.uint8), np.zeros((4, 4), np.uint8))
    assert nothing["lesion_dice"] == nothing["tolerant_iou"] == 0 and np.isnan(nothing["hd95"])


def test_dice_and_hd95_equal_medpys_on_200_random_masks():
    pair = runpy.run_path(str(EXPECTED / "make_overlap_reference.py"))["pair"]
    reference = pd.read_csv(EXPECTED / "overlap_medpy.csv")
    assert len(reference) == 200 and reference["hd95"].nunique() > 100
    for row in reference.itertuples():
        a, b = (mask.astype(np.uint8) for mask in pair(row.pair))
        scores = overlap.mask_scores(a, b)  # cuts both masks first
        assert scores["lesion_dice"] == pytest.approx(row.dice, abs=1e-12)
        assert scores["hd95"] == pytest.approx(row.hd95, abs=1e-9)


def test_lesions_are_found_missed_and_false_region_by_region():
    truth, predicted = np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8)
    truth[0, 0] = truth[1, 1] = 1  # one lesion: corners connect
    truth[5:7, 5:7], truth[10, 10] = 2, 1
    predicted[1, 1], predicted[6, 6:9], predicted[0, 9], predicted[11, 0] = 1, 1, 2, 2
    scores = overlap.mask_scores(truth, predicted)
    assert [scores[name] for name in ("lesions", "found", "regions", "false")] == [3, 2, 4, 2]


def drawn(seed, n=2, side=16):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, (n, side, side)) * (rng.random((n, side, side)) < 0.4)
    return classes.astype(np.uint8), rng.dirichlet([1, 1, 1], (n, side, side)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_whole_batch_scores_equal_segmentation_models(seed):
    classes, soft = drawn(seed)
    truth = np.eye(3, dtype=np.float32)[classes]
    found = overlap.batch_scores(np.array(list(overlap.soft_sums(classes, soft).values())))
    sm = models.sm.metrics
    expected = [sm.f1_score(truth, soft), sm.iou_score(truth, soft)]
    np.testing.assert_allclose(found[:2], expected, atol=1e-5)
    cut = [sm.FScore(threshold=0.5)(truth, soft), sm.IOUScore(threshold=0.5)(truth, soft)]
    np.testing.assert_allclose(found[2:], cut, rtol=2e-7)  # the same counts; theirs are float32 at the end
    # Slices' sums, added up, are the batch's.
    each = [list(overlap.soft_sums(c, s).values()) for c, s in zip(classes, soft, strict=True)]
    np.testing.assert_allclose(overlap._by_batch(np.array(each), 2), found, rtol=1e-9)


def test_shrinking_a_mask_is_tensorflows_nearest_neighbour():
    for height, width, size in ((512, 512, 128), (512, 584, 128), (70, 50, 96), (33, 64, 64)):
        mask = np.random.default_rng(size).integers(0, 3, (height, width), dtype=np.uint8)
        expected = tf.image.resize(mask[..., None], (size, size), method="nearest")[..., 0]
        np.testing.assert_array_equal(overlap.shrunken(mask, size), expected)


def test_tolerant_ground_truth_by_hand():
    truth = np.zeros((9, 9), np.uint8)
    truth[2:7, 2:7] = 2
    grown, shrunken = overlap.tolerant_ground_truth(truth, 1)
    cross = np.zeros((9, 9), bool)
    cross[1:8, 2:7], cross[2:7, 1:8] = True, True
    assert np.array_equal(grown, cross * 2)
    assert np.array_equal(shrunken[3:6, 3:6], np.full((3, 3), 2)) and np.count_nonzero(shrunken) == 9
    edge = np.zeros((9, 9), np.uint8)
    edge[:, :4] = 1
    grown, shrunken = overlap.tolerant_ground_truth(edge, 2)
    assert (grown.sum(axis=1) == 6).all() and (shrunken.sum(axis=1) == 2).all()  # nothing worn away at the edge
    both = np.zeros((1, 9), np.uint8)
    both[0, 1], both[0, 7] = 1, 2
    assert overlap.tolerant_ground_truth(both, 2)[0].tolist() == [[1, 1, 1, 1, 0, 2, 2, 2, 2]]
    for whole in (np.zeros((4, 4), np.uint8), np.full((4, 4), 2, np.uint8)):
        assert all(np.array_equal(m, whole) for m in overlap.tolerant_ground_truth(whole))


def test_tolerant_iou_by_hand():
    truth = np.zeros((1, 12), np.uint8)
    truth[0, 3:8] = 1  # grown by 1: places 2–8; shrunken by 1: places 4–6
    cases = {
        (3, 4, 5, 6, 7): 1.0,
        (2, 3, 4, 5, 6, 7, 8): 1.0,  # one too many on each side is forgiven
        (4, 5, 6): 1.0,  # one too few as well
        (4, 5): 2 / 3,  # place 6 is missed
        (4, 5, 6, 11): 3 / 4,  # place 11 is false
        (): 0.0,
    }
    for places, expected in cases.items():
        result = np.zeros((1, 12), np.uint8)
        result[0, list(places)] = 1
        assert overlap.tolerant_iou(result, truth, 1) == pytest.approx(expected), places
    # As the wrong type: places 4–6 are missed, 3 and 7 false.
    assert overlap.tolerant_iou(np.uint8(2) * (truth > 0), truth, 1) == 0
    mixed = truth.copy()
    mixed[0, 6] = 2
    assert overlap.tolerant_iou(mixed, truth, 1) == pytest.approx(4 / 5)
    assert overlap.tolerant_iou(truth * 0, truth * 0) == 1
    assert overlap.tolerant_iou(truth * 0, truth, 9) == 0  # GT3 is empty, yet nothing was found


def test_limits_of_the_soft_convention():
    one, two = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    one[:3], two[:3] = 1, 2
    different = overlap.soft_limits([one, two], batch=2)
    same = overlap.soft_limits([one, one], batch=2)
    assert different.loc["perfect", "f1"] == pytest.approx(1, abs=1e-3)
    # No pixel is hemorrhage, so what the softmax leaks to that class makes its term nearly nothing.
    assert same.loc["perfect", "f1"] == pytest.approx(2 / 3, abs=0.04)
    assert same.loc["all background", "f1"] < same.loc["perfect", "f1"]


@pytest.fixture
def scored(tmp_path):
    """Six slices of three patients with their true masks on disk, and a prediction that misses half of each lesion."""
    rows, paths, labels = [], [], []
    for k in range(6):
        truth = np.zeros((32, 32), np.uint8)
        truth[8:16, 8 : 16 + k] = 1 + k % 2
        masks.write_class_mask(tmp_path / f"{k}.png", truth)
        predicted = truth * (np.arange(32)[:, None] < 12)
        about = {"slice_id": str(k), "label": ("ischemia", "hemorrhage")[k % 2], "patient": f"p{k // 2}"}
        rows.append(about | overlap.mask_scores(truth, predicted) | overlap.soft_sums(truth, np.eye(3)[predicted]))
        paths.append(str(tmp_path / f"{k}.png"))
        labels.append(about["label"])
    return pd.DataFrame(rows), overlap.limits(pd.Series(paths), pd.Series(labels), 32)


def test_one_table_holds_every_convention_with_its_ends(scored):
    table = overlap.scores_by_convention(*scored, batch=2)
    assert list(table.index) == list(overlap.CONVENTIONS)
    for name in ("lesion_dice", "typed_dice", "ischemia_dice", "pooled_hemorrhage_dice"):
        assert table.loc[name, "value"] == pytest.approx(2 / 3), name
        assert (table.loc[name, "baseline"], table.loc[name, "perfect"]) == (0, 1), name
    assert table.loc["lesion_recall", "value"] == table.loc["lesion_precision", "value"] == 1
    assert table.loc["hd95", ["value", "perfect"]].tolist() == [4, 0] and np.isnan(table.loc["hd95", "baseline"])
    # Each batch has both types, so a perfect softmax gets 1; all background a third, for the background alone.
    assert table.loc["soft_f1", "perfect"] == pytest.approx(1, abs=1e-3)
    assert 0.3 < table.loc["soft_f1", "baseline"] < 1 / 3 < table.loc["hard_f1", "value"] < 1
    assert table["n"].loc[["lesion_dice", "ischemia_dice", "hd95", "soft_f1"]].tolist() == [6, 3, 6, 6]
    assert set(table["unit"]) == {"patients"}
    assert (table["low"] <= table["value"] + 1e-9).all() and (table["value"] <= table["high"] + 1e-9).all()
    record = overlap.as_record(table)
    assert record["lesion_dice"]["n"] == 6 and "convention" not in record["lesion_dice"]


def test_masks_without_probabilities_get_the_other_conventions_with_the_same_values(scored):
    table, ends = scored
    whole = overlap.scores_by_convention(table, ends, 2)
    bare = {name: rows.drop(columns=overlap.SUMS) for name, rows in ends.items()}
    alone = overlap.scores_by_convention(table.drop(columns=overlap.SUMS), bare, None)
    assert list(alone.index) == list(overlap.CONVENTIONS)[4:]
    pd.testing.assert_frame_equal(alone, whole.iloc[4:])


def test_intervals_move_with_the_slices_and_batches_in_their_order(scored):
    table, ends = scored
    table.loc[[0, 1], "lesion_dice"] = 0.1, 0.9
    first = overlap.scores_by_convention(table, ends, 2, seed=1)
    assert first.loc["lesion_dice", "low"] < first.loc["lesion_dice", "value"] < first.loc["lesion_dice", "high"]
    order = [0, 2, 1, 4, 3, 5]  # two slices of one type in a batch lower the ceiling
    again = overlap.scores_by_convention(table.iloc[order], {k: v.iloc[order] for k, v in ends.items()}, 2, seed=1)
    assert again.loc["soft_f1", "perfect"] < first.loc["soft_f1", "perfect"] - 0.1
    assert again.loc["pooled_ischemia_dice", "value"] == first.loc["pooled_ischemia_dice", "value"]


def test_a_split_without_lesions_is_refused(scored):
    table, ends = scored
    with pytest.raises(UserError, match="No slice with a lesion"):
        overlap.scores_by_convention(table.assign(lesion_dice=np.nan), ends, 2)


def test_the_paper_s_training_and_validation_values_are_those_of_the_kept_epoch():
    history = {"val_loss": [0.5, 0.3, 0.4], "f1_score": [1, 2, 3], "iou_score": [4, 5, 6]}
    history |= {"val_f1_score": [7, 8, 9], "val_iou_score": [10, 11, 12]}
    ends = pd.DataFrame({"f1": [1, 0.3], "iou": [1, 0.2]}, index=["perfect", "all background"])
    for prefix, values in (("", (2, 5)), ("val_", (8, 11))):
        scores = overlap.history_scores(pd.DataFrame(history), ends, 9, prefix)
        assert (scores["soft_f1"]["value"], scores["soft_iou"]["value"]) == values
        assert (scores["soft_f1"]["baseline"], scores["soft_iou"]["n"]) == (0.3, 9)

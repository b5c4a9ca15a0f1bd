"""Scores against scikit-learn, statsmodels, segmentation-models and cases worked by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from stroke_utils import metrics
from stroke_utils.files import UserError


@pytest.mark.parametrize("seed", range(6))
def test_classification_scores_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 80)
    probability = np.clip(truth * 0.3 + rng.random(80) * 0.7, 0, 1)
    called = probability >= 0.55
    scores = metrics.classification_scores(truth, probability, 0.55)
    for prefix, average, kwargs in (("positive", "binary", {}), ("macro", "macro", {}), ("weighted", "weighted", {})):
        expected = sk.precision_recall_fscore_support(truth, called, average=average, zero_division=0, **kwargs)[:3]
        found = [scores[f"{prefix}_{name}"]["value"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert scores["specificity"]["value"] == pytest.approx(sk.recall_score(truth, called, pos_label=0), abs=1e-12)
    assert scores["accuracy"]["value"] == pytest.approx(sk.accuracy_score(truth, called), abs=1e-12)
    assert scores["balanced_accuracy"]["value"] == pytest.approx(sk.balanced_accuracy_score(truth, called), abs=1e-12)
    assert scores["auc"]["value"] == pytest.approx(sk.roc_auc_score(truth, probability), abs=1e-12)
    for name, s in scores.items():
        assert s["low"] <= s["value"] <= s["high"], name


def test_the_baseline_calls_the_more_frequent_class():
    truth = np.array([0] * 130 + [1] * 70)
    scores = metrics.classification_scores(truth, np.linspace(0, 1, 200))
    assert scores["accuracy"]["baseline"] == pytest.approx(0.65)
    assert scores["positive_recall"]["baseline"] == 0
    # All 200 called none: precision 0.65, recall 1, F1 0.788; stroke F1 0; the mean is 0.394.
    assert scores["macro_f1"]["baseline"] == pytest.approx(0.39394, abs=1e-5)
    assert scores["balanced_accuracy"]["baseline"] == 0.5


def test_the_published_first_row_is_one_matrix_by_macro_average():
    """65 of 70 strokes found and no false alarm on 130 give the paper's 98.15 / 96.43 / 97.20."""
    truth = np.array([1] * 70 + [0] * 130)
    probability = np.array([0.9] * 65 + [0.1] * 135)
    scores = metrics.classification_scores(truth, probability)
    found = [round(100 * scores[f"macro_{n}"]["value"], 2) for n in ("precision", "recall", "f1")]
    assert found == [98.15, 96.43, 97.2]
    assert scores["positive_recall"]["value"] == pytest.approx(65 / 70)


def test_wilson_interval_by_hand():
    # 8 of 10, z = 1.95996: centre (0.8 + z²/20) / (1 + z²/10), by calculator 0.4902 and 0.9433.
    assert metrics.wilson(8, 10) == pytest.approx((0.49016, 0.94330), abs=1e-4)
    assert np.isnan(metrics.wilson(0, 0)).all()


def test_one_class_alone_is_refused():
    with pytest.raises(UserError, match="both classes; found 0 positive of 3"):
        metrics.classification_scores([0, 0, 0], [0.1, 0.2, 0.3])


def test_bootstrap_keeps_group_sizes_and_covers_the_mean():
    rng, covered = np.random.default_rng(1), 0
    for trial in range(200):
        values = rng.normal(0.3, 1, 80)
        low, high = metrics.bootstrap(lambda i, v=values: v[i].mean(), np.zeros(80), seed=trial, resamples=400)
        covered += low <= 0.3 <= high
    assert 0.90 <= covered / 200 <= 0.98
    groups = np.array([0] * 5 + [1] * 3)
    seen = []
    metrics.bootstrap(lambda i: seen.append(tuple(np.bincount(groups[i]))) or 0.0, groups, resamples=20)
    assert set(seen) == {(5, 3)}


def test_threshold_is_the_most_precise_one_that_keeps_the_recall():
    truth = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    # From 0.55 up: precision 1, recall 3/4. From 0.35 up: precision 4/5, recall 1.
    assert metrics.choose_threshold(truth, probability, 0.75) == pytest.approx(0.55)
    assert metrics.choose_threshold(truth, probability, 0.88) == pytest.approx(0.35)


def test_threshold_curve_equals_counting_at_every_cut():
    rng = np.random.default_rng(3)
    truth, probability = rng.integers(0, 2, 50), rng.integers(0, 12, 50) / 12
    curve = metrics.threshold_curve(truth, probability)
    for row in curve.itertuples():
        called = probability >= row.threshold
        assert row.precision == pytest.approx(sk.precision_score(truth, called))
        assert row.recall == pytest.approx(sk.recall_score(truth, called))


def test_mask_scores_by_hand():
    reference = np.zeros((4, 4), np.uint8)
    reference[0] = 1
    predicted = np.zeros((4, 4), np.uint8)
    predicted[0, :2], predicted[0, 2], predicted[1, 0] = 1, 2, 1
    scores = metrics.mask_scores(reference, predicted)
    # Any lesion: 3 of 4 found, 4 called: 2·3/8. Right type only: 2 of 4 found, 3 called: 2·2/7.
    assert scores["lesion_dice"] == pytest.approx(0.75)
    assert scores["lesion_iou"] == pytest.approx(3 / 5)
    assert scores["typed_dice"] == pytest.approx(4 / 7)
    assert (scores["reference_px"], scores["predicted_px"]) == (4, 4)


def test_an_empty_reference_is_nan_and_left_out_of_the_mean():
    empty = metrics.mask_scores(np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8))
    assert np.isnan(empty["lesion_dice"]) and np.isnan(empty["typed_dice"])
    mean = metrics.mean_score([0.5, np.nan, 1.0], ["a", "a", "b"])
    assert (mean["value"], mean["n"]) == (0.75, 2)
    with pytest.raises(UserError, match="No slice with a lesion"):
        metrics.mean_score([np.nan], ["a"])


def test_soft_overlap_equals_segmentation_models():
    from stroke_utils import models

    rng = np.random.default_rng(0)
    truth = np.eye(3)[rng.integers(0, 3, (2, 16, 16))].astype(np.float32)
    soft = rng.dirichlet([1, 1, 1], (2, 16, 16)).astype(np.float32)
    f1, iou = metrics.soft_overlap(truth, soft)
    assert f1 == pytest.approx(float(models.sm.metrics.f1_score(truth, soft)), abs=1e-5)
    assert iou == pytest.approx(float(models.sm.metrics.iou_score(truth, soft)), abs=1e-5)


def test_limits_of_the_soft_convention():
    one, two = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    one[:3], two[:3] = 1, 2
    different = metrics.convention_limits([one, two], batch=2)
    same = metrics.convention_limits([one, one], batch=2)
    assert different.loc["perfect", "f1"] == pytest.approx(1, abs=1e-3)
    # No pixel is hemorrhage, so what the softmax leaks to that class makes its term nearly nothing.
    assert same.loc["perfect", "f1"] == pytest.approx(2 / 3, abs=0.04)
    assert same.loc["all background", "f1"] < same.loc["perfect", "f1"]

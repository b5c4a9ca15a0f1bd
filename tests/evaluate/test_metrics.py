"""Scores against scikit-learn, statsmodels, segmentation-models and cases worked by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import metrics


@pytest.mark.parametrize("seed", range(6))
def test_classification_scores_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 80)
    probability = np.clip(truth * 0.3 + rng.random(80) * 0.7, 0, 1)
    predicted = probability >= 0.55
    scores = metrics.classification_scores(truth, probability, 0.55)
    for prefix, average, kwargs in (("positive", "binary", {}), ("macro", "macro", {}), ("weighted", "weighted", {})):
        expected = sk.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0, **kwargs)[:3]
        found = [scores[f"{prefix}_{name}"]["value"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert scores["specificity"]["value"] == pytest.approx(sk.recall_score(truth, predicted, pos_label=0), abs=1e-12)
    assert scores["accuracy"]["value"] == pytest.approx(sk.accuracy_score(truth, predicted), abs=1e-12)
    assert scores["balanced_accuracy"]["value"] == pytest.approx(
        sk.balanced_accuracy_score(truth, predicted), abs=1e-12
    )
    assert scores["auc"]["value"] == pytest.approx(sk.roc_auc_score(truth, probability), abs=1e-12)
    for name, s in scores.items():
        assert s["low"] <= s["value"] <= s["high"], name


def test_the_baseline_calls_the_more_frequent_class():
    truth = np.array([0] * 130 + [1] * 70)
    scores = metrics.classification_scores(truth, np.linspace(0, 1, 200))
    assert scores["accuracy"]["baseline"] == pytest.approx(0.65)
    assert scores["positive_recall"]["baseline"] == 0
    # All 200 predicted none: precision 0.65, recall 1, F1 0.788; stroke F1 0; the mean is 0.394.
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


def test_resamples_keep_group_sizes_and_their_intervals_cover_the_mean():
    rng, covered = np.random.default_rng(1), 0
    for trial in range(300):
        values = rng.normal(0.3, 1, 80)
        score = metrics.mean_score(values, np.zeros(80), seed=trial)
        covered += score["low"] <= 0.3 <= score["high"]
    assert 0.91 <= covered / 300 <= 0.98
    groups = np.array([0] * 5 + [1] * 3)
    weights = metrics.resamples(groups)
    assert weights.shape == (metrics.BOOTSTRAP, 8)
    assert (weights[:, :5].sum(axis=1) == 5).all() and (weights[:, 5:].sum(axis=1) == 3).all()
    assert weights[:, 0].max() > 1 and np.array_equal(weights, metrics.resamples(groups))


def test_a_patient_is_drawn_with_all_slices_and_an_unknown_slice_alone():
    patients = np.array(["p", "p", "p", "q", "q", None, None], dtype=object)
    weights = metrics.resamples(np.zeros(7), patients)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 5] != weights[:, 6]).any() and (weights[:, 0] != weights[:, 3]).any()
    assert (weights[:, [0, 3, 5, 6]].sum(axis=1) == 4).all()


def test_intervals_that_know_the_patients_cover_where_others_do_not():
    """Forty patients of five slices each, whose slices are all easy or all hard: five times fewer facts than slices."""
    rng, trials = np.random.default_rng(7), 120
    patients, truth = np.repeat(np.arange(40), 5), np.repeat([0, 1] * 20, 5)
    expected = {"accuracy": 0.7, "macro_f1": 0.7, "positive_recall": 0.7, "auc": 0.7**2 + 0.7 * 0.3}
    hits = {(name, known): 0 for name in expected for known in (True, False)}
    for trial in range(trials):
        easy = np.repeat(rng.random(40) < 0.7, 5)
        probability = np.where(easy, truth, 1 - truth) * 0.8 + 0.1
        for known in (True, False):
            scores = metrics.classification_scores(truth, probability, 0.5, trial, patients if known else None)
            for name, value in expected.items():
                assert scores[name]["unit"] == ("patients" if known else "slices")
                hits[name, known] += scores[name]["low"] <= value <= scores[name]["high"]
    for name in expected:
        assert hits[name, True] / trials >= 0.88 > 0.75 > hits[name, False] / trials, name


def test_the_resampled_auc_equals_scikit_learn_with_weights():
    rng = np.random.default_rng(0)
    truth, probability = rng.integers(0, 2, 40), rng.integers(0, 9, 40) / 9
    weights = metrics.resamples(truth)[:30]
    found = metrics.resampled_auc(truth, probability, weights)
    expected = [sk.roc_auc_score(truth, probability, sample_weight=w) for w in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_proportion_of_one_is_as_sure_as_its_patients_are_many():
    weights = metrics.resamples(np.zeros(50), np.repeat(np.arange(10), 5))
    assert metrics.proportion_interval(np.ones(50), weights, 10) == metrics.wilson(10, 10)
    alone = metrics.resamples(np.zeros(50))
    low, high = metrics.proportion_interval(np.arange(50) < 40, alone, 50)
    assert (low, high) == pytest.approx(metrics.wilson(40, 50), abs=0.02)


def test_best_f1_threshold_is_the_best_cut_nearest_to_a_half():
    truth, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.9])
    assert metrics.best_f1_threshold(truth, probability) == pytest.approx(0.45)
    rng = np.random.default_rng(2)
    truth, probability = rng.integers(0, 2, 60), rng.random(60)
    best = metrics.best_f1_threshold(truth, probability)
    cuts = metrics.threshold_curve(truth, probability)["threshold"]
    top = max(sk.f1_score(truth, probability >= c, average="macro") for c in cuts)
    assert sk.f1_score(truth, probability >= best, average="macro") == pytest.approx(top, abs=1e-12)


def test_threshold_is_the_most_precise_one_that_keeps_the_recall():
    truth = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    # From 0.55 up: precision 1, recall 3/4. From 0.35 up: precision 4/5, recall 1.
    assert metrics.choose_threshold(truth, probability, 0.75) == pytest.approx(0.55)
    assert metrics.choose_threshold(truth, probability, 0.88) == pytest.approx(0.35)


def test_thresholds_never_see_test_rows_but_for_the_one_that_says_so():
    rng = np.random.default_rng(3)
    split = np.array(["train"] * 40 + ["validation"] * 60 + ["test"] * 60)
    truth = rng.integers(0, 2, 160)
    probability = np.clip(truth * 0.2 + rng.random(160) * 0.8, 0, 1)
    clean = metrics.thresholds(truth, probability, split)
    poisoned = np.where(split == "test", 1 - truth, truth), np.where(split == "test", rng.random(160), probability)
    found = metrics.thresholds(*poisoned, split)
    honest = ("rule", "macro_rule", "at_half", "at_best_f1")
    assert [found[k] for k in honest] == [clean[k] for k in honest]
    assert found["on_test"] != clean["on_test"], "the threshold chosen on the test must see it"
    elsewhere = metrics.thresholds(truth, np.where(split == "validation", rng.random(160), probability), split)
    assert elsewhere["rule"] != clean["rule"] and elsewhere["on_test"] == clean["on_test"]
    assert clean["rule"] == metrics.choose_threshold(truth[40:100], probability[40:100], 0.88)


def test_the_rule_can_be_read_with_macro_averages():
    # From 0.3 up: 3 of 4 strokes and 4 of 4 others, macro recall 0.875, the best there is.
    truth = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    probability = np.array([0.01, 0.02, 0.08, 0.1, 0.2, 0.4, 0.6, 0.9])
    assert metrics.choose_threshold(truth, probability, 0.88, "macro") == pytest.approx(0.3)
    assert metrics.choose_threshold(truth, probability, 0.88) == pytest.approx(0.09)
    # Macro recall 0.75 is kept by more cuts; from 0.3 up the macro precision is the highest, (1 + 4/5) / 2.
    assert metrics.choose_threshold(truth, probability, 0.75, "macro") == pytest.approx(0.3)
    assert metrics.choose_threshold(truth, probability, 0.5, "macro") == pytest.approx(0.3)


def test_without_a_test_no_threshold_is_chosen_on_it():
    random, truth = np.random.default_rng(0), np.arange(40) % 2
    found = metrics.thresholds(truth, random.uniform(size=40), np.repeat(["train", "validation"], 20))
    assert list(found) == ["rule", "macro_rule", "at_half", "at_best_f1"]


def test_threshold_curve_equals_counting_at_every_cut():
    rng = np.random.default_rng(3)
    truth, probability = rng.integers(0, 2, 50), rng.integers(0, 12, 50) / 12
    curve = metrics.threshold_curve(truth, probability)
    for row in curve.itertuples():
        predicted = probability >= row.threshold
        assert row.precision == pytest.approx(sk.precision_score(truth, predicted))
        assert row.recall == pytest.approx(sk.recall_score(truth, predicted))


def test_slices_without_a_score_are_left_out_of_the_mean():
    mean = metrics.mean_score([0.5, np.nan, 1.0], ["a", "a", "b"])
    assert (mean["value"], mean["n"]) == (0.75, 2)
    with pytest.raises(UserError, match="No slice with a lesion"):
        metrics.mean_score([np.nan], ["a"])


def test_both_trivial_answers_stand_beside_every_score():
    truth = np.array([1] * 7 + [0] * 13)
    scores = metrics.classification_scores(truth, np.linspace(0, 1, 20))
    both = {name: (score["always"], score["never"]) for name, score in scores.items()}
    assert both["positive_recall"] == (1, 0) and both["specificity"] == (0, 1)
    assert both["positive_precision"] == pytest.approx((0.35, 0)) and both["accuracy"] == pytest.approx((0.35, 0.65))
    assert both["positive_f1"] == pytest.approx((2 * 0.35 / 1.35, 0)) and both["auc"] == (0.5, 0.5)
    assert all(score["baseline"] == score["never"] for score in scores.values())  # the more frequent class

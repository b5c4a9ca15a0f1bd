"""Calibration: known answers on small tables, and agreement with scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from stroke_utils.evaluate import calibration

RNG = np.random.default_rng(5)
PROBABILITY = RNG.beta(0.7, 0.7, 400).clip(0.03, 0.97)
TRUTH = (RNG.random(400) < PROBABILITY).astype(int)


def test_ece_and_brier_by_hand():
    truth, probability = np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.8, 0.8])
    assert calibration.ece(truth, probability, bins=2) == pytest.approx((0.3 + 0.2) / 2)
    found = calibration.scores(truth, probability, share=0.5, bins=2)
    assert found["brier"]["value"] == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)
    assert (found["ece"]["baseline"], found["brier"]["baseline"]) == (0.25, 0.25)
    assert found["ece"]["n"] == 4 and found["ece"]["unit"] == "slices"


@pytest.mark.parametrize("bins", [3, 10])
def test_groups_are_those_of_scikit_learn(bins):
    table = calibration.reliability(TRUTH, PROBABILITY, bins=bins)
    share, mean = calibration_curve(TRUTH, PROBABILITY, n_bins=bins, strategy="quantile")
    assert table["share"].tolist() == pytest.approx(share.tolist())
    assert table["probability"].tolist() == pytest.approx(mean.tolist())
    assert table["n"].sum() == 400 and table["n"].min() >= 400 // bins - 1
    assert ((table["low"] <= table["share"]) & (table["share"] <= table["high"])).all()
    gap = (table["share"] - table["probability"]).abs()
    assert calibration.ece(TRUTH, PROBABILITY, bins) == pytest.approx(np.average(gap, weights=table["n"]))


def test_equal_probabilities_stay_together():
    table = calibration.reliability(np.array([0, 1] * 20), np.full(40, 0.5))
    assert table["n"].tolist() == [40] and calibration.ece(np.array([0, 1] * 20), np.full(40, 0.5)) == 0


def test_whole_patients_widen_the_intervals():
    truth, probability = np.repeat(TRUTH[:80], 5), np.repeat(PROBABILITY[:80], 5)
    patients = np.repeat([f"P{k}" for k in range(80)], 5)
    alone = calibration.reliability(truth, probability, bins=4)
    whole = calibration.reliability(truth, probability, patients, bins=4)
    assert ((whole["high"] - whole["low"]) > 1.5 * (alone["high"] - alone["low"])).all()
    brier = [calibration.scores(truth, probability, 0.5, who)["brier"] for who in (None, patients)]
    assert brier[1]["high"] - brier[1]["low"] > 1.5 * (brier[0]["high"] - brier[0]["low"])
    assert brier[1]["unit"] == "patients"


def test_how_common_strokes_are_varies_between_resamples():
    """A resample within each class would hide the luck in the number of strokes."""
    found = calibration.scores(np.array([0] * 50 + [1] * 50), np.full(100, 0.5), 0.5)["ece"]
    assert found["value"] == 0 and found["high"] > 0.05


def test_the_temperature_of_one_probability_is_known():
    """Three of four slices at 0.9 are strokes: 0.75 fits best, and logit(0.9) / logit(0.75) = ln 9 / ln 3 = 2."""
    truth, probability = np.array([1, 1, 1, 0]), np.full(4, 0.9)
    assert calibration.temperature(truth, probability) == pytest.approx(2, abs=1e-3)
    assert calibration.scaled(probability, 2.0).tolist() == pytest.approx([0.75] * 4)


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_what_made_a_model_too_sure(factor):
    too_sure = calibration.scaled(PROBABILITY, 1 / factor)
    found = calibration.temperature(TRUTH, too_sure)
    assert found == pytest.approx(factor * calibration.temperature(TRUTH, PROBABILITY), rel=0.01)
    assert found == pytest.approx(factor, rel=0.25)
    if factor > 1:
        change = calibration.changes(TRUTH, too_sure, calibration.scaled(too_sure, found)).loc["ece"]
        assert change["difference"] < 0 and change["high"] < 0


def test_the_temperature_changes_no_order_and_takes_certainty():
    certain = np.array([0.0, 0.2, 1.0])
    assert (np.diff(calibration.scaled(certain, 3)) > 0).all()
    assert 0.05 < calibration.temperature([0, 1, 0], certain) < 20.1


def test_no_change_is_no_change():
    table = calibration.changes(TRUTH, PROBABILITY, PROBABILITY)
    assert table[["difference", "low", "high"]].to_numpy().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_luck_alone_makes_an_ece():
    many = np.tile(PROBABILITY, 25)
    mean, most = calibration.ece_by_luck(PROBABILITY[:100])
    assert 0.02 < mean < most < 0.15
    assert max(calibration.ece_by_luck(many)) < 0.02
    assert calibration.ece_by_luck(np.array([0.0, 1.0] * 20)) == (0, 0)


def test_luck_of_two_slices_by_hand():
    """One group: of 0.5 and 0.5 alone none, one or two are positive; of one patient's none or both."""
    alone, _ = calibration.ece_by_luck(np.full(2, 0.5), bins=1)
    assert alone == pytest.approx(0.5 * 0 + 0.5 * 0.5, abs=0.03)
    assert calibration.ece_by_luck(np.full(2, 0.5), ["P1", "P1"], bins=1) == (0.5, 0.5)
    # Where a patient is unknown, each slice is drawn alone.
    assert calibration.ece_by_luck(np.full(2, 0.5), [None, None], bins=1)[0] == alone


def test_whole_patients_have_more_luck_and_keep_their_probabilities():
    probability, patients = np.repeat(PROBABILITY[:80], 5), np.repeat([f"P{k}" for k in range(80)], 5)
    alone, whole = calibration.ece_by_luck(probability), calibration.ece_by_luck(probability, patients)
    assert whole[0] > 1.5 * alone[0] and whole[1] > 1.5 * alone[1]
    # Five copies of a slice are one slice.
    assert whole == pytest.approx(calibration.ece_by_luck(PROBABILITY[:80]), rel=0.1)


def test_another_share_of_strokes():
    assert calibration.at_share([0.5], 0.5, 0.35)[0] == pytest.approx(0.35)
    assert calibration.at_share([0.8], 0.5, 0.2)[0] == pytest.approx(0.8 * 0.2 / (0.8 * 0.2 + 0.2 * 0.8))
    assert calibration.at_share(PROBABILITY, 0.3, 0.3).tolist() == pytest.approx(PROBABILITY.tolist())

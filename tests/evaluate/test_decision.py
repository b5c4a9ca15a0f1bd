"""Decision curves and selective prediction: known answers on small tables."""

import numpy as np
import pytest

from stroke_utils.evaluate import decision

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.8, 0.3, 0.1, 0.6, 0.25, 0.15, 0.1, 0.05, 0.02])


def test_net_benefit_by_hand():
    table = decision.net_benefit(TRUTH, PROBABILITY, [0.2, 0.5]).set_index("threshold")
    # At 0.2: three strokes and two others are called, and a false alarm costs a quarter of a stroke.
    assert table.loc[0.2, "net_benefit"] == pytest.approx(0.3 - 0.2 * 0.25)
    assert table.loc[0.2, "everyone"] == pytest.approx(0.4 - 0.6 * 0.25)
    assert table.loc[0.5, "net_benefit"] == pytest.approx(0.2 - 0.1)
    assert table.loc[0.5, "everyone"] == pytest.approx(0.4 - 0.6)
    assert (table["low"] <= table["net_benefit"]).all() and (table["net_benefit"] <= table["high"]).all()


def test_a_perfect_model_gains_the_share_of_strokes_everywhere():
    table = decision.net_benefit(TRUTH, TRUTH * 0.98 + 0.01, [0.1, 0.5, 0.9])
    assert table[["net_benefit", "low", "high"]].to_numpy() == pytest.approx(np.full((3, 3), 0.4))


def test_one_who_calls_everyone_is_the_curve_of_everyone():
    table = decision.net_benefit(TRUTH, np.ones(10), [0.1, 0.3])
    assert table["net_benefit"].tolist() == pytest.approx(table["everyone"].tolist())


def test_whole_patients_widen_the_interval():
    truth, probability = np.repeat(TRUTH, 8), np.repeat(PROBABILITY, 8)
    patients = np.repeat(np.arange(10).astype(str), 8)
    width = {}
    for who in (None, patients):
        row = decision.net_benefit(truth, probability, [0.2], who).iloc[0]
        width[who is None] = row["high"] - row["low"]
    assert width[False] > 1.5 * width[True]


def test_selective_prediction_by_hand():
    truth, probability = np.array([1, 0, 0, 1]), np.array([0.99, 0.9, 0.3, 0.45])
    table = decision.selective(truth, probability)
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["error"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert table["best"].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 4])


def test_sure_is_far_from_the_threshold_not_from_a_half():
    truth, probability = np.array([0, 1]), np.array([0.5, 0.05])
    assert decision.selective(truth, probability, threshold=0.01)["error"].tolist() == [1, 0.5]  # 0.5 is far from 0.01
    assert decision.selective(truth, probability, threshold=0.5)["error"].tolist() == [1, 1]


def test_the_row_of_a_coverage_covers_at_least_as_much():
    table = decision.selective(TRUTH, PROBABILITY)
    assert decision.at_coverage(table, [0.1, 0.55, 1.0])["coverage"].tolist() == pytest.approx([0.1, 0.6, 1.0])


def test_slices_that_are_equally_sure_may_come_in_any_order():
    truth = np.repeat([0, 1], 5)
    for order in (truth, truth[::-1]):
        assert decision.selective(order, np.full(10, 0.5))["error"].tolist() == pytest.approx([0.5] * 10)
    mixed = decision.selective(np.array([1, 0, 1, 1]), np.array([0.99, 0.9, 0.9, 0.6]))
    assert mixed["error"].tolist() == pytest.approx([0, 1 / 4, 1 / 3, 1 / 4])


def test_the_interval_is_of_the_coverage_and_not_of_the_slices_that_happen_to_be_sure():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    table = decision.selective(truth, np.clip(rng.normal(truth, 0.6), 0.01, 0.99))
    assert (table["low"] <= table["error"] + 1e-9).mean() > 0.95 and (table["error"] <= table["high"] + 1e-9).all()
    half = table.iloc[199]
    assert half["high"] - half["low"] == pytest.approx(4 * np.sqrt(half["error"] * (1 - half["error"]) / 200), rel=0.5)

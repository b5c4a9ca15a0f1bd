"""Paired comparisons against known values, other implementations, and simulations."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import compare, metrics

NOBODY = pd.Series(dtype=object)


def test_mcnemar_is_a_coin_tossed_for_the_slices_on_which_two_models_differ():
    a = np.array([True] * 9 + [False] * 2 + [True] * 50 + [False] * 7)
    b = np.array([False] * 9 + [True] * 2 + [True] * 50 + [False] * 7)
    assert compare.mcnemar(a, b) == pytest.approx(stats.binomtest(2, 11).pvalue) == pytest.approx(134 / 2048)
    assert compare.mcnemar(a, a) == 1
    assert compare.mcnemar(np.array([True] * 6), np.array([False] * 6)) == pytest.approx(2 / 64)


def by_definition(truth, a, b):
    """DeLong's variance from all pairs of slices, as the article writes it."""
    parts = []
    for scores in (a, b):
        up, down = scores[truth == 1][:, None], scores[truth == 0][None]
        parts.append((up > down) + 0.5 * (up == down))
    v10, v01 = (np.array([p.mean(axis=axis) for p in parts]) for axis in (1, 0))
    covariance = np.cov(v10) / (truth == 1).sum() + np.cov(v01) / (truth == 0).sum()
    return covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_delong_is_the_articles_sum_over_pairs_and_the_difference_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 60)
    a, b = (np.round(truth * s + rng.normal(0, 1, 60), 1) for s in (0.9, 0.4))  # rounded, so that there are ties
    difference, error, p = compare.delong(truth, a, b)
    assert difference == pytest.approx(roc_auc_score(truth, a) - roc_auc_score(truth, b))
    assert error**2 == pytest.approx(by_definition(truth, a, b))
    assert p == pytest.approx(2 * stats.norm.sf(abs(difference) / error))


def test_delong_by_hand_and_at_its_ends():
    truth = np.array([1, 1, 0, 0])
    # a is perfect. Of b, the strokes' placements are 1 and 1/2, the others' 1 and 1/2: AUC 3/4.
    difference, error, _ = compare.delong(truth, np.array([4, 3, 2, 1]), np.array([4, 2, 3, 1]))
    # Differences 0 and 1/2 in both classes have variance 1/8; over two slices each that is 1/16 + 1/16.
    assert (difference, error**2) == (pytest.approx(0.25), pytest.approx(1 / 8))
    same = np.array([0.2, 0.9, 0.1, 0.4])
    assert compare.delong(truth, same, same * 2) == (0, 0, 1)
    # Different AUCs without any spread: the test has nothing to say, least of all that it is certain.
    difference, error, p = compare.delong(truth, np.array([4, 3, 2, 1]), np.array([1, 2, 3, 4]))
    assert (difference, error) == (1, 0) and np.isnan(p)
    with pytest.raises(UserError, match="found 1 positive and 3 negative"):
        compare.delong(np.array([1, 0, 0, 0]), same, same)


def table(truth, probability, ids=None):
    out = pd.DataFrame({"slice_id": ids or [f"{k:03}" for k in range(len(truth))], "truth": truth})
    return out.assign(probability=probability, predicted=(np.asarray(probability) >= 0.5).astype(int))


def simulated(rng, gain=0.0, n=120):
    truth = np.arange(n) % 2
    noise = rng.normal(0, 1, n)
    one, two = (truth * s + noise * 0.7 + rng.normal(0, 0.7, n) for s in (1.2 + gain, 1.2))
    return table(truth, 1 / (1 + np.exp(-(one - 0.6)))), table(truth, 1 / (1 + np.exp(-(two - 0.6))))


def test_the_bootstrap_and_delong_agree_on_independent_slices():
    rng = np.random.default_rng(3)
    a, b = simulated(rng, 0.5)
    row = compare.pairs({"a": {0: a}, "b": {0: b}}, "AUC", NOBODY).iloc[0]
    difference, error, p = compare.delong(a["truth"], a["probability"], b["probability"])
    assert (row["difference"], row["p"], row["unit"], row["n"]) == (difference, p, "slices", 120)
    assert (row["high"] - row["low"]) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    assert row["low"] < difference < row["high"]
    assert row["p_bootstrap"] == pytest.approx(p, abs=0.03)


def test_equal_models_differ_as_often_as_the_level_says_and_better_ones_more_often():
    rng, trials = np.random.default_rng(5), 1000
    found = {0.0: [], 1.5: []}
    for gain, p in found.items():
        for _ in range(trials):
            a, b = simulated(rng, gain, 80)
            right = [(t["predicted"] == t["truth"]).to_numpy() for t in (a, b)]
            p.append((compare.delong(a["truth"], a["probability"], b["probability"])[2], compare.mcnemar(*right)))
    level, power = ((np.array(p) < 0.05).mean(axis=0) for p in found.values())
    # At a true level of 5 %, 1000 trials give 3.3 to 6.8 % in 99 of 100 simulations; exact McNemar stays below.
    assert 0.033 <= level[0] <= 0.068 and 0.005 <= level[1] <= 0.05
    assert (power > 0.5).all()


def test_slices_of_one_patient_are_no_independent_evidence():
    rng = np.random.default_rng(0)
    a, b = simulated(rng, 0.8, 40)
    many = [pd.concat([t.assign(slice_id=t["slice_id"] + f"-{k}") for k in range(6)]) for t in (a, b)]
    patients = pd.Series(many[0]["slice_id"].str[:3].tolist(), index=many[0]["slice_id"])
    tables = {"a": {0: many[0]}, "b": {0: many[1]}}
    known = compare.pairs(tables, "AUC", patients).iloc[0]
    unknown = compare.pairs(tables, "AUC", NOBODY).iloc[0]
    assert (known["unit"], unknown["unit"]) == ("patients", "slices")
    assert known["high"] - known["low"] > 1.8 * (unknown["high"] - unknown["low"])
    assert unknown["p"] < 0.5 * compare.delong(a["truth"], a["probability"], b["probability"])[2]


def dices(values, **more):
    return pd.DataFrame({"slice_id": list("abcdef"), "label": ["ischemia", "hemorrhage"] * 3, "lesion_dice": values})


def test_lesion_dice_is_compared_slice_by_slice_and_slices_without_lesion_are_left_out():
    one, two = dices([0.9, 0.8, 0.7, 0.6, 0.5, np.nan]), dices([0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    row = compare.pairs({"one": {0: one}, "two": {0: two}}, "lesion Dice", NOBODY).iloc[0]
    assert (row["n"], row["test"]) == (5, "bootstrap") and np.isnan(row["p"]) and np.isnan(row["p_holm"])
    assert [row[k] for k in ("difference", "low", "high")] == pytest.approx([0.1, 0.1, 0.1])
    assert row["p_bootstrap"] == pytest.approx(2 / (metrics.BOOTSTRAP + 1))


def test_seeds_are_averaged_and_shown_as_spread_never_picked():
    rng = np.random.default_rng(1)
    found = {"a": {}, "b": {}}
    for seed in range(4):
        found["a"][seed], found["b"][seed] = simulated(rng, 0.4)
    del found["b"][3]
    row = compare.pairs(found, "AUC", NOBODY).iloc[0]
    single = [compare.delong(found["a"][s]["truth"], *(found[m][s]["probability"] for m in "ab")) for s in range(3)]
    differences, p = [d for d, *_ in single], sorted(p for *_, p in single)
    assert row["seeds"] == 3 and row["difference"] == pytest.approx(np.mean(differences))
    assert (row["lowest"], row["highest"]) == (min(differences), max(differences))
    assert row["p"] == pytest.approx(min(1, 2 * p[1]))


def test_p_values_are_corrected_for_the_number_of_pairs():
    rng = np.random.default_rng(2)
    truth = np.arange(80) % 2
    tables = {m: {0: table(truth, np.clip(0.5 + (truth - 0.5) * s + rng.normal(0, 0.2, 80), 0, 1))}
              for m, s in (("x", 0.1), ("y", 0.3), ("z", 0.8))}  # fmt: skip
    out = compare.pairs(tables, "AUC", NOBODY)
    assert out[["a", "b"]].agg("-".join, axis=1).tolist() == ["x-y", "x-z", "y-z"]
    for name in ("p", "p_bootstrap"):
        assert out[f"{name}_holm"].tolist() == pytest.approx(multipletests(out[name], method="holm")[1])
        assert (out[f"{name}_holm"] > out[name]).any()


def test_models_without_a_common_seed_or_slice_make_no_row():
    a, b = simulated(np.random.default_rng(0))
    other = b.assign(slice_id="x" + b["slice_id"])
    assert compare.pairs({"a": {0: a}}, "AUC", NOBODY).empty
    assert compare.pairs({"a": {0: a}, "b": {1: b}}, "AUC", NOBODY).empty
    out = compare.pairs({"a": {0: a}, "b": {0: other}}, "accuracy", NOBODY)
    assert out.empty and {"p_holm", "p_bootstrap_holm", "difference"} <= set(out)
    half = compare.pairs({"a": {0: a}, "b": {0: b.iloc[:60]}}, "accuracy", NOBODY).iloc[0]
    assert half["n"] == 60


def test_trainings_of_one_network_are_ranked_alone_and_in_pairs():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 60)
    names = {"slice_id": [f"s{k}" for k in range(120)], "patient": [f"p{k // 4}" for k in range(120)], "stroke": truth}
    slices = pd.DataFrame(names, index=range(7, 127))  # any index
    answers = {"good": truth + random.normal(0, 0.5, 120), "poor": random.uniform(size=120)}
    alone, both = compare.rankings(answers, slices, "stroke")
    assert alone.loc["good", "AUC"] == pytest.approx(roc_auc_score(truth, answers["good"]))
    assert alone.loc["good", "low"] > 0.8 and alone.loc["poor", "low"] < 0.5 < alone.loc["poor", "high"]
    scores = metrics.classification_scores(truth, answers["poor"], 0.5, 0, slices["patient"])["auc"]
    assert alone.loc["poor"].tolist() == [scores["value"], scores["low"], scores["high"]]
    pair = both.iloc[0]
    assert (pair["a"], pair["b"], pair["unit"], pair["n"]) == ("good", "poor", "patients", 120)
    assert pair["difference"] == pytest.approx(alone.loc["good", "AUC"] - alone.loc["poor", "AUC"]) and pair["low"] > 0
    assert [len(table) for table in compare.rankings({}, slices, "stroke")] == [0, 0], "nothing else was trained"

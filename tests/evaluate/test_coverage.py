"""Do 95 % intervals hold the truth in 95 of 100 simulated test sets? And Wilson's against another implementation.

The tolerance is 93 to 97 %. With 1000 simulations the standard error of a coverage is 0.7 points: intervals that truly
cover 94 or 95 % stay inside with nearly every seed of the simulation (it is fixed), those of 90 or 99 % never do.
"""

import numpy as np
import pytest
from scipy import stats

from stroke_utils.evaluate import metrics

TRIALS = 1000
RESAMPLES = 300  # a third of what a score has: the ends of an interval shake a little more, its coverage stays


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(metrics, "BOOTSTRAP", RESAMPLES)


def covered(simulate, truth):
    rng, hits = np.random.default_rng(11), 0
    for trial in range(TRIALS):
        low, high = simulate(rng, trial)
        hits += low <= truth <= high
    return hits / TRIALS


def test_the_interval_of_a_mean_over_slices():
    def simulate(rng, trial):
        score = metrics.mean_score(rng.beta(2, 1, 200), np.zeros(200), trial)
        return score["low"], score["high"]

    assert 0.93 <= covered(simulate, 2 / 3) <= 0.97


def test_the_interval_of_a_mean_over_slices_of_patients():
    """Sixty patients with one to five slices; what a slice scores is mostly its patient's doing."""

    def simulate(rng, trial):
        patients = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        values = rng.normal(0.6, 0.2, 60)[patients] + rng.normal(0, 0.1, len(patients))
        score = metrics.mean_score(values, np.zeros(len(patients)), trial, patients=patients)
        assert score["unit"] == "patients"
        return score["low"], score["high"]

    assert 0.93 <= covered(simulate, 0.6) <= 0.97


def classified(rng, trial, name, by_patient):
    """Score a detector on 140 slices, of 140 patients or of 70 with two equal slices each."""
    of = np.repeat(np.arange(70), 2) if by_patient else np.arange(140)
    truth = of % 2
    noise = rng.normal(0, 1, 140)[of]
    given = truth, stats.norm.cdf(1.2 * truth - 0.6 + noise)
    if name == "auc":  # alone, for the others take as long again
        score = metrics.auc_score(*given, trial, of)
    else:
        score = metrics.classification_scores(*given, 0.5, trial, of)[name]
    return score["low"], score["high"]


AREA, SHARE = stats.norm.cdf([1.2 / 2**0.5, 0.6])


@pytest.mark.parametrize(("name", "truth", "by_patient"), [("auc", AREA, True), ("balanced_accuracy", SHARE, False)])
def test_the_intervals_of_a_detectors_scores(name, truth, by_patient):
    assert 0.93 <= covered(lambda rng, trial: classified(rng, trial, name, by_patient), truth) <= 0.97


@pytest.mark.parametrize("n", [1, 7, 70, 200])
def test_wilson_is_scipys(n):
    for hits in sorted({0, 1, n // 3, n - 1, n}):
        theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert metrics.wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)

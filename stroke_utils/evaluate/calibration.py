"""Do probabilities mean what they say? Reliability, its summaries with intervals, and two ways to mend it.

Slices are resampled without regard to their class, unlike for other scores: how common strokes are is part of what a
probability says.
"""

import numpy as np
import pandas as pd
from scipy import optimize, special
from sklearn.metrics import log_loss

from stroke_utils.evaluate import metrics

BINS = 10
"""Groups of slices behind a reliability diagram and the ECE."""

_LEAST = 1e-7  # a probability of exactly 0 or 1 has no logit


def _logit(probability: np.ndarray) -> np.ndarray:
    return special.logit(np.clip(np.asarray(probability, dtype=float), _LEAST, 1 - _LEAST))


def groups(probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Number the group of each probability, (n,): groups of equally many slices, equal probabilities together.

    The groups are those of scikit-learn's ``calibration_curve`` with ``strategy="quantile"``, which gives no counts.
    """
    edges = np.percentile(probability, np.linspace(0, 1, bins + 1) * 100)  # to the last bit as there
    return np.searchsorted(edges[1:-1], probability)


def _drawn(n: int, patients: np.ndarray | None, seed: int) -> np.ndarray:
    return metrics.resamples(np.zeros(n), patients, seed)


def reliability(
    truth: np.ndarray, probability: np.ndarray, patients: np.ndarray | None = None, bins: int = BINS, seed: int = 0
) -> pd.DataFrame:
    """Tell how often slices of a like probability are positive: the numbers of a reliability diagram.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        patients: (n,) patient of each slice, missing or None where unknown.
        bins: of :func:`groups`.
        seed: of the bootstrap.

    Returns:
        One row a group, by rising probability: ``probability`` (its mean), ``share`` (of positives), ``low`` and
        ``high`` (Wilson's 95 % interval of the share, with n reduced where patients have several slices in the
        group), ``n``.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    of, weights = groups(probability, bins), _drawn(len(truth), patients, seed)
    clusters, rows = metrics.cluster_codes(len(truth), patients), []
    for group in np.unique(of):
        here = of == group
        interval = metrics.proportion_interval(truth[here], weights[:, here], len(np.unique(clusters[here])))
        rows.append((probability[here].mean(), truth[here].mean(), *interval, int(here.sum())))
    return pd.DataFrame(rows, columns=["probability", "share", "low", "high", "n"])


def _ece(gaps: np.ndarray, weights: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return the ECE of each of b resamples: ``gaps`` (n,) or (b, n) of truth − probability, ``weights`` (b, n)."""
    weighted = weights * gaps
    per_group = [np.abs(weighted[:, of == group].sum(axis=1)) for group in np.unique(of)]
    return np.sum(per_group, axis=0) / weights.sum(axis=1)


def ece(truth: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean of |share of positives − mean probability| over slices.

    The difference is taken in each of :func:`groups` (Naeini et al. 2015; Guo et al. 2017 have groups of equal width).
    """
    gaps = np.asarray(truth, dtype=float) - np.asarray(probability, dtype=float)
    return float(_ece(gaps, np.ones((1, len(gaps))), groups(probability, bins))[0])


def ece_by_luck(
    probability: np.ndarray, patients: np.ndarray | None = None, bins: int = BINS, seed: int = 0
) -> tuple[float, float]:
    """Return the ECE that a perfectly calibrated model with these probabilities would have: it is never 0.

    The truth is drawn from the probabilities themselves, ``BOOTSTRAP`` times. A patient's slices share one draw: each
    is positive as often as its probability says, and all of them as often together as these allow.

    Args:
        probability: (n,) of class 1.
        patients: (n,) patient of each slice, missing or None where unknown; such a slice is drawn alone.
        bins: of :func:`groups`.
        seed: of the drawing.

    Returns:
        The mean, and the point that 95 % of the draws stay below.
    """
    probability, clusters = np.asarray(probability, dtype=float), metrics.cluster_codes(len(probability), patients)
    drawn = np.random.default_rng(seed).random((metrics.BOOTSTRAP, clusters.max() + 1))[:, clusters]
    found = _ece((drawn < probability) - probability, np.ones(drawn.shape), groups(probability, bins))
    return float(found.mean()), float(np.percentile(found, 95))


def scores(
    truth: np.ndarray,
    probability: np.ndarray,
    share: float,
    patients: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 0,
) -> dict[str, dict]:
    """Score how well probabilities are calibrated.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        share: of positives where the model was made; the trivial model says it of every slice.
        patients: (n,) patient of each slice, missing or None where unknown.
        bins: of :func:`groups`.
        seed: of the bootstrap.

    Returns:
        Score dictionaries: ``ece``, and ``brier``, the mean squared difference of probability and truth. The interval
        of an ECE lies rather too high, since every resample adds luck of its own.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    weights, unit, n = _drawn(len(truth), patients, seed), metrics.unit_of(patients), len(truth)
    of, squares = groups(probability, bins), (truth - probability) ** 2
    errors, briers = _ece(truth - probability, weights, of), weights @ squares / weights.sum(axis=1)
    trivial, brier = float(np.mean((truth - share) ** 2)), float(squares.mean())
    return {
        "ece": metrics.score(
            ece(truth, probability, bins), *metrics.percentiles(errors), n, abs(truth.mean() - share), unit
        ),
        "brier": metrics.score(brier, *metrics.percentiles(briers), n, trivial, unit),
    }


def changes(
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    patients: np.ndarray | None = None,
    bins: int = BINS,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two sets of probabilities of the same slices.

    Returns:
        Rows ``ece`` and ``brier``; columns before, after, difference (after − before), low and high (95 % of the paired
        bootstrap, which draws the same slices or patients for both).
    """
    truth, both = np.asarray(truth, dtype=int), [np.asarray(p, dtype=float) for p in (before, after)]
    weights, rows = _drawn(len(truth), patients, seed), {}
    drawn = [_ece(truth - p, weights, groups(p, bins)) for p in both]
    rows["ece"] = [ece(truth, p, bins) for p in both], drawn[1] - drawn[0]
    squares = [(truth - p) ** 2 for p in both]
    rows["brier"] = [s.mean() for s in squares], weights @ (squares[1] - squares[0]) / weights.sum(axis=1)
    names = ["before", "after", "difference", "low", "high"]
    rows = {name: (*v, v[1] - v[0], *metrics.percentiles(resampled)) for name, (v, resampled) in rows.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def scaled(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities (n,) by a temperature: above 1 they move towards 0.5, below 1 away from it."""
    return special.expit(_logit(probability) / temperature)


def temperature(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return the temperature of lowest log loss (Guo et al., *On Calibration of Modern Neural Networks*, 2017).

    Choose it on validation slices. It is sought between 0.05 and 20.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
    """

    def loss(logarithm: float) -> float:
        return log_loss(truth, scaled(probability, np.exp(logarithm)), labels=[0, 1])

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def at_share(probability: np.ndarray, before: float, now: float) -> np.ndarray:
    """Move probabilities (n,) from slices with one share of positives to slices with another.

    Only how common the classes are may differ, not what they look like (Saerens, Latinne & Decaestecker, 2002, doi
    10.1162/089976602753284446).

    Args:
        probability: (n,) of class 1.
        before: share of class 1 where the probabilities hold, above 0 and below 1.
        now: share of class 1 among the new slices, likewise.
    """
    return special.expit(_logit(probability) + special.logit(now) - special.logit(before))

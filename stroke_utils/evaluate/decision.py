"""Is it worth acting on a model's answer, and which slices should a person read instead?"""

import numpy as np
import pandas as pd
from scipy.special import logit

from stroke_utils.evaluate import metrics


def net_benefit(
    truth: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    patients: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the decision curve of a model (Vickers & Elkin 2006, doi 10.1177/0272989X06295361).

    A slice is called positive when its probability reaches the threshold. Who acts at threshold t thinks a missed
    stroke (1 − t) / t times as bad as a false alarm. The net benefit is the share of slices that are positive and
    called, minus the share that are negative and called, at that rate of exchange: TP / n − FP / n · t / (1 − t).

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        thresholds: (k,) above 0 and below 1.
        patients: (n,) patient of each slice, missing or None where unknown.
        seed: of the bootstrap.

    Returns:
        One row a threshold: threshold, net_benefit with low and high (95 % bootstrap within each class), and
        ``everyone``, the net benefit of calling every slice. That of calling none is 0.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    weights, n, rows = metrics.resamples(truth, patients, seed), len(truth), []
    for cut in thresholds:
        price = cut / (1 - cut)
        worth = np.where(truth == 1, 1.0, -price)
        gained = worth * (probability >= cut)
        drawn = weights @ gained / weights.sum(axis=1)
        rows.append((cut, gained.sum() / n, *metrics.percentiles(drawn), worth.sum() / n))
    return pd.DataFrame(rows, columns=["threshold", "net_benefit", "low", "high", "everyone"])


def selective(
    truth: np.ndarray,
    probability: np.ndarray,
    threshold: float = 0.5,
    patients: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the error among the surest slices, for every share of slices that the model answers.

    The surest are those whose logit lies farthest from that of the threshold; all others are left to a person
    (El-Yaniv & Wiener 2010, *JMLR* 11).

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        threshold: probabilities at or above it are predicted positive.
        patients: (n,) patient of each slice, missing or None where unknown.
        seed: of the bootstrap.

    Returns:
        One row for each number of answered slices from 1 to n: coverage (their share), error (share of wrong answers
        among them), low and high (95 % bootstrap within each class), ``best`` (of a model that is surest where it is
        right, with as many errors in all).
    """
    truth = np.asarray(truth, dtype=int)
    probability = np.clip(np.asarray(probability, dtype=float), 1e-7, 1 - 1e-7)
    wrong = ((probability >= threshold) != truth).astype(float)
    sureness = np.abs(logit(probability) - logit(threshold)).round(9)
    order = np.argsort(-sureness, kind="stable")
    # Of slices that are equally sure none comes first: between the ends of such a group the error is interpolated.
    first, n = np.flatnonzero(np.diff(sureness[order], prepend=np.inf)), len(truth)
    shares = np.arange(1, n + 1) / n

    def errors(weights: np.ndarray) -> np.ndarray:
        """Return the error at each share of slices that are drawn as often as their weights say."""
        groups = np.add.reduceat([weights, weights * wrong], first, axis=1).cumsum(axis=1)
        at, missed = np.concatenate([[[0], [0]], groups], axis=1)
        return np.interp(shares * at[-1], at, missed) / (shares * at[-1])

    wrong = wrong[order]
    drawn = [errors(weights) for weights in metrics.resamples(truth, patients, seed)[:, order]]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return pd.DataFrame(
        {
            "coverage": shares,
            "error": errors(np.ones(n)),
            "low": low,
            "high": high,
            "best": np.maximum(0, shares - 1 + wrong.mean()) / shares,
        }
    )


def at_coverage(curve: pd.DataFrame, coverages: list[float]) -> pd.DataFrame:
    """Return the rows of :func:`selective` at some coverages, each the first that covers at least as much."""
    places = np.searchsorted(curve["coverage"].to_numpy() + 1e-9, coverages)
    return curve.iloc[places].reset_index(drop=True)

"""From published precision, recall and F1 back to the confusion matrices that print exactly these digits.

A test set of a few hundred slices has few possible confusion matrices, and three rounded scores are a fingerprint of
one: often none or one fits. All comparisons are made in whole numbers, so no floating-point error decides. It is the
idea of the GRIM and SPRITE tests (Brown & Heathers 2017, doi 10.1177/1948550616673876), for confusion matrices.
"""

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from stroke_utils.base import identity
from stroke_utils.base.errors import UserError, check_known
from stroke_utils.base.vocabulary import PAPER_TABLES, PUBLISHED_COUNTS
from stroke_utils.data.cohort import DataSet

METRICS = ("precision", "recall", "f1")
"""The three published scores, in the order of every triple here."""

AVERAGES = ("positive", "macro", "weighted")
"""Of the positive class alone; mean over both classes; mean weighted by class size (scikit-learn's ``average=``)."""

ROUNDINGS = ("half-up", "half-even", "truncated")
"""How the last printed digit came about. The first two differ only where a score is exactly between two digits."""

SLACK = 1e-6
"""Slices by which a range of candidates is widened before exact arithmetic decides; rounding errors are below 1e-9."""


def published_data() -> DataSet:
    """Return what the run record keeps of the paper's printed scores and the release's counts: data without slices."""
    return DataSet(identity.digest([PAPER_TABLES, PUBLISHED_COUNTS], 10), {"name": "the paper's printed tables"})


def printed(scores: dict[str, float], decimals: int = 2) -> np.ndarray:
    """Return three fractions as whole numbers of their last printed digit: 0.9815 is 9815 hundredths of a percent.

    Args:
        scores: ``precision``, ``recall`` and ``f1`` as fractions.
        decimals: printed decimals of the percentage.

    Raises:
        UserError: a score is missing, is outside 0 to 1, or has more digits than stated.
    """
    missing = [name for name in METRICS if name not in scores]
    if missing:
        raise UserError(f"Published scores need {', '.join(METRICS)}; {', '.join(missing)} not given.")
    exact = np.array([scores[name] for name in METRICS], dtype=float) * 10 ** (decimals + 2)
    if not ((exact >= 0) & (exact <= 10 ** (decimals + 2)) & (abs(exact - exact.round()) < 1e-6)).all():
        raise UserError(
            f"Found {dict(scores)}; expected fractions from 0 to 1 with {decimals} decimals of the percentage, "
            "as 0.9815 for 98.15 %. Divide percentages by 100, or change `decimals`."
        )
    return exact.round().astype(np.int64)


def score_fractions(tp: np.ndarray, fp: np.ndarray, positives: int, negatives: int, average: str) -> list[tuple]:
    """Return precision, recall and F1 of confusion matrices, each as numerator and denominator in whole numbers.

    A precision without any call of the class counts as 0, and the averaged F1 is the mean of the classes' F1, both as
    in scikit-learn.

    Args:
        tp, fp: true and false positives, int64 of one shape.
        positives, negatives: class sizes, at least 1.
        average: one of :data:`AVERAGES`.

    Raises:
        UserError: unknown average.
    """
    check_known(average, AVERAGES, "average")
    tn, fn = negatives - fp, positives - tp
    ones = np.ones_like(tp)
    # A class never predicted has precision 0 / 1.
    of_positive = [(tp, np.maximum(tp + fp, 1)), (tp, positives * ones), (2 * tp, tp + fp + positives)]
    of_negative = [(tn, np.maximum(tn + fn, 1)), (tn, negatives * ones), (2 * tn, tn + fn + negatives)]
    if average == "positive":
        return of_positive
    first, second = (1, 1) if average == "macro" else (positives, negatives)
    return [
        (first * a * d + second * c * b, (first + second) * b * d)
        for (a, b), (c, d) in zip(of_positive, of_negative, strict=True)
    ]


def rounded(numerator: np.ndarray, denominator: np.ndarray, scale: int, rounding: str) -> np.ndarray:
    """Return ``scale * numerator / denominator`` as whole numbers, rounded in one of the :data:`ROUNDINGS`."""
    check_known(rounding, ROUNDINGS, "rounding")
    if rounding == "truncated":
        return scale * numerator // denominator
    up = (2 * scale * numerator + denominator) // (2 * denominator)
    if rounding == "half-up":
        return up
    tie = 2 * scale * numerator + denominator == 2 * denominator * up
    return up - (tie & (up % 2 == 1))


def digits(
    tp: np.ndarray, fp: np.ndarray, positives: int, negatives: int, average: str, rounding: str, decimals: int = 2
) -> np.ndarray:
    """Return the printed triples (n, 3) of n confusion matrices, as :func:`printed` gives them.

    Raises:
        UserError: unknown average or rounding, or class sizes that :func:`size_pairs` refuses.
    """
    ((positives, negatives),) = size_pairs([(positives, negatives)], decimals)
    parts = score_fractions(np.asarray(tp), np.asarray(fp), positives, negatives, average)
    return np.stack([rounded(*part, 10 ** (decimals + 2), rounding) for part in parts], axis=-1)


def size_pairs(sizes: Iterable[tuple[int, int]], decimals: int = 2) -> list[tuple[int, int]]:
    """Check pairs of class sizes, positives first; one pair alone is a list of one.

    Raises:
        UserError: no pairs, a class without slices, or products that do not fit into 64-bit whole numbers.
    """
    pairs = np.array(list(sizes), dtype=np.int64, ndmin=2)
    if pairs.shape[1] != 2 or (pairs < 1).any():
        raise UserError(f"Found sizes {pairs.tolist()}; expected pairs (positives, negatives), each at least 1.")
    pairs = [tuple(pair) for pair in pairs.tolist()]
    if (most := max(map(sum, pairs))) ** 3 * 10 ** (decimals + 2) * 4 >= 2**63:
        raise UserError(f"{most} slices with {decimals} decimals are too many for exact 64-bit arithmetic.")
    return pairs


def _candidates(recall: int, reach: float, scale: int, pair: tuple[int, int], average: str) -> tuple:
    """Return (tp, fp) of every matrix whose recall is within ``reach`` printed steps, and a few more.

    Recall is ``weight * tp / positives + (1 - weight) * tn / negatives``. For each TP that leaves a narrow range of TN,
    here widened by :data:`SLACK`, so that floating-point error cannot lose a matrix.
    """
    (positives, negatives), low, high = pair, (recall - reach) / scale, (recall + reach) / scale
    if average == "positive":
        first = max(0, int(np.ceil(low * positives - SLACK)))
        last = min(positives, int(np.floor(high * positives + SLACK)))
        tp, fp = np.mgrid[first : last + 1, 0 : negatives + 1]
        return tp.ravel(), fp.ravel()
    weight = 0.5 if average == "macro" else positives / (positives + negatives)
    tp = np.arange(positives + 1)
    ends = [(limit - weight * tp / positives) * negatives / (1 - weight) for limit in (low, high)]
    first = np.ceil(ends[0] - SLACK).clip(0, None).astype(np.int64)
    last = np.floor(ends[1] + SLACK).clip(None, negatives).astype(np.int64)
    count = (last - first + 1).clip(0, None)
    # The ranges one behind the other: first[0], first[0] + 1, …, last[0], first[1], …
    tn = np.arange(count.sum()) + np.repeat(first - (count.cumsum() - count), count)
    return np.repeat(tp, count), negatives - tn


def solve(
    scores: dict[str, float],
    sizes: Iterable[tuple[int, int]],
    averages: Iterable[str] = AVERAGES,
    decimals: int = 2,
) -> pd.DataFrame:
    """Find every confusion matrix that prints exactly the published digits.

    Args:
        scores: published ``precision``, ``recall`` and ``f1`` as fractions.
        sizes: pairs of class sizes to try, positives first.
        averages: those of :data:`AVERAGES` to try.
        decimals: printed decimals of the percentage.

    Returns:
        One row a matrix and average: positives, negatives, average, tp, fp, fn, tn, and for each of the
        :data:`ROUNDINGS` whether it gives these digits; at least one does.

    Raises:
        UserError: ill scores, sizes or averages.
    """
    target, scale, found = printed(scores, decimals), 10 ** (decimals + 2), []
    for pair, average in itertools.product(size_pairs(sizes, decimals), averages):
        check_known(average, AVERAGES, "average")
        tp, fp = _candidates(int(target[1]), 1, scale, pair, average)  # every rounding is within one step
        # In the order recall, precision, F1: each leaves few for the next.
        for which in (1, 0, 2):
            part = score_fractions(tp, fp, *pair, average)[which]
            near = abs(rounded(*part, scale, "truncated") - target[which]) <= 1
            tp, fp = tp[near], fp[near]
        if not len(tp):  # nearly always, and the rest is what takes time
            continue
        fits = np.array([(digits(tp, fp, *pair, average, how, decimals) == target).all(axis=-1) for how in ROUNDINGS])
        for k in np.flatnonzero(fits.any(axis=0)):
            matrix = (int(count[k]) for count in (tp, fp, pair[0] - tp, pair[1] - fp))
            found.append((*pair, average, *matrix, *map(bool, fits[:, k])))
    return pd.DataFrame(found, columns=["positives", "negatives", "average", "tp", "fp", "fn", "tn", *ROUNDINGS])


def surprise(
    scores: dict[str, float],
    sizes: Iterable[tuple[int, int]],
    average: str,
    decimals: int = 2,
    within: float = 0.01,
    side: int = 1000,
) -> dict[str, float]:
    """Tell how often scores like the published ones would fit some matrix of these sizes by mere chance.

    A chance row is made of a true and a false positive rate that need not be whole numbers of slices: every pair of
    rates is equally likely whose three scores are all ``within`` the published ones. It is printed (half-up) with the
    same decimals, and fits when a whole-number matrix of any of the sizes prints the same triple.

    Args:
        scores, sizes, average, decimals: as for :func:`solve`. The middle pair of sizes gives the proportion of the
            classes behind the chance rows.
        within: half the width of the neighbourhood, as a fraction: 0.01 is one point.
        side: rates are tried on a lattice of this many by as many, laid over the neighbourhood.

    Returns:
        ``matrices`` of all the sizes; ``nearby``, those of them in the neighbourhood; ``chance``, the share of chance
        rows that fit, nan where no pair of rates comes near.
    """
    target, pairs, scale = printed(scores, decimals), size_pairs(sizes, decimals), 10 ** (decimals + 2)
    reach = within * scale
    base = (scale + 1) ** np.arange(3)  # makes one whole number of a triple

    def near(triples: np.ndarray) -> np.ndarray:
        return (abs(triples - target) <= reach).all(axis=-1)

    found = []
    for pair in pairs:
        tp, fp = _candidates(int(target[1]), reach + 1, scale, pair, average)
        triples = digits(tp, fp, *pair, average, "half-up", decimals)
        found.append(triples[near(triples)] @ base)
    found = np.concatenate(found)
    rows = _chance_rows(near, pairs[len(pairs) // 2], average, decimals, side)
    chance = np.isin(rows @ base, found).mean() if len(rows) else np.nan
    return {"matrices": sum((p + 1) * (n + 1) for p, n in pairs), "nearby": len(found), "chance": float(chance)}


def _chance_rows(near: Callable, pair: tuple[int, int], average: str, decimals: int, side: int) -> np.ndarray:
    """Return the printed triples (n, 3) of a lattice of real-valued rates, as far as they are ``near``."""
    ends = np.array([[0.0, 1.0], [0.0, 1.0]])  # of the true and the false positive rate
    for count in (400, 400, side):  # find the neighbourhood, look closer, lay the lattice over it
        step = np.diff(ends)[:, 0] / count
        rates = ends[:, :1] + (np.arange(count) + 0.5) * step[:, None]
        rates = np.stack(np.meshgrid(*rates, indexing="ij"), axis=-1).reshape(-1, 2)
        triples = digits(*(rates * pair).T, *pair, average, "half-up", decimals).astype(np.int64)
        inside = near(triples)
        if inside.any():
            ends = np.stack([rates[inside].min(axis=0) - step, rates[inside].max(axis=0) + step], axis=1).clip(0, 1)
    return triples[inside]

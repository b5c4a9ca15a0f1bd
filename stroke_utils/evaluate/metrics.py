"""Scores that carry their convention, their interval, their n and the trivial baseline beside them.

Neighbouring slices of one patient are not independent. Where patients are known, intervals resample patients with all
their slices; where they are not, as in the real data, they resample slices and are too narrow. Each score says which.
"""

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from stroke_utils.base.errors import UserError

BOOTSTRAP = 1000
"""Resamples behind a bootstrap interval."""


ANSWERS = ("always", "never")
"""The two trivial classifiers of two classes: one calls every slice positive, the other none."""


def score(
    value: float, low: float, high: float, n: int, baseline: float, unit: str = "slices", **trivial: float
) -> dict:
    """Return a score as the run records hold it.

    Args:
        value, low, high: the score and its 95 % interval.
        n: slices behind it.
        baseline: what a model scores that has learned nothing.
        unit: what the interval takes for independent.
        trivial: what each of :data:`ANSWERS` scores, where there are two classes.
    """
    numbers = {"value": float(value), "low": float(low), "high": float(high), "n": int(n), "baseline": float(baseline)}
    return numbers | {"unit": unit} | {answer: float(number) for answer, number in trivial.items()}


def trivial_scores(truth: np.ndarray) -> dict[str, dict[str, float]]:
    """Return what each of :data:`ANSWERS` scores by every metric of :func:`matrix_scores`, and by ``auc``.

    Both are needed for a score of one class: calling every slice positive has recall 1, and precision and F1 that grow
    with the share of positives; calling none has 0 in all three.

    Args:
        truth: (n,) 0 or 1.
    """
    calls = {"always": 1, "never": 0}
    matrices = {answer: confusion(truth, np.full(len(truth), call)) for answer, call in calls.items()}
    found = {answer: {name: float(v) for name, v in matrix_scores(m).items()} for answer, m in matrices.items()}
    return {answer: named | {"auc": 0.5} for answer, named in found.items()}


def confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the 2 × 2 confusion matrix, rows truth 0/1, columns prediction 0/1."""
    return sk.confusion_matrix(truth, predicted, labels=[0, 1])


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion; (nan, nan) for n = 0."""
    return proportion_confint(hits, n, method="wilson") if n else (np.nan, np.nan)


def cluster_codes(n: int, patients: np.ndarray | None) -> np.ndarray:
    """Number what is independent among ``n`` slices: each patient, and each slice of an unknown one."""
    names = pd.Series(range(n)) if patients is None else pd.Series(patients, dtype=object).reset_index(drop=True)
    return pd.factorize(names.mask(names.isna(), pd.Series([("slice", i) for i in range(n)])))[0]


def resamples(strata: np.ndarray, patients: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Draw bootstrap resamples as weights: how often each slice is in each of them.

    Args:
        strata: (n,) group of each slice, such as its true class: every resample draws from each group as often as it
            has members.
        patients: (n,) patient of each slice, missing where unknown (such a slice is drawn alone); with None all are
            drawn alone. A patient is drawn with all slices, from the group that most of them are in.
        seed: of the drawing.

    Returns:
        float array (``BOOTSTRAP``, n).
    """
    rng, n = np.random.default_rng(seed), len(strata)
    clusters = cluster_codes(n, patients)
    groups, codes = np.unique(pd.factorize(np.asarray(strata))[0], return_inverse=True)
    members = np.zeros((clusters.max() + 1, len(groups)))
    np.add.at(members, (clusters, codes), 1)
    stratum = members.argmax(axis=1)
    drawn = np.zeros((BOOTSTRAP, clusters.max() + 1))
    for code in np.unique(stratum):
        members = np.flatnonzero(stratum == code)
        drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), BOOTSTRAP)
    return drawn[:, clusters]


def unit_of(patients: np.ndarray | None) -> str:
    """Tell what an interval takes for independent: ``patients`` where all are known, else ``slices``.

    Where some are known, these are drawn whole all the same; to call the interval one of patients would promise more.
    """
    return "slices" if patients is None or pd.isna(np.asarray(patients, dtype=object)).any() else "patients"


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles of a statistic's resampled values."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def proportion_interval(hit: np.ndarray, weights: np.ndarray, clusters: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion, with n reduced by the design effect of clustered slices.

    The design effect is the variance over resamples divided by the binomial variance (Kish, *Survey Sampling*, 1965),
    at least 1. At a proportion of 0 or 1, where nothing varies, n is the number of clusters.

    Args:
        hit: (n,) 0 or 1.
        weights: resamples (b, n) of these slices.
        clusters: number of independent units among them.
    """
    n, p = len(hit), float(np.mean(hit)) if len(hit) else 0.0
    if not n:
        return np.nan, np.nan
    total = weights.sum(axis=1)
    means = (weights @ hit)[total > 0] / total[total > 0]
    effective = clusters if p in (0, 1) else n / max(1.0, means.var() * n / (p * (1 - p)))
    return wilson(p * effective, effective)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide, giving 0 where the denominator is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def matrix_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return every score of 2 × 2 confusion matrices by convention; an undefined precision counts as 0.

    Array (…, 2, 2) in, rows truth 0/1 and columns prediction 0/1; arrays (…) out.
    """
    matrix = np.asarray(matrix, dtype=float)
    right, support, predicted = np.einsum("...ii->...i", matrix), matrix.sum(axis=-1), matrix.sum(axis=-2)
    precision, recall = _ratio(right, predicted), _ratio(right, support)
    values = {"precision": precision, "recall": recall, "f1": _ratio(2 * precision * recall, precision + recall)}
    share = _ratio(support, support.sum(axis=-1, keepdims=True))
    out = {}
    for average, weights in (("positive", np.array([0, 1])), ("macro", np.array([0.5, 0.5])), ("weighted", share)):
        out |= {f"{average}_{name}": (value * weights).sum(axis=-1) for name, value in values.items()}
    return out | {
        "specificity": recall[..., 0],
        "accuracy": _ratio(right.sum(axis=-1), support.sum(axis=-1)),
        "balanced_accuracy": recall.mean(axis=-1),
    }


def classification_scores(
    truth: np.ndarray,
    probability: np.ndarray,
    threshold: float = 0.5,
    seed: int = 0,
    patients: np.ndarray | None = None,
) -> dict:
    """Score a two-class classifier in every convention.

    Args:
        truth: (n,) 0 or 1; class 1 is positive (stroke in detection, hemorrhage among the types).
        probability: (n,) of class 1.
        threshold: probabilities at or above it are predicted positive.
        seed: of the bootstrap.
        patients: (n,) patient of each slice, missing or None where unknown.

    Returns:
        Score dictionaries by metric: ``positive_``, ``macro_`` and ``weighted_`` precision, recall and F1, specificity,
        accuracy, balanced accuracy and ``auc``. Proportions carry Wilson's interval, the others a bootstrap within each
        class; both take patients for independent where they are known, else slices. The baseline always calls the more
        frequent class; its AUC is 0.5. Each score also has both of :func:`trivial_scores`.

    Raises:
        UserError: one of the classes is absent.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    positives, n = int(truth.sum()), len(truth)
    if positives in (0, n):
        raise UserError(f"Scores need slices of both classes; found {positives} positive of {n}.")
    predicted = (probability >= threshold).astype(int)
    values = matrix_scores(confusion(truth, predicted))
    trivial = trivial_scores(truth)
    frequent = trivial["always" if positives * 2 > n else "never"]
    weights, unit = resamples(truth, patients, seed), unit_of(patients)
    cells = [[weights @ ((truth == t) & (predicted == c)) for c in (0, 1)] for t in (0, 1)]
    resampled = matrix_scores(np.moveaxis(np.array(cells), -1, 0))
    correct, names = truth == predicted, cluster_codes(n, patients)
    proportions = {
        "positive_recall": truth == 1,
        "positive_precision": predicted == 1,
        "specificity": truth == 0,
        "accuracy": np.full(n, True),
    }
    out = {}
    for name, value in values.items():
        both = {answer: trivial[answer][name] for answer in ANSWERS}
        if name in proportions:
            of = proportions[name]
            interval = proportion_interval(correct[of], weights[:, of], len(np.unique(names[of])))
            out[name] = score(value, *interval, of.sum(), frequent[name], unit, **both)
        else:
            out[name] = score(value, *percentiles(resampled[name]), n, frequent[name], unit, **both)
    return out | {"auc": _auc(truth, probability, weights, unit)}


def auc_score(truth: np.ndarray, probability: np.ndarray, seed: int = 0, patients: np.ndarray | None = None) -> dict:
    """Return the score dictionary of the AUC alone, as :func:`classification_scores` has it. Arguments as there."""
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    return _auc(truth, probability, resamples(truth, patients, seed), unit_of(patients))


def _auc(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray, unit: str) -> dict:
    interval = percentiles(resampled_auc(truth, probability, weights))
    return score(sk.roc_auc_score(truth, probability), *interval, len(truth), 0.5, unit, always=0.5, never=0.5)


def resampled_auc(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC of each resample: the weighted share of pairs in the right order, ties counting half."""
    above = probability[truth == 1][:, None], probability[truth == 0][None]
    ordered = (above[0] > above[1]) + 0.5 * (above[0] == above[1])
    positive, negative = weights[:, truth == 1], weights[:, truth == 0]
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.einsum("bp,bp->b", positive, negative @ ordered.T) / np.where(pairs, pairs, np.nan)


RECALL = 0.88
"""Share of strokes that the paper's threshold must find."""


def choose_threshold(
    truth: np.ndarray, probability: np.ndarray, recall: float = RECALL, average: str = "positive"
) -> float:
    """Return the threshold of highest precision among those that keep ``recall``.

    The paper keeps the recall "while holding precision" and says no more; to take the highest precision is ours. Call
    it on validation slices only. Every midpoint between two neighbouring probabilities is a candidate; among
    equal precisions the higher recall wins, then the threshold nearest to 0.5.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        recall: what must be kept; where no threshold keeps it, the highest recall there is.
        average: ``positive`` for precision and recall of class 1, ``macro`` for the means of both classes.
    """
    table = threshold_curve(truth, probability)
    if average == "macro":
        predicted = np.asarray(probability)[None] >= table["threshold"].to_numpy()[:, None]
        found = matrix_scores([confusion(truth, row) for row in predicted.astype(int)])
        table = table.assign(precision=found["macro_precision"], recall=found["macro_recall"])
    kept = table[table["recall"] >= min(recall, table["recall"].max())]
    best = kept[kept["precision"] == kept["precision"].max()]
    best = best[best["recall"] == best["recall"].max()]
    return float(best.loc[(best["threshold"] - 0.5).abs().idxmin(), "threshold"])


def best_f1_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return the threshold of highest macro F1; among equal ones the nearest to 0.5. Call it on validation only."""
    truth, cuts = np.asarray(truth, dtype=int), threshold_curve(truth, probability)["threshold"]
    f1 = [matrix_scores(confusion(truth, np.asarray(probability) >= cut))["macro_f1"] for cut in cuts]
    best = cuts[np.isclose(f1, max(f1), rtol=0, atol=1e-12)]
    return float(best[(best - 0.5).abs().idxmin()])


def thresholds(
    truth: np.ndarray, probability: np.ndarray, split: pd.Series, recall: float = RECALL
) -> dict[str, float]:
    """Return every threshold that a detector is tested at; all but the last are chosen without a look at the test.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        split: (n,) ``validation``, ``test`` or anything else.
        recall: what the paper's rule must keep.

    Returns:
        ``rule``: :func:`choose_threshold` on validation. ``macro_rule``: the same by macro averages. ``at_half``: 0.5.
        ``at_best_f1``: :func:`best_f1_threshold` on validation. ``on_test``: the rule on the test itself, which no
        honest score may use; absent where there is no test.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    validation, test = np.asarray(split) == "validation", np.asarray(split) == "test"
    found = {
        "rule": choose_threshold(truth[validation], probability[validation], recall),
        "macro_rule": choose_threshold(truth[validation], probability[validation], recall, "macro"),
        "at_half": 0.5,
        "at_best_f1": best_f1_threshold(truth[validation], probability[validation]),
    }
    return found | ({"on_test": choose_threshold(truth[test], probability[test], recall)} if test.any() else {})


def threshold_curve(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Return precision and recall of class 1 at every threshold that changes a call.

    Returns:
        Columns ``threshold`` (rising, from 0 to just above the highest probability but one), ``precision``, ``recall``.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    order = np.argsort(probability, kind="stable")
    levels, first = np.unique(probability[order], return_index=True)
    # Calling everything from `levels[k]` up: positives are those from position first[k] on.
    hits = truth[order][::-1].cumsum()[::-1][first]
    predicted = len(truth) - first
    cuts = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2])
    return pd.DataFrame({"threshold": cuts, "precision": hits / predicted, "recall": hits / truth.sum()})


def mean_score(
    values: np.ndarray | pd.Series,
    groups: np.ndarray,
    seed: int = 0,
    baseline: float = 0.0,
    patients: np.ndarray | None = None,
) -> dict:
    """Return the mean over slices with a bootstrap interval; nan slices (no lesion) count neither in mean nor in n.

    Args:
        values: (n,) a score of each slice.
        groups: (n,) resampled one by one, as the types.
        seed: of the bootstrap.
        baseline: the trivial model's mean.
        patients: (n,) patient of each slice, missing or None where unknown.
    """
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)
    known = ~np.isnan(values)
    if not known.any():
        raise UserError("No slice with a lesion to score.")
    of = None if patients is None else np.asarray(patients, dtype=object)[known]
    weights = resamples(groups[known], of, seed)
    interval = percentiles(weights @ values[known] / weights.sum(axis=1))
    return score(values[known].mean(), *interval, known.sum(), baseline, unit_of(of))

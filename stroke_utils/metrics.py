"""Scores that carry their convention, their interval, their n and the trivial baseline beside them.

Intervals treat slices as independent. Neighbouring slices of one patient are not, so where a data set has several
slices of a patient the intervals are too narrow; the real data name no patients, so there is nothing better there.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from stroke_utils.files import UserError

BOOTSTRAP = 1000
"""Resamples behind a bootstrap interval."""


def score(value: float, low: float, high: float, n: int, baseline: float) -> dict[str, float]:
    """Return a score as the run records hold it."""
    return {"value": float(value), "low": float(low), "high": float(high), "n": int(n), "baseline": float(baseline)}


def confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the 2 × 2 confusion matrix, rows truth 0/1, columns prediction 0/1."""
    return sk.confusion_matrix(truth, predicted, labels=[0, 1])


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion; (nan, nan) for n = 0."""
    return proportion_confint(hits, n, method="wilson") if n else (np.nan, np.nan)


def bootstrap(
    statistic: Callable[[np.ndarray], float], groups: np.ndarray, seed: int = 0, resamples: int = BOOTSTRAP
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic of slices, resampled within each group.

    Args:
        statistic: function of an index array.
        groups: (n,) group of each slice, as its true class: every resample keeps the groups' sizes.
        seed: of the resampling.
        resamples: how many.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    values = [
        statistic(np.concatenate([rng.choice(m, len(m), replace=True) for m in members])) for _ in range(resamples)
    ]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _matrix_scores(matrix: np.ndarray) -> dict[str, float]:
    """Return every score of a 2 × 2 confusion matrix by convention; an undefined precision counts as 0."""
    (tn, fp), (fn, tp) = np.asarray(matrix, dtype=float)

    def ratio(a: float, b: float) -> float:
        return a / b if b else 0.0

    precision, recall = (
        np.array([ratio(tn, tn + fn), ratio(tp, tp + fp)]),
        np.array([ratio(tn, tn + fp), ratio(tp, tp + fn)]),
    )
    f1 = np.array([ratio(2 * p * r, p + r) for p, r in zip(precision, recall, strict=True)])
    support = np.array([tn + fp, fn + tp])
    out = {}
    for name, weights in (
        ("positive", np.array([0, 1])),
        ("macro", np.array([0.5, 0.5])),
        ("weighted", support / support.sum()),
    ):
        out |= {
            f"{name}_precision": precision @ weights,
            f"{name}_recall": recall @ weights,
            f"{name}_f1": f1 @ weights,
        }
    return out | {
        "specificity": recall[0],
        "accuracy": ratio(tn + tp, support.sum()),
        "balanced_accuracy": recall.mean(),
    }


def classification_scores(truth: np.ndarray, probability: np.ndarray, threshold: float = 0.5, seed: int = 0) -> dict:
    """Score a two-class classifier in every convention.

    Args:
        truth: (n,) 0 or 1; class 1 is positive (stroke in detection, hemorrhage among the types).
        probability: (n,) of class 1.
        threshold: probabilities at or above it are called positive.
        seed: of the bootstrap.

    Returns:
        Score dictionaries by metric: ``positive_``, ``macro_`` and ``weighted_`` precision, recall and F1, specificity,
        accuracy, balanced accuracy and ``auc``. Proportions carry Wilson's interval, the others a bootstrap over slices
        within each class. The baseline always calls the more frequent class; its AUC is 0.5.

    Raises:
        UserError: one of the classes is absent.
    """
    truth, probability = np.asarray(truth, dtype=int), np.asarray(probability, dtype=float)
    positives, n = int(truth.sum()), len(truth)
    if positives in (0, n):
        raise UserError(f"Scores need slices of both classes; found {positives} positive of {n}.")
    called = (probability >= threshold).astype(int)
    matrix = confusion(truth, called)
    values = _matrix_scores(matrix)
    trivial = _matrix_scores(confusion(truth, np.full(n, int(positives * 2 > n))))
    proportions = {
        "positive_recall": (matrix[1, 1], positives),
        "positive_precision": (matrix[1, 1], called.sum()),
        "specificity": (matrix[0, 0], n - positives),
        "accuracy": (np.trace(matrix), n),
    }
    resampled = _bootstrap_matrix_scores(matrix, seed)
    out = {}
    for name, value in values.items():
        if name in proportions:
            hits, of = proportions[name]
            low, high = wilson(int(hits), int(of))
            out[name] = score(value, low, high, of, trivial[name])
        else:
            low, high = np.percentile([r[name] for r in resampled], [2.5, 97.5])
            out[name] = score(value, low, high, n, trivial[name])
    interval = bootstrap(lambda i: sk.roc_auc_score(truth[i], probability[i]), truth, seed)
    out["auc"] = score(sk.roc_auc_score(truth, probability), *interval, n, 0.5)
    return out


def _bootstrap_matrix_scores(matrix: np.ndarray, seed: int) -> list[dict[str, float]]:
    """Resample slices within each class: the number called positive in a class is then binomial."""
    rng = np.random.default_rng(seed)
    sizes = matrix.sum(axis=1)
    calls = rng.binomial(sizes, matrix[:, 1] / sizes, size=(BOOTSTRAP, 2))
    return [_matrix_scores(np.stack([sizes - c, c], axis=1)) for c in calls]


def choose_threshold(truth: np.ndarray, probability: np.ndarray, recall: float = 0.88) -> float:
    """Return the threshold of highest precision among those that keep ``recall``, as the paper describes.

    Call it on validation slices only. Every midpoint between two neighbouring probabilities is a candidate; among
    equal precisions the higher recall wins, then the threshold nearest to 0.5.
    """
    table = threshold_curve(truth, probability)
    kept = table[table["recall"] >= recall]
    best = kept[kept["precision"] == kept["precision"].max()]
    best = best[best["recall"] == best["recall"].max()]
    return float(best.loc[(best["threshold"] - 0.5).abs().idxmin(), "threshold"])


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
    called = len(truth) - first
    cuts = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2])
    return pd.DataFrame({"threshold": cuts, "precision": hits / called, "recall": hits / truth.sum()})


def dice(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Return 2 |A ∩ B| / (|A| + |B|) of two boolean arrays; nan where the reference is empty."""
    if not reference.any():
        return float("nan")
    return 2.0 * np.count_nonzero(reference & predicted) / (np.count_nonzero(reference) + np.count_nonzero(predicted))


def mask_scores(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Score one slice's class mask (H, W) of 0/1/2 against its reference.

    Returns:
        ``lesion_dice`` and ``lesion_iou``: any lesion class against any, type ignored. ``typed_dice``: the pixels of
        the slice's own type in both masks; spots of the other type are not held against it. All nan where the reference
        has no lesion. Areas in pixels.
    """
    kind = int(np.bincount(reference[reference > 0]).argmax()) if (reference > 0).any() else 0
    overlap = dice(reference > 0, predicted > 0)
    return {
        "lesion_dice": overlap,
        "lesion_iou": overlap / (2 - overlap),
        "typed_dice": dice(reference == kind, predicted == kind) if kind else float("nan"),
        "reference_px": int((reference > 0).sum()),
        "predicted_px": int((predicted > 0).sum()),
    }


def mean_score(values: np.ndarray | pd.Series, groups: np.ndarray, seed: int = 0, baseline: float = 0.0) -> dict:
    """Return the mean over slices with a bootstrap interval; nan slices (no lesion) count neither in mean nor in n."""
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    if not len(values):
        raise UserError("No slice with a lesion to score.")
    low, high = bootstrap(lambda i: values[i].mean(), groups, seed)
    return score(values.mean(), low, high, len(values), baseline)


def segmentation_scores(table: pd.DataFrame, seed: int = 0) -> dict:
    """Average the per-slice scores of one pile, resampling slices within each type for the intervals.

    Args:
        table: rows of :func:`stroke_utils.predict.segment`.
        seed: of the bootstrap.

    Returns:
        ``lesion_dice``, ``lesion_iou`` and ``typed_dice`` over all slices, and ``<type>_dice``, the lesion Dice of the
        slices of one type. The baseline, all background, scores 0 on every slice with a lesion.
    """
    names = ("lesion_dice", "lesion_iou", "typed_dice")
    out = {name: mean_score(table[name], table["label"], seed) for name in names}
    for label, rows in table.groupby("label"):
        out[f"{label}_dice"] = mean_score(rows["lesion_dice"], rows["label"], seed)
    return out


def soft_scores(history: pd.DataFrame, limits: pd.DataFrame, n: int) -> dict:
    """Return the soft validation F1 and IoU of the kept epoch, as the paper's Table III has them.

    There is no interval: the convention gives one number per batch, not per slice. The baseline is all background.

    Args:
        history: of :func:`stroke_utils.training.fit`, with the metrics of segmentation-models.
        limits: of :func:`convention_limits` on the same batches.
        n: validation slices.
    """
    kept = history.loc[history["val_loss"].idxmin()]
    values = {"f1": kept["val_f1_score"], "iou": kept["val_iou_score"]}
    floor = limits.loc["all background"]
    return {f"soft_{k}": score(v, np.nan, np.nan, n, floor[k]) for k, v in values.items()}


def soft_overlap(reference: np.ndarray, predicted: np.ndarray, smooth: float = 1e-5) -> tuple[float, float]:
    """Return F1 and IoU by segmentation-models' convention, as the paper's Table III uses them.

    Probabilities are not thresholded; sums run over the whole batch, and the mean over all classes includes the
    background (segmentation-models 1.0.1, ``f1_score`` and ``iou_score``).

    Args:
        reference: one-hot (b, H, W, 3).
        predicted: probabilities of the same shape.
        smooth: added to numerator and denominator, so that a class in neither counts as 1.
    """
    reference, predicted = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    both = (reference * predicted).sum(axis=(0, 1, 2))
    total = (reference + predicted).sum(axis=(0, 1, 2))
    f1 = (2 * both + smooth) / (total + smooth)
    iou = (both + smooth) / (total - both + smooth)
    return float(f1.mean()), float(iou.mean())


def convention_limits(class_masks: list[np.ndarray], batch: int, leak: float = 1e-6) -> pd.DataFrame:
    """Compute what a perfect and an all-background prediction score by :func:`soft_overlap` on these very batches.

    Args:
        class_masks: masks (H, W) of 0/1/2, in the order in which they are batched; all of one shape.
        batch: slices per batch; scores are averaged over batches, as Keras does.
        leak: probability that a softmax leaves to each wrong class.

    Returns:
        Rows ``perfect`` and ``all background``, columns ``f1`` and ``iou``.
    """
    rows = {"perfect": [], "all background": []}
    for first in range(0, len(class_masks), batch):
        truth = np.eye(3)[np.stack(class_masks[first : first + batch])]
        background = np.zeros_like(truth)
        background[..., 0] = 1
        for name, prediction in (("perfect", truth), ("all background", background)):
            rows[name].append(soft_overlap(truth, prediction * (1 - 3 * leak) + leak))
    return pd.DataFrame({name: np.mean(values, axis=0) for name, values in rows.items()}, index=["f1", "iou"]).T

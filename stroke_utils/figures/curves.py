"""Curves of classifiers: what every threshold would give, and whether a probability means what it says."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from sklearn import metrics as sk

from stroke_utils.evaluate import metrics
from stroke_utils.figures.canvas import several, single

_MARKS = "osD^v"


def operating_curves(
    truth: np.ndarray, answers: dict[str, np.ndarray], points: dict[str, dict[str, float]],
    positive: str = "stroke", figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw the ROC and the precision-recall curve of several models, with the points that some thresholds choose.

    The dashed lines are a model that guesses: the diagonal, and the share of positives.

    Args:
        truth: (n,) 0 or 1.
        answers: (n,) probabilities of class 1 by title of the model.
        points: thresholds by title of the model and name of the threshold.
        positive: name of class 1.
        figure: where to draw.
    """
    truth = np.asarray(truth, dtype=int)
    (axes,) = several(figure, 1, 2, (10.5, 4.4))
    for k, (title, probability) in enumerate(answers.items()):
        wrong, right, _ = sk.roc_curve(truth, probability)
        precision, recall, _ = sk.precision_recall_curve(truth, probability)
        axes[0].plot(wrong, right, color=f"C{k}", lw=1.5, label=title)
        axes[1].plot(recall, precision, color=f"C{k}", lw=1.5, drawstyle="steps-post")
        for mark, (name, threshold) in zip(_MARKS, points[title].items(), strict=False):
            found = metrics.matrix_scores(metrics.confusion(truth, np.asarray(probability) >= threshold))
            how = {"color": f"C{k}", "mec": "k", "mew": 0.7, "ms": 7, "zorder": 3}
            axes[0].plot(1 - found["specificity"], found["positive_recall"], mark, **how)
            axes[1].plot(found["positive_recall"], found["positive_precision"], mark, **how)
            if not k:
                axes[1].plot([], [], f"k{mark}", mfc="w", ms=7, label=name)
    axes[0].plot([0, 1], [0, 1], "--", color="0.5", lw=1, label="guessing")
    axes[1].axhline(truth.mean(), ls="--", color="0.5", lw=1, label=f"always {positive}: {truth.mean():.2f}")
    axes[0].set(xlabel=f"share of the others predicted {positive} (1 − specificity)", ylabel=f"recall of {positive}")
    axes[1].set(xlabel=f"recall of {positive}", ylabel=f"precision of {positive}")
    for axis, title in zip(axes, ("ROC curve", "precision-recall curve"), strict=True):
        axis.set(title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axis.legend(frameon=False, fontsize=8, loc="lower right" if axis is axes[0] else "lower left")
    return axes


def threshold_trade(
    truth: np.ndarray, probability: np.ndarray, points: dict[str, float], title: str, ax: Axes | None = None
) -> Axes:
    """Draw recall, specificity and macro F1 of one model over the threshold, with some thresholds as upright lines.

    At the left end every slice is predicted positive, at the right end none: the two trivial answers. The dotted line
    is the better macro F1 of the two.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of class 1.
        points: thresholds by name.
        title: of the picture.
        ax: where to draw.
    """
    probability, cuts = np.asarray(probability), np.linspace(0, 1, 401)
    cuts[-1] = 1.001  # above a probability of 1, so that none is predicted positive
    found = metrics.matrix_scores([metrics.confusion(truth, probability >= cut) for cut in cuts])
    axis = single(ax, (8, 3.6))
    for name in ("positive_recall", "specificity", "macro_f1"):
        axis.plot(cuts, found[name], label=name.replace("positive_", "").replace("_f1", " F1"))
    trivial = max(answer["macro_f1"] for answer in metrics.trivial_scores(truth).values())
    axis.axhline(trivial, color="C2", ls=":", lw=1.2, label=f"macro F1 of a trivial answer: {trivial:.2f}")
    for style, (name, cut) in zip(("-", "--", "-.", ":", (0, (1, 4))), points.items(), strict=False):
        axis.axvline(cut, color="k", lw=1, ls=style, label=f"{name}: {cut:.3f}")
    axis.set(title=title, xlabel="threshold on the probability", ylabel="score", xlim=(0, 1), ylim=(-0.02, 1.02))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    return axis


def reliability(tables: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw how often slices of a like probability are positive, with intervals.

    Args:
        tables: of :func:`stroke_utils.evaluate.calibration.reliability` by title of the model.
        ax: where to draw.
    """
    axis = single(ax, (5.6, 4.2))
    axis.plot([0, 1], [0, 1], "--", color="0.5", lw=1, label="says what it means")
    for title, table in tables.items():
        ends = [(table["share"] - table["low"]).clip(lower=0), (table["high"] - table["share"]).clip(lower=0)]
        axis.errorbar(table["probability"], table["share"], ends, fmt="o-", ms=5, lw=1.3, capsize=2, label=title)
    first = next(iter(tables.values()))
    rate = np.average(first["share"], weights=first["n"])
    axis.axhline(rate, color="0.5", ls=":", lw=1.2, label=f"share of all slices: {rate:.2f}")
    axis.set(
        xlabel="mean probability of a group", ylabel="share of strokes in it", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02)
    )
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return axis

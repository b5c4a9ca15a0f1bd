"""Figures of notebook 08: what a split flatters, and what probes for shortcuts find."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stroke_utils.figures.canvas import several, single

CHANCE = {"color": "0.5", "linestyle": "--", "linewidth": 1, "zorder": 0}
"""The line of a guess."""


def inflation(
    table: pd.DataFrame, points: pd.DataFrame, figure: Figure | SubFigure | None = None, test: str = "session 1"
) -> np.ndarray:
    """Draw the AUC of validation by what the split keeps together, and how much it is above that of the last row.

    Args:
        table: of :func:`stroke_utils.evaluate.leakage.compared`.
        points: AUCs of single networks: split_by, seed, part (``validation`` or the test), auc.
        figure: where to draw.
        test: name of the test, whose AUCs are drawn hollow; there may be none.
    """
    left, right = several(figure, 1, 2, (9, 3.7), width_ratios=(3, 2))[0]
    place = {name: i for i, name in enumerate(table.index)}
    for part, shift, face in (("validation", -0.05, "C0"), ("test", 0.2, "white")):
        own = points[(points["part"] == "validation") == (part == "validation")]
        label = "validation, one seed" if part == "validation" else f"{test}, one seed"
        if len(own):
            where = own["split_by"].map(place) + shift
            left.scatter(where, own["auc"], s=32, facecolor=face, edgecolor="C0", label=label, zorder=3)
    middle = table["auc"].to_numpy()
    ends = np.abs(table[["low", "high"]].to_numpy().T - middle)
    x = np.arange(len(table)) - 0.25
    left.errorbar(x, middle, ends, fmt="s", color="k", capsize=3, markersize=4, label="validation, mean and interval")
    left.axhline(0.5, **CHANCE)
    left.text(len(table) - 0.55, 0.505, "guess", color="0.4", fontsize=8, ha="right", va="bottom")
    left.set(ylabel="AUC", ylim=(min(0.45, table["low"].min() - 0.02), 1.02), xlim=(-0.55, len(table) - 0.45))
    left.set_xticks(range(len(table)), [f"by {name}" for name in table.index])
    left.legend(fontsize=7.5, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, frameon=False, columnspacing=1)
    others = table[:-1]
    middle = others["inflation"].to_numpy()
    ends = np.abs(others[["inflation_low", "inflation_high"]].to_numpy().T - middle)
    right.errorbar(np.arange(len(others)), middle, ends, fmt="s", color="k", capsize=3, markersize=4)
    right.axhline(0, **CHANCE)
    right.set(ylabel=f"AUC above the split by {table.index[-1]}", xlim=(-0.6, len(others) - 0.4))
    right.set_xticks(range(len(others)), [f"by {name}" for name in others.index])
    return np.array([left, right])


def probe_intervals(audits: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the AUC of every probe with its interval, one colour an audit; a probe without a verdict has no mark.

    Args:
        audits: tables of :func:`stroke_utils.evaluate.probes.audit` by what each is of.
        ax: where to draw.
    """
    names = list(next(iter(audits.values())).index)
    axis = single(ax, (7.2, 0.9 + 0.36 * len(names)))
    for k, (title, table) in enumerate(audits.items()):
        y = np.arange(len(names)) + 0.22 * (k - (len(audits) - 1) / 2)
        middle = table["auc"].astype(float).to_numpy()
        ends = np.abs(table[["low", "high"]].astype(float).to_numpy().T - middle)
        axis.errorbar(middle, y, xerr=ends, fmt="o", color=f"C{k}", capsize=2, markersize=4, label=title)
    axis.axvline(0.5, **CHANCE)
    units = sorted({unit.removesuffix("s") for table in audits.values() for unit in table["unit"].dropna()})
    axis.set(xlabel=f"AUC of stroke, interval by {' or '.join(units)}", xlim=(0.2, 1.02), ylim=(len(names) - 0.5, -0.5))
    axis.set_yticks(range(len(names)), names)
    if len(audits) > 1:
        axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(audits), frameon=False)
    return axis

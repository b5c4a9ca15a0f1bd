"""Figures of how far a network can be trusted: notebook 09."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from stroke_utils.base.vocabulary import TYPES
from stroke_utils.data.pixels import read_rgb
from stroke_utils.figures.canvas import nothing, several, single
from stroke_utils.figures.results import outlined
from stroke_utils.figures.style import COLOURS

LEAST_RATIO = 0.05
"""Where :func:`attention_by_size` draws what is less, 0 included: a logarithmic axis has no 0."""


def reliability_panels(tables: dict[str, pd.DataFrame], figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw a reliability diagram for each model: above the diagonal positives are more frequent than it says.

    Args:
        tables: of :func:`stroke_utils.evaluate.calibration.reliability` by title of the model.
        figure: where to draw.
    """
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    axes = several(figure, rows, columns, (3.1 * columns, 3.0 * rows), sharex=True, sharey=True)
    for axis in axes.flat[len(tables) :]:
        axis.set_visible(False)
    for axis, (title, table) in zip(axes.flat, tables.items(), strict=False):
        axis.plot([0, 1], [0, 1], "--", color="0.6", lw=1)
        ends = [(table["share"] - table["low"]).clip(lower=0), (table["high"] - table["share"]).clip(lower=0)]
        axis.errorbar(table["probability"], table["share"], ends, fmt="o", ms=5, lw=1.2, capsize=2)
        axis.set(title=title, xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    for k in range(columns):
        lowest = [axis for axis in axes[:, k] if axis.get_visible()][-1]
        lowest.set_xlabel("mean probability of a group")
        lowest.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("share of positives in it")
    return axes.ravel()[: len(tables)]


def decision_curves(tables: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the net benefit of models over the threshold, beside those of calling every slice and of calling none.

    Args:
        tables: of :func:`stroke_utils.evaluate.decision.net_benefit` by title, at the same thresholds.
        ax: where to draw.
    """
    axis = single(ax, (7.6, 3.6))
    for k, (title, table) in enumerate(tables.items()):
        axis.fill_between(table["threshold"], table["low"], table["high"], color=f"C{k}", alpha=0.15, lw=0)
        axis.plot(table["threshold"], table["net_benefit"], color=f"C{k}", label=title)
    axis.plot(table["threshold"], table["everyone"], "--", color="0.4", lw=1.2, label="call every slice")
    axis.axhline(0, color="0.4", lw=1.2, ls=":", label="call none")
    top = max(table["high"].max() for table in tables.values())
    axis.set(xlabel="threshold = how sure one wants to be before acting", ylabel="net benefit (share of slices)")
    axis.set(xlim=(table["threshold"].min(), table["threshold"].max()), ylim=(-0.15 * top, 1.15 * top))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def coverage_curves(tables: dict[str, pd.DataFrame], least: float = 0.3, ax: Axes | None = None) -> Axes:
    """Draw the error among the surest slices over the share of slices that a model answers.

    Args:
        tables: of :func:`stroke_utils.evaluate.decision.selective` by title.
        least: coverage at the left end; of a few slices the error means little.
        ax: where to draw.
    """
    axis = single(ax, (7.6, 3.6))
    for k, (title, table) in enumerate(tables.items()):
        shown = table[table["coverage"] >= least]
        axis.fill_between(shown["coverage"], shown["low"], shown["high"], color=f"C{k}", alpha=0.15, lw=0)
        axis.plot(shown["coverage"], shown["error"], color=f"C{k}", label=title)
        axis.plot(shown["coverage"], shown["best"], color=f"C{k}", lw=1, ls=":", label="the same errors, ranked last")
        axis.axhline(table["error"].iloc[-1], color=f"C{k}", lw=1, ls="--", label="doubtful ones drawn by lot")
    axis.set(xlabel="coverage: share of slices that the network answers", ylabel="error among these")
    axis.set(xlim=(least, 1), ylim=(0, None))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def long_run(history: pd.DataFrame, best: int, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw loss and accuracy of one training on training and validation slices, with the epoch of lowest loss.

    A grey line is a guess between two classes: a loss of minus the logarithm of one half, an accuracy of one half.

    Args:
        history: of :func:`stroke_utils.learn.training.fit`.
        best: epoch of the lowest validation loss, counted from 1.
        figure: where to draw.
    """
    (axes,) = several(figure, 1, 2, (9.5, 3.2))
    for axis, name, guess in zip(axes, ("loss", "accuracy"), (np.log(2), 0.5), strict=True):
        axis.plot(history["epoch"], history[name], "--", color="C0", label="training")
        axis.plot(history["epoch"], history[f"val_{name}"], color="C1", label="validation")
        axis.axvline(best, color="0.4", lw=1, ls=":", label="lowest validation loss")
        axis.axhline(guess, color="0.5", lw=1, ls="-.", label="guessing")
        axis.set(xlabel="epoch", ylabel=name, xlim=(1, max(2, history["epoch"].max())))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    # One wild epoch must not flatten the rest.
    axes[0].set_ylim(0, 1.25 * max(0.1, history[["loss", "val_loss"]].quantile(0.95).max()))
    axes[1].set_ylim(min(0.4, history[["accuracy", "val_accuracy"]].min().min()), 1.03)
    axes[0].legend(frameon=False)
    return axes


def learning_curve(trials: pd.DataFrame, score: str = "AUC", ax: Axes | None = None) -> Axes:
    """Draw a score over the number of patients that a network was trained on: each seed a dot, the mean a line.

    Args:
        trials: one row a training: patients, seed, the score, low and high.
        score: name of its column.
        ax: where to draw.
    """
    axis = single(ax, (6.4, 3.4))
    seeds = sorted(trials["seed"].unique())
    for k, seed in enumerate(seeds):
        rows = trials[trials["seed"] == seed]
        x = rows["patients"] * (1 + 0.05 * (k - (len(seeds) - 1) / 2))  # side by side
        ends = [(rows[score] - rows["low"]).clip(lower=0), (rows["high"] - rows[score]).clip(lower=0)]
        axis.errorbar(x, rows[score], ends, fmt="o", color=f"C{k}", ms=5, lw=1.2, capsize=2, label=f"seed {seed}")
    axis.plot(trials.groupby("patients")[score].mean(), color="0.3", lw=1.2, label="mean of the seeds")
    if score == "AUC":
        axis.axhline(0.5, color="0.5", lw=1, ls="--", label="guessing")
    numbers = sorted(trials["patients"].unique())
    axis.set(xscale="log", xlabel="patients in training", ylabel=score)
    axis.set_xticks(numbers, [str(n) for n in numbers])
    axis.minorticks_off()
    axis.set_xlim(numbers[0] / 1.25, numbers[-1] * 1.25)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def answers_under_change(table: pd.DataFrame, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw, for each change of the slices, the AUC with its interval, and what becomes of the calls.

    Args:
        table: indexed by change, the first without any: AUC, low, high, ``new misses`` and ``new alarms`` (shares of
            all slices whose call the change turned).
        figure: where to draw.
    """
    (axes,) = several(figure, 1, 2, (9.8, 0.8 + 0.36 * len(table)), sharey=True)
    places = np.arange(len(table))
    axes[0].axvline(table["AUC"].iloc[0], color="0.6", lw=1, ls="--")
    axes[0].hlines(places, table["low"], table["high"], color="C0", lw=2)
    axes[0].plot(table["AUC"], places, "o", color="C0", ms=6)
    axes[0].set_yticks(places, table.index)
    axes[0].set(xlabel="AUC, dashed: as it is", ylim=(len(table) - 0.5, -0.5))
    axes[1].barh(places, 100 * table["new misses"], color="C3", label="stroke no longer predicted")
    left = 100 * table["new misses"]
    axes[1].barh(places, 100 * table["new alarms"], left=left, color="0.7", label="stroke predicted now")
    axes[1].set(xlabel="% of all slices")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def attention_by_size(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many times more of a Grad-CAM lies inside the lesion than of a map that is even over the head.

    Empty maps are left out.

    Args:
        table: rows of :func:`stroke_utils.learn.saliency.mass_inside` with ``label``, ``pixels`` of the lesion and
            ``predicted`` (whether the network predicted a stroke).
        ax: where to draw.
    """
    rows = table.dropna(subset=["inside"])
    if rows.empty:
        return nothing("stroke slice with a map and a mask", ax=ax)
    axis = single(ax, (7.2, 3.6))
    for name in TYPES:
        for predicted, mark in ((True, "o"), (False, "x")):
            part = rows[(rows["label"] == name) & (rows["predicted"] == predicted)]
            ratio = (part["inside"] / part["in_head"]).clip(lower=LEAST_RATIO)
            said = f"{name}, {'predicted' if predicted else 'missed'}"
            if len(part):
                axis.plot(part["pixels"], ratio, mark, color=COLOURS[name], ms=6, alpha=0.8, label=said)
    axis.axhline(1, color="0.4", lw=1, ls="--", label="even over the head")
    axis.set(
        xscale="log", yscale="log", xlabel="lesion size in pixels of the slice", ylabel="times the even map's share"
    )
    ticks = [
        n for n in (500, 1000, 2000, 5000, 10000, 20000) if rows["pixels"].min() * 0.8 <= n <= rows["pixels"].max()
    ]
    axis.set_xticks(ticks, [str(n) for n in ticks])
    axis.set_yticks([LEAST_RATIO, 0.1, 1, 10], [f"≤ {LEAST_RATIO}", "0.1", "1", "10"])
    axis.minorticks_off()
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def cause_gallery(
    rows: pd.DataFrame, regions: dict[str, np.ndarray], columns: int = 4, figure: Figure | SubFigure | None = None
) -> np.ndarray:
    """Draw wrong answers with the outline of the lesion; the title says the mistake and what may have caused it.

    Args:
        rows: ``slice_id``, ``png``, ``mistake``, ``cause``, ``probability``, in the order in which they are drawn.
        regions: class mask (H, W) by slice id; slices without one have no outline.
        columns: slices in a row.
        figure: where to draw.
    """
    if rows.empty:
        return np.array([nothing("wrong answer", "here", figure=figure)])
    columns = min(columns, len(rows))
    lines = -(-len(rows) // columns)
    axes = several(figure, lines, columns, (2.35 * columns, 2.85 * lines))
    for axis in axes.flat[len(rows) :]:
        axis.set_visible(False)
    for axis, row in zip(axes.flat, rows.itertuples(), strict=False):
        outlined(read_rgb(row.png), regions.get(row.slice_id), "", axis)
        axis.set_title(f"{row.mistake}, {row.probability:.2f}\n{row.slice_id}: {row.cause}", fontsize=9)
    return axes.ravel()[: len(rows)]

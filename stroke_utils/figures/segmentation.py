"""Figures of segmentation scores: notebook 05."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stroke_utils.data.masks import read_class_mask
from stroke_utils.data.pixels import read_rgb
from stroke_utils.figures.canvas import single
from stroke_utils.figures.style import COLOURS, agreement, agreement_key, image_grid
from stroke_utils.results.select import one_a_head, with_patients


def dice_by_level(table: pd.DataFrame, chosen: dict[str, int], ax: Axes | None = None) -> Axes:
    """Draw the mean Dice of masks made by one grey level, over the level, by type, with the level that was chosen.

    Args:
        table: of :func:`stroke_utils.evaluate.brightness.dice_by_level`.
        chosen: a level of each type.
    """
    axis = single(ax, (6, 3.2))
    for label, scores in table.items():
        words = {"hemorrhage": "at or above it: hemorrhage", "ischemia": "below it: ischemia"}[label]
        axis.plot(scores.index, scores, color=COLOURS[label], label=words)
        axis.plot(chosen[label], scores[chosen[label]], "o", color=COLOURS[label])
        place, best = chosen[label], scores[chosen[label]]
        axis.annotate(f"{place}: {best:.2f}", (place, best), xytext=(-5, 5), textcoords="offset points", ha="right")
    axis.set(xlabel="grey level", ylabel="mean Dice, slices of the type", xlim=(0, 256), ylim=(0, 1))
    axis.legend(loc="upper left", frameon=False)
    return axis


def convention_ranges(
    tables: dict[str, pd.DataFrame], trivial: dict[str, pd.DataFrame] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what all-background and a perfect answer score by each convention as a bar, and models' scores on it.

    Args:
        tables: of :func:`stroke_utils.evaluate.overlap.scores_by_convention` by model title, on the same slices.
        trivial: the same of answers without learning, which are drawn as strokes.
        ax: where to draw.
    """
    first = next(iter(tables.values())).drop(index="hd95", errors="ignore")
    first = first.assign(baseline=first["baseline"].fillna(0))
    axis = single(ax, (8, 0.9 + 0.3 * len(first)))
    places = range(len(first))
    axis.barh(places, first["perfect"] - first["baseline"], left=first["baseline"], color="0.88", height=0.7)
    for k, (title, table) in enumerate(tables.items()):
        rows, y = table.loc[first.index], [place + 0.16 * (2 * k - len(tables) + 1) for place in places]
        axis.hlines(y, rows["low"], rows["high"], color=f"C{k}", lw=1.5)
        axis.plot(rows["value"], y, "o", color=f"C{k}", ms=4, label=title)
    for title, colour, table in zip(trivial or {}, ("C2", "C3"), (trivial or {}).values(), strict=False):
        axis.plot(table.loc[first.index, "value"], places, "|", color=colour, ms=13, mew=2, label=title)
    axis.set_yticks(places, [name.replace("_", " ") for name in first.index])
    axis.set(xlim=(-0.02, 1.02), ylim=(len(first) - 0.4, -0.6), xlabel="score; grey: from all background to perfect")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def recipe_gains(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what each step gains in lesion Dice, by type, with its interval.

    Args:
        table: of :func:`stroke_utils.results.studies.recipes`.
    """
    beside = table["beside"].map(lambda name: "" if name == "paper" else f"\nbeside {name}")
    table = table.assign(step=table["step"] + beside)
    axis, steps = single(ax, (7, 4)), list(dict.fromkeys(table["step"]))
    for k, (kind, rows) in enumerate(table.groupby("slices", sort=False)):
        places = [steps.index(step) + 0.22 * (k - 1) for step in rows["step"]]
        gain, low, high = (rows[name].to_numpy() for name in ("difference", "low", "high"))
        colour = COLOURS.get(kind, "0.25")
        axis.errorbar(gain, places, xerr=[gain - low, high - gain], fmt="o", ms=5, capsize=2, color=colour, label=kind)
    axis.axvline(0, color="0.6", lw=1)
    axis.set(xlabel="lesion Dice gained over the paper's recipe, or what is named", ylim=(len(steps) - 0.5, -0.5))
    axis.set_yticks(range(len(steps)), steps)
    axis.legend(title="slices", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def failure_gallery(
    table: pd.DataFrame, slices: pd.DataFrame, references: pd.Series, predicted: Path, each: int = 4,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw the slices of lowest typed Dice, one of each head, a row a type, their pixels in the colours of agreement.

    Args:
        table: rows of :func:`stroke_utils.learn.predict.segment`.
        slices, references: rows with ``slice_id``, ``png``, and ``patient`` where known, and the paths of the true
            masks, of one index.
        predicted: folder of predicted class masks.
        each: slices of a type at most.
    """
    rows, truths = slices.set_index("slice_id"), references.set_axis(slices["slice_id"])
    worst = with_patients(table, slices).sort_values(["typed_dice", "slice_id"])
    worst = pd.concat([one_a_head(of_type) for _, of_type in worst.groupby("label")])
    each = min(each, worst["label"].value_counts().min())  # rows of one length
    worst = worst.groupby("label").head(each)
    images, titles = [], []
    for row in worst.itertuples():
        masks = read_class_mask(truths[row.slice_id]), read_class_mask(predicted / f"{row.slice_id}.png")
        images.append(agreement(read_rgb(rows.loc[row.slice_id, "png"]), *masks))
        titles.append(f"{row.slice_id}\nDice {row.lesion_dice:.2f}, typed {row.typed_dice:.2f}")
    axes = image_grid(images, titles, each, list(dict.fromkeys(worst["label"])), side=2.4, figure=figure)
    return agreement_key(axes)

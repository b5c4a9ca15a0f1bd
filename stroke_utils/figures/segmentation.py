"""Figures of segmentation scores: notebook 05."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stroke_utils.data.masks import read_class_mask
from stroke_utils.data.pixels import read_rgb
from stroke_utils.figures.canvas import single
from stroke_utils.figures.style import agreement, image_grid


def convention_ranges(tables: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw what all-background and a perfect answer score by each convention as a bar, and models' scores on it.

    Args:
        tables: of :func:`stroke_utils.evaluate.overlap.scores_by_convention` by model title, on the same slices.
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
    axis.set_yticks(places, [name.replace("_", " ") for name in first.index])
    axis.set(xlim=(0, 1.02), ylim=(len(first) - 0.4, -0.6), xlabel="score; grey: from all background to perfect")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axis


def failure_gallery(
    table: pd.DataFrame, slices: pd.DataFrame, references: pd.Series, predicted: Path, each: int = 4,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw the slices of lowest typed Dice, one row a type: found sky blue, missed vermilion, added yellow.

    Args:
        table: rows of :func:`stroke_utils.learn.predict.segment`.
        slices, references: rows with ``slice_id`` and ``png``, and the paths of the true masks, of one index.
        predicted: folder of predicted class masks.
        each: slices of a type at most.
    """
    rows, truths = slices.set_index("slice_id"), references.set_axis(slices["slice_id"])
    each = min(each, table["label"].value_counts().min())  # rows of one length
    worst = (
        table.sort_values(["typed_dice", "slice_id"]).groupby("label").head(each).sort_values("label", kind="stable")
    )
    images, titles = [], []
    for row in worst.itertuples():
        masks = read_class_mask(truths[row.slice_id]), read_class_mask(predicted / f"{row.slice_id}.png")
        images.append(agreement(read_rgb(rows.loc[row.slice_id, "png"]), *masks))
        titles.append(f"{row.slice_id}: {row.lesion_dice:.2f}, typed {row.typed_dice:.2f}")
    return image_grid(images, titles, each, list(dict.fromkeys(worst["label"])), side=2.4, figure=figure)

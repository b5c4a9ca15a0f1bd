"""What all figures share: colours, style, the note on figures of phantom data, grids of slices."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from stroke_utils.base import files
from stroke_utils.data.cohort import Cohort

# Three colours of the Okabe-Ito palette, told apart with every kind of colour vision and in print.
COLOURS = {"none": "#7f7f7f", "ischemia": "#0072b2", "hemorrhage": "#d55e00"}
"""Colour of each label in every figure."""

OUTLINES = {"ischemia": "#56b4e9", "hemorrhage": "#3dff3d"}
"""Colour of outlines on slices: the mask colours, blue and green, made light enough for a dark brain."""

DPI = 110


def use_style() -> None:
    """Set the style that all figures share: white ground, colour-blind-safe palette, legible at notebook width."""
    sns.set_theme("notebook", "ticks", palette="colorblind", font_scale=0.9)
    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "savefig.bbox": "tight",
            "figure.constrained_layout.use": True,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.titlesize": 12,
        }
    )


def stamp(figure: Figure, cohort: Cohort | dict) -> Figure:
    """Say below a figure that its data are a phantom's, where the cohort (or its ``origin``) says so; return it."""
    origin = getattr(cohort, "origin", cohort)
    if origin.get("phantom"):
        figure.supxlabel("phantom data, no patients", x=0.995, ha="right", fontsize=7, color="0.45")
    return figure


def save(figure: Figure, target: str | Path, data: pd.DataFrame | None = None) -> None:
    """Save a figure as PNG, whole or not at all, and the data behind it as CSV beside it; folders above are made."""
    if data is not None:
        files.write_table(Path(target).with_suffix(".csv"), data)
    with files.atomic_path(target) as temporary:
        figure.savefig(temporary, format="png")


def nothing(what: str, cohort: Cohort | dict, where: str = "in this data set") -> Figure:
    """Say in place of a figure that there is nothing to draw: a user's data may lack what the phantom has."""
    figure = plt.figure(figsize=(5, 0.6))
    figure.text(0.5, 0.5, f"No {what} {where}", ha="center", va="center", color="0.4")
    return stamp(figure, cohort)


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    cohort: Cohort | dict,
    columns: int = 4,
    rows: Sequence[str] = (),
    side: float = 2.2,
) -> Figure:
    """Show images in a grid, row by row; small crops keep hard pixels. ``rows`` names the rows at the left margin."""
    if not len(images):
        return nothing("such slice", cohort)
    height = max(1, -(-len(images) // columns))
    figure, axes = plt.subplots(height, columns, figsize=(side * columns, (side + 0.3) * height), squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(
            image, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if len(image) < 150 else "antialiased"
        )
        axis.set_title(title)
    for axis, name in zip(axes[:, 0], rows, strict=False):
        axis.set_ylabel(name, fontweight="bold")
    return stamp(figure, cohort)


def crop(image: np.ndarray, region: np.ndarray, margin: int = 30) -> np.ndarray:
    """Cut the square around a region (mask, 0 outside) out of an image of the same height and width."""
    ys, xs = np.nonzero(region)
    centre, half = ((ys.min() + ys.max()) // 2, (xs.min() + xs.max()) // 2), max(np.ptp(ys), np.ptp(xs)) // 2 + margin
    (top, left) = (max(c - half, 0) for c in centre)
    return image[top : centre[0] + half + 1, left : centre[1] + half + 1]


def agreement(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Paint on a grey RGB image where two masks agree (sky blue), what was missed (vermilion) and added (yellow)."""
    painted = image[..., :3].copy()
    for where, colour in (
        ((truth > 0) & (found > 0), "#56b4e9"),
        ((truth > 0) & (found == 0), "#d55e00"),
        ((truth == 0) & (found > 0), "#f0e442"),
    ):
        painted[where] = np.uint8(255 * np.array(to_rgb(colour)))
    return painted

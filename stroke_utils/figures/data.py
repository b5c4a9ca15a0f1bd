"""Figures of the data, before anything is trained: notebooks 01 and 02."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from PIL import Image

from stroke_utils.base.vocabulary import LABELS, PARTS
from stroke_utils.data.dicom import window
from stroke_utils.data.pixels import grey_levels
from stroke_utils.figures.canvas import nothing, several, single
from stroke_utils.figures.style import COLOURS, image_grid

HOUNSFIELD = {
    "air": (-1000, -1000),
    "fat": (-100, -100),
    "water": (0, 0),
    "fluid in the brain": (5, 15),
    "white matter": (25, 32),
    "grey matter": (35, 42),
    "fresh blood": (50, 80),
    "bone": (300, 2000),
}
"""Hounsfield units of what a slice shows, lowest and highest, in round numbers as textbooks have them."""

WINDOWS = {"brain": (40, 80), "stroke": (40, 40), "bone": (500, 2000)}
"""Centre and width in Hounsfield units of three windows that radiologists use."""


def class_balance(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Show the share of each label in each part, from ``Cohort.counts``."""
    names = [*LABELS, "stroke of unknown type", "unlabelled"]
    shades = [*COLOURS.values(), "#cc79a7", "#e0e0e0"]
    table = counts[counts["label"].isin(names)].pivot(index="part", columns="label", values="found")
    table = table.fillna(0).astype(float).reindex([part for part in PARTS if part in table.index])
    axis = single(ax, (7, 0.45 * len(table) + 0.9))
    left = np.zeros(len(table))
    for name, shade in zip(names, shades, strict=True):
        if name in table and table[name].any():
            width = table[name] / table.sum(axis=1) * 100
            bars = axis.barh(table.index, width, left=left, color=shade, label=name)
            texts = [f"{n:.0f}" if w > 6 else "" for n, w in zip(table[name], width, strict=True)]
            axis.bar_label(bars, texts, label_type="center", color="white")
            left += width.to_numpy()
    axis.set(xlabel="% of the part's slices (numbers: slices)", xlim=(0, 100))
    axis.invert_yaxis()
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
    return axis


def grey_bands(image: np.ndarray, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show a slice beside a map of what its grey values can stand for, and the histogram behind both.

    Bands are set in Hounsfield units from the commonest value, brain: fluid is more than 14 below it, fresh blood more
    than 16 above, and so are scalp and falx. A band is no tissue.
    """
    grey = image[..., 0]
    values, number = np.unique(grey[(grey > 0) & (grey < 255)], return_counts=True)
    unit, brain = 255 / grey_levels(image), int(values[number.argmax()])
    bands = (
        (0, 1, "black: air, fat", "#000000"),
        (1, brain - 14 * unit, "dark: fluid, damaged tissue", "#56b4e9"),
        (brain - 14 * unit, brain + 16 * unit, "middle: brain", "#f0e442"),
        (brain + 16 * unit, 255, "bright: scalp, membranes, fresh blood, calcium", "#d55e00"),
        (255, 256, "white: bone", "#ffffff"),
    )
    (axes,) = several(figure, 1, 3, (11, 3.3), width_ratios=(1, 1, 1.1))
    painted = np.zeros((*grey.shape, 3))
    for low, high, _, colour in bands:
        painted[(grey >= low) & (grey < high)] = to_rgb(colour)
        axes[2].axvspan(low, high, color=colour, alpha=0.35 if 0 < low < 255 else 0, lw=0)
    axes[0].imshow(grey, cmap="gray", vmin=0, vmax=255)
    axes[1].imshow(painted)
    axes[0].set_title("the slice")
    axes[1].set_title("its grey values in bands")
    for axis in axes[:2]:
        axis.axis("off")
    axes[2].bar(values, number, width=1, color="0.15", lw=0)
    axes[2].set(xlabel="grey value", ylabel="pixels", title="between black and white: one tooth per HU", xlim=(0, 255))
    handles = [Patch(facecolor=colour, edgecolor="0.5", label=name) for *_, name, colour in bands]
    axes[0].get_figure().legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=8)
    return axes


def windows(hounsfield: np.ndarray | None, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show one slice through each of :data:`WINDOWS`.

    Args:
        hounsfield: the slice in Hounsfield units (H, W); None where there is none.
        figure: where to draw.
    """
    if hounsfield is None:
        return np.array([nothing("DICOM file", figure=figure)])
    pictures = [window(hounsfield, *setting) for setting in WINDOWS.values()]
    titles = [f"{name}: centre {centre}, width {width}" for name, (centre, width) in WINDOWS.items()]
    return image_grid(pictures, titles, columns=3, side=2.9, figure=figure)


def window_slider(hounsfield: np.ndarray | None):
    """Return two sliders, centre and width, above the slice as that window shows it.

    A page that does not run, such as the book, cannot move them: :func:`windows` shows the same in three pictures.

    Args:
        hounsfield: as for :func:`windows`.

    Returns:
        a widget; None where ipywidgets is not installed, which is no part of the locked environment, or no slice given.
    """
    try:
        import ipywidgets
    except ImportError:
        return None
    if hounsfield is None:
        return None

    def show(centre: int, width: int) -> None:
        image_grid([window(hounsfield, centre, width)], [f"centre {centre}, width {width}"], columns=1, side=4.5)
        plt.show()

    centre, width = WINDOWS["brain"]
    return ipywidgets.interactive(
        show,
        centre=ipywidgets.IntSlider(centre, -200, 1000, continuous_update=False),
        width=ipywidgets.IntSlider(width, 2, 2500, continuous_update=False),
    )


def window_widths(widths: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Show how many slices of each label have which number of grey levels (columns ``label``, ``grey_levels``)."""
    axis = single(ax, (7, 2.6))
    shares = pd.crosstab(widths["grey_levels"], widths["label"], normalize="columns") * 100
    shares = shares[[name for name in LABELS if name in shares]]
    shares.plot.bar(ax=axis, color=[COLOURS[name] for name in shares], width=0.75, rot=0)
    axis.set(xlabel="grey levels of the slice = width of its window in HU", ylabel="% of the label's slices")
    axis.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return axis


def grey_histograms(histograms: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Show the grey values of each label's slices, of :func:`stroke_utils.data.describe.grey_histograms`.

    A line is the median slice of a label, its shade the middle half of them; the scale is logarithmic, so that the few
    bright pixels of a hemorrhage can be seen beside the brain.
    """
    shares = histograms * 100
    axis = single(ax, (8, 3))
    for name in (n for n in LABELS if n in shares.index.get_level_values("label")):
        low, middle, high = shares.xs(name, level="label").quantile([0.25, 0.5, 0.75]).to_numpy()
        centres = shares.columns.astype(float) + 4
        axis.fill_between(centres, low, high, color=COLOURS[name], alpha=0.15, lw=0)
        axis.plot(centres, middle, color=COLOURS[name], label=name)
    axis.set(yscale="log", ylim=(0.02, 40), xlim=(0, 256), xlabel="grey value", ylabel="% of the pixels\nthat are grey")
    axis.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    axis.legend(frameon=False)
    return axis


def lesion_sizes(lesions: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Show how many slices have lesions of which size, of :func:`stroke_utils.data.describe.lesions`."""
    if lesions.empty:
        return nothing("lesion with a mask", ax=ax)
    axis = single(ax, (8, 2.8))
    low, high = np.log10(lesions["pixels"].min()), np.log10(lesions["pixels"].max() + 1)
    edges = 10 ** np.arange(np.floor(10 * low) / 10, high + 0.1, 0.1)
    for name, rows in lesions.groupby("type"):
        axis.hist(rows["pixels"], edges, histtype="stepfilled", color=COLOURS[name], alpha=0.3)
        axis.hist(rows["pixels"], edges, histtype="step", color=COLOURS[name], lw=1.5, label=name)
    axis.set(xscale="log", xlabel="lesion size in pixels of the slice", ylabel="slices")
    ticks = [n for n in (100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000) if edges[0] <= n <= edges[-1]]
    axis.set_xticks(ticks, [str(n) for n in ticks])
    axis.minorticks_off()
    axis.legend(frameon=False, loc="upper left")
    return axis


def location_maps(maps: dict[str, tuple], figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show where lesions lie, of :func:`stroke_utils.data.describe.location_maps`, on the mean of their slices."""
    if not maps:
        return np.array([nothing("lesion with a mask", figure=figure)])
    (axes,) = several(figure, 1, len(maps), (3.9 * len(maps) + 0.8, 3.6))
    top = 100 * max(share.max() for share, *_ in maps.values())
    for axis, (name, (share, grey, n)) in zip(axes, maps.items(), strict=True):
        axis.imshow(grey, cmap="gray", vmin=0, vmax=255)
        drawn = axis.imshow(np.ma.masked_less(100 * share, 0.5), cmap="inferno", vmin=0, vmax=top, alpha=0.75)
        axis.set(xticks=[], yticks=[], title=f"{name}, {n} slices")
        axis.spines[:].set_visible(False)
    axes[0].get_figure().colorbar(drawn, ax=axes, label="% of the type's slices\nwith a lesion here", shrink=0.8)
    return axes


def hue_rule(overlay: np.ndarray, hue_to: int = 10, hue_from: int = 160, ax: Axes | None = None) -> Axes:
    """Show which hues an overlay's coloured pixels have in PIL's HSV and which of them the paper's rule takes."""
    hue, saturation, _ = (np.asarray(c) for c in Image.fromarray(overlay[..., :3]).convert("HSV").split())
    number = np.bincount(hue[saturation > 0], minlength=256)
    axis = single(ax, (8.5, 2.6))
    for low, high in ((-4, hue_to + 0.5), (hue_from - 0.5, 259)):
        axis.axvspan(low, high, color="0.88", lw=0)
    present = np.flatnonzero(number)
    axis.bar(present, number[present], width=3, color=[hsv_to_rgb((h / 255, 1, 0.9)) for h in present], edgecolor="0.3")
    axis.set(yscale="log", xlim=(-4, 259), ylim=(0.7, 8 * number.max()), xlabel="hue (PIL, 0–255)", ylabel="pixels")
    for place, name in ((6, "red"), (42, "yellow"), (85, "green"), (170, "blue"), (212, "magenta")):
        axis.text(place, 5 * number.max(), name, ha="center", va="center", fontsize=9)
    axis.text(191, 1.2, "shaded: taken\nby the rule", ha="center", va="bottom", fontsize=8, color="0.35")
    return axis


def dice_by_size(scores: pd.DataFrame, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show Dice against lesion size, one panel per extractor (columns ``method``, ``type``, ``pixels``, ``dice``)."""
    methods, titles = list(dict.fromkeys(scores["method"])), {"paper": "the paper's rule"}
    (axes,) = several(figure, 1, len(methods), (max(5, 3.4 * len(methods)), 3), sharey=True)
    for axis, method in zip(axes, methods, strict=True):
        for kind, group in scores[scores["method"] == method].groupby("type"):
            axis.scatter(group["pixels"], group["dice"], s=14, alpha=0.7, color=COLOURS[kind], label=kind, lw=0)
        axis.set(xscale="log", xlabel="lesion size in pixels", title=titles.get(method, method))
        axis.set_xticks([200, 500, 1000, 2000, 5000, 10000], ["200", "500", "1000", "2000", "5000", "10⁴"])
        axis.minorticks_off()
        axis.axhline(1, color="0.8", lw=0.8, zorder=0)
    axes[0].set_ylabel("Dice")
    axes[-1].legend(frameon=False, loc="lower right")
    return axes

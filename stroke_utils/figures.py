"""Every figure of the project: one function each, the same style, and a note on figures of phantom data."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from stroke_utils.cohort import Cohort
from stroke_utils.masks import read_class_mask
from stroke_utils.pixels import grey_levels, read_rgb
from stroke_utils.vocabulary import LABELS, MASK_CLASSES, PARTS, TYPES

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


# --- Exploration and masks ---


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    cohort: Cohort | dict,
    columns: int = 4,
    rows: Sequence[str] = (),
    side: float = 2.2,
) -> Figure:
    """Show images in a grid, row by row; small crops keep hard pixels. ``rows`` names the rows at the left margin."""
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


def class_balance(counts: pd.DataFrame, cohort: Cohort | dict) -> Figure:
    """Show the share of each label in each part, from ``Cohort.counts``."""
    names = [*LABELS, "stroke of unknown type", "unlabelled"]
    shades = [*COLOURS.values(), "#cc79a7", "#e0e0e0"]
    table = counts[counts["label"].isin(names)].pivot(index="part", columns="label", values="found").fillna(0)
    table = table.reindex([p for p in PARTS if p in table.index], columns=[n for n in names if n in table]).astype(
        float
    )
    figure, axis = plt.subplots(figsize=(7, 0.45 * len(table) + 0.9))
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
    return stamp(figure, cohort)


def grey_bands(image: np.ndarray, cohort: Cohort | dict) -> Figure:
    """Show a slice beside a map of what its grey values can stand for, and the histogram behind both.

    Bands are set in Hounsfield units from the commonest value, brain: fluid is more than 14 below it, fresh blood more
    than 16 above.
    """
    grey = image[..., 0]
    values, number = np.unique(grey[(grey > 0) & (grey < 255)], return_counts=True)
    unit, brain = 255 / grey_levels(image), int(values[number.argmax()])
    bands = (
        (0, 1, "black: air, fat", "#000000"),
        (1, brain - 14 * unit, "dark: fluid, damaged tissue", "#56b4e9"),
        (brain - 14 * unit, brain + 16 * unit, "middle: brain", "#f0e442"),
        (brain + 16 * unit, 255, "bright: fresh blood, calcium", "#d55e00"),
        (255, 256, "white: bone", "#ffffff"),
    )
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), width_ratios=(1, 1, 1.1))
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
    figure.legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=8)
    return stamp(figure, cohort)


def window_widths(widths: pd.DataFrame, cohort: Cohort | dict) -> Figure:
    """Show how many slices of each label have which number of grey levels (columns ``label``, ``grey_levels``)."""
    figure, axis = plt.subplots(figsize=(7, 2.6))
    shares = pd.crosstab(widths["grey_levels"], widths["label"], normalize="columns") * 100
    shares = shares[[name for name in LABELS if name in shares]]
    shares.plot.bar(ax=axis, color=[COLOURS[name] for name in shares], width=0.75, rot=0)
    axis.set(xlabel="grey levels of the slice = width of its window in HU", ylabel="% of the label's slices")
    axis.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return stamp(figure, cohort)


def hue_rule(overlay: np.ndarray, cohort: Cohort | dict, hue_to: int = 10, hue_from: int = 160) -> Figure:
    """Show which hues an overlay's coloured pixels have in PIL's HSV and which of them the paper's rule takes."""
    hue, saturation, _ = (np.asarray(c) for c in Image.fromarray(overlay[..., :3]).convert("HSV").split())
    number = np.bincount(hue[saturation > 0], minlength=256)
    figure, axis = plt.subplots(figsize=(8.5, 2.6))
    for low, high in ((-4, hue_to + 0.5), (hue_from - 0.5, 259)):
        axis.axvspan(low, high, color="0.88", lw=0)
    present = np.flatnonzero(number)
    axis.bar(present, number[present], width=3, color=[hsv_to_rgb((h / 255, 1, 0.9)) for h in present], edgecolor="0.3")
    axis.set(yscale="log", xlim=(-4, 259), ylim=(0.7, 8 * number.max()), xlabel="hue (PIL, 0–255)", ylabel="pixels")
    for place, name in ((6, "red"), (42, "yellow"), (85, "green"), (170, "blue"), (212, "magenta")):
        axis.text(place, 5 * number.max(), name, ha="center", va="center", fontsize=9)
    axis.text(191, 1.2, "shaded: taken\nby the rule", ha="center", va="bottom", fontsize=8, color="0.35")
    return stamp(figure, cohort)


def dice_by_size(scores: pd.DataFrame, cohort: Cohort | dict) -> Figure:
    """Show Dice against lesion size, one panel per extractor (columns ``method``, ``type``, ``pixels``, ``dice``)."""
    methods = list(dict.fromkeys(scores["method"]))
    figure, axes = plt.subplots(1, len(methods), figsize=(max(5, 3.4 * len(methods)), 3), sharey=True, squeeze=False)
    for axis, method in zip(axes[0], methods, strict=True):
        for kind, group in scores[scores["method"] == method].groupby("type"):
            axis.scatter(group["pixels"], group["dice"], s=14, alpha=0.7, color=COLOURS[kind], label=kind, lw=0)
        axis.set(
            xscale="log", xlabel="lesion size in pixels", title=method, ylabel="Dice" if axis is axes[0, 0] else ""
        )
        axis.set_xticks([200, 500, 1000, 2000, 5000, 10000], ["200", "500", "1000", "2000", "5000", "10⁴"])
        axis.minorticks_off()
        axis.axhline(1, color="0.8", lw=0.8, zorder=0)
    axes[0, -1].legend(frameon=False, loc="lower right")
    return stamp(figure, cohort)


# --- Training, detection and type classification ---


def loss_curves(histories: dict[str, pd.DataFrame], cohort: Cohort, quantity: str = "loss") -> Figure:
    """Draw a training quantity of several models over epochs, training dashed and validation solid.

    Args:
        histories: history of :func:`stroke_utils.training.fit` by model title.
        quantity: column name; the validation column has ``val_`` before it.
    """
    fig, axes = plt.subplots(1, len(histories), figsize=(4.2 * len(histories), 3.2), sharey=True, squeeze=False)
    for axis, (title, history) in zip(axes[0], histories.items(), strict=True):
        axis.plot(history["epoch"], history[quantity], "--", label="training")
        axis.plot(history["epoch"], history[f"val_{quantity}"], label="validation")
        best = history.loc[history["val_loss"].idxmin(), "epoch"]
        axis.axvline(best, color="0.6", lw=1, ls=":")
        axis.annotate(
            "best", (best, 1), xycoords=("data", "axes fraction"), xytext=(3, -12), textcoords="offset points"
        )
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel(quantity.replace("_", " "))
    axes[0, 0].legend()
    return stamp(fig, cohort)


def confusion_matrices(matrices: dict[str, np.ndarray], names: tuple[str, str], cohort: Cohort) -> Figure:
    """Draw 2 × 2 confusion matrices side by side; a cell shows its count and its share of the row."""
    fig, axes = plt.subplots(1, len(matrices), figsize=(3.6 * len(matrices), 3.4), squeeze=False)
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        share = matrix / matrix.sum(axis=1, keepdims=True)
        texts = [[f"{n}\n{s:.0%}" for n, s in zip(*rows, strict=True)] for rows in zip(matrix, share, strict=True)]
        sns.heatmap(
            share, annot=np.array(texts), fmt="", cmap="Blues", vmin=0, vmax=1, cbar=False, square=True,
            xticklabels=names, yticklabels=names, ax=axis,
        )  # fmt: skip
        axis.set(title=title, xlabel="called", ylabel="truth")
    return stamp(fig, cohort)


def threshold_choice(curve: pd.DataFrame, threshold: float, recall: float, title: str, cohort: Cohort) -> Figure:
    """Draw precision and recall over the threshold with the chosen one and the recall it must keep."""
    fig, axis = plt.subplots(figsize=(6, 3.4))
    axis.plot(curve["threshold"], curve["precision"], label="precision")
    axis.plot(curve["threshold"], curve["recall"], label="recall")
    axis.axhline(recall, color="0.6", ls=":", lw=1)
    axis.axvline(threshold, color="k", lw=1)
    axis.annotate(f"recall {recall}", (0.01, recall), xytext=(0, 3), textcoords="offset points", color="0.4")
    axis.annotate(f" chosen: {threshold:.2f}", (threshold, 0.05), xycoords=("data", "axes fraction"))
    axis.set(title=title, xlabel="threshold on the stroke probability", xlim=(0, 1), ylim=(0, 1.03))
    axis.legend(loc="lower left")
    return stamp(fig, cohort)


def predictions_gallery(
    predictions: pd.DataFrame, slices: pd.DataFrame, names: tuple[str, str], cohort: Cohort, each: int = 4
) -> Figure:
    """Draw right and wrong predictions with their probability: one row an outcome, the surest first.

    Args:
        predictions: table of :func:`stroke_utils.predict.table`.
        slices: rows with ``slice_id`` and ``png``.
        names: of class 0 and 1.
        each: slices per outcome.
    """
    titles = {
        "TP": f"{names[1]}, called {names[1]}", "TN": f"{names[0]}, called {names[0]}",
        "FN": f"{names[1]}, called {names[0]}", "FP": f"{names[0]}, called {names[1]}",
    }  # fmt: skip
    pngs = slices.set_index("slice_id")["png"]
    fig, axes = plt.subplots(4, each, figsize=(2.1 * each + 1.6, 9.2))
    for row, (outcome, title) in zip(axes, titles.items(), strict=True):
        chosen = predictions[predictions["outcome"] == outcome]
        chosen = chosen.iloc[(chosen["probability"] - 0.5).abs().argsort()[::-1]].head(each)
        for axis in row:
            axis.axis("off")
        for axis, p in zip(row, chosen.itertuples(), strict=False):
            axis.imshow(read_rgb(pngs[p.slice_id]))
            axis.set_title(f"{p.slice_id}: {p.probability:.2f}", fontsize=9)
        count = int((predictions["outcome"] == outcome).sum())
        mark = "✓" if outcome[0] == "T" else "✗"
        row[0].text(-0.08, 0.5, f"{mark} {title}\nn = {count}", rotation=90, va="center", ha="center",
                    transform=row[0].transAxes, fontsize=9)  # fmt: skip
    return stamp(fig, cohort)


# --- Segmentation ---


def outlined(axis: Axes, pixels: np.ndarray, classes: np.ndarray | None, title: str) -> None:
    """Show a slice with the outlines of a class mask: ischemia blue, hemorrhage green."""
    axis.imshow(pixels)
    for value, name in enumerate(MASK_CLASSES):
        if classes is not None and value and (classes == value).any():
            axis.contour(classes == value, levels=[0.5], colors=[OUTLINES[name]], linewidths=1.4)
    axis.set_title(title, fontsize=9)
    axis.axis("off")


def batch_preview(images: np.ndarray, truth: np.ndarray, cohort: Cohort | dict) -> Figure:
    """Draw a training batch, float (b, H, W, 3) in [0, 1], with the outlines of its one-hot masks (b, H, W, 3)."""
    figure, axes = plt.subplots(1, len(images), figsize=(2.2 * len(images), 2.5), squeeze=False)
    for axis, image, one_hot in zip(axes[0], images, truth, strict=True):
        outlined(axis, image, one_hot.argmax(axis=-1), "")
    return stamp(figure, cohort)


def segmentation_demo(
    picks: dict[str, str], slices: pd.DataFrame, references: pd.Series, predicted: Path, scores: pd.DataFrame,
    cohort: Cohort,
) -> Figure:  # fmt: skip
    """Draw original, truth and prediction of some slices, one row each.

    Args:
        picks: slice id by row title.
        slices, references: rows with ``slice_id``, ``png``, and the paths of the true masks, of one index.
        predicted: folder of predicted class masks.
        scores: table of :func:`stroke_utils.predict.segment`.
    """
    rows, truths = slices.set_index("slice_id"), references.set_axis(slices["slice_id"])
    dices = scores.set_index("slice_id")["lesion_dice"]
    fig, axes = plt.subplots(len(picks), 3, figsize=(8, 2.75 * len(picks)), squeeze=False)
    for row, (title, slice_id) in zip(axes, picks.items(), strict=True):
        pixels = read_rgb(rows.loc[slice_id, "png"])
        outlined(row[0], pixels, None, f"{title} ({slice_id})")
        outlined(row[1], pixels, read_class_mask(truths[slice_id]), "truth")
        outlined(
            row[2], pixels, read_class_mask(predicted / f"{slice_id}.png"), f"prediction, Dice {dices[slice_id]:.2f}"
        )
    return stamp(fig, cohort)


def dice_by_area(scores: pd.DataFrame, cohort: Cohort) -> Figure:
    """Draw each slice's lesion Dice over its true lesion area, by type."""
    fig, axis = plt.subplots(figsize=(6, 3.6))
    for name in TYPES:
        part = scores[scores["label"] == name]
        colour = COLOURS[name]
        axis.scatter(part["reference_px"], part["lesion_dice"], s=18, alpha=0.8, color=colour, label=name)
        axis.axhline(part["lesion_dice"].mean(), color=colour, lw=1, ls="--")
    axis.set(xscale="log", xlabel="true lesion area (pixels)", ylabel="lesion Dice of the slice", ylim=(-0.03, 1.03))
    ticks = [250, 500, 1000, 2000, 4000, 8000, 16000]
    axis.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axis.set_xticks([], minor=True)
    axis.set_xlim(0.9 * scores["reference_px"].min(), 1.1 * scores["reference_px"].max())
    axis.legend(title="dashed: mean")
    return stamp(fig, cohort)


# --- Results ---


def beside_the_paper(results: pd.DataFrame, table: str, cohort: Cohort) -> Figure:
    """Draw our scores of one of the paper's tables with their intervals beside the published values.

    Args:
        results: table of :func:`stroke_utils.report.results`.
        table: ``I``, ``II`` or ``III``.
    """
    rows = results[(results["table"] == table)].iloc[::-1]
    fig, axis = plt.subplots(figsize=(7, 0.9 + 0.32 * len(rows)))
    for y, row in enumerate(rows.itertuples()):
        if not np.isnan(row.ours):
            axis.plot([row.low, row.high], [y, y], color="C0", lw=2)
            axis.plot(row.ours, y, "o", color="C0", label="ours, 95 % interval" if y == len(rows) - 1 else None)
            axis.plot(row.baseline, y, "|", color="0.4", ms=12, mew=2)
        axis.plot(row.paper, y, "D", color="C1", ms=6)
    axis.set_yticks(range(len(rows)), [f"{r.model}, {r.metric}" for r in rows.itertuples()])
    handles = [
        axis.plot([], [], "o-", color="C0", label="here, 95 % interval")[0],
        axis.plot([], [], "D", color="C1", ls="", label="the paper, its data")[0],
        axis.plot([], [], "|", color="0.4", ls="", ms=12, mew=2, label="trivial baseline here")[0],
    ]
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set(title=f"Table {table}", xlim=(0, 1.02))
    return stamp(fig, cohort)


# --- Table forensics ---


def printable_scores(triples: np.ndarray, published: np.ndarray, within: float = 1.0) -> Figure:
    """Draw the precision and recall that the matrices of one test set can print, all of them and close to a row.

    Args:
        triples: (n, 3) of :func:`stroke_utils.forensics.digits` with two decimals.
        published: the row, as :func:`stroke_utils.forensics.printed` gives it.
        within: half the width of the second picture, in points.
    """
    triples, (p, r, _) = triples / 100, published / 100
    close = triples[(abs(triples - published / 100) <= within).all(axis=1)]
    fig, (whole, zoom) = plt.subplots(1, 2, figsize=(8.4, 4.2))
    whole.scatter(triples[:, 0], triples[:, 1], s=1, color="0.55", linewidths=0)
    whole.add_patch(plt.Rectangle((p - within, r - within), 2 * within, 2 * within, fill=False, color="C3", lw=1.5))
    whole.set(title=f"all {len(triples)} matrices", xlim=(0, 102), ylim=(0, 102))
    zoom.scatter(close[:, 0], close[:, 1], s=22, color="0.35", label="can be printed")
    zoom.plot(p, r, "o", color="C3", ms=13, mfc="none", mew=1.5, label="the published row")
    zoom.set(title=f"all three scores within {within:g} point of the row: {len(close)}")
    zoom.set(xlim=(p - within, p + within), ylim=(r - within, r + within))
    zoom.locator_params(nbins=5)
    zoom.legend(loc="lower right")
    for axis in (whole, zoom):
        axis.set(xlabel="precision (%)", ylabel="recall (%)", aspect="equal")
    return fig


def fits_by_size(
    fits: pd.DataFrame, models: Sequence[str], tried: Sequence[int], mean: float, sd: float
) -> Figure:  # fmt: skip
    """Draw which class sizes can print each row of a table, over the sizes that a random split gives.

    Args:
        fits: one row a solution: model, positives.
        models: rows of the table, those without any solution too.
        tried: all class sizes that were tried.
        mean, sd: of the number of positives in a random split.
    """
    fig, axis = plt.subplots(figsize=(8, 0.8 + 0.45 * len(models)))
    axis.axvspan(mean - 2 * sd, mean + 2 * sd, color="C0", alpha=0.15, lw=0, label="random split: mean ± 2 sd")
    axis.axvline(mean, color="C0", lw=1, ls="--", label="stratified split")
    axis.plot(fits["positives"], fits["model"].map(list(models).index), "o", color="k", ms=6, label="a matrix fits")
    axis.set_yticks(range(len(models)), models)
    axis.set(xlim=(min(tried), max(tried)), ylim=(len(models) - 0.5, -0.5))
    axis.set(xlabel=f"slices of the positive class ({min(tried)} to {max(tried)} tried)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig

"""Figures of trained models, of their scores, and of the paper's tables: notebooks 03 to 07."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from stroke_utils.base.vocabulary import MASK_CLASSES, MODEL_TITLES, TYPES, model_title
from stroke_utils.data.masks import read_class_mask
from stroke_utils.data.pixels import read_rgb
from stroke_utils.evaluate.metrics import ANSWERS
from stroke_utils.figures.canvas import leave_unstamped, nothing, several, single
from stroke_utils.figures.style import COLOURS, OUTLINES, crop, image_grid
from stroke_utils.results.select import one_a_head, with_patients


def _row_of(figure: Figure | SubFigure | None, number: int, width: float, height: float) -> np.ndarray:
    """Make axes for ``number`` pictures of one kind, three in a row; those left over are hidden."""
    columns = min(3, number)
    rows = -(-number // columns)
    axes = several(figure, rows, columns, (width * columns, height * rows))
    for axis in axes.flat[number:]:
        axis.set_visible(False)
    return axes.flat[:number]


def loss_curves(
    histories: dict[str, pd.DataFrame],
    quantity: str = "loss",
    guessing: float | None = None,
    figure: Figure | SubFigure | None = None,
    trivial: str = "guessing",
) -> np.ndarray:
    """Draw a training quantity of several models over epochs, training dashed and validation solid.

    Args:
        histories: history of :func:`stroke_utils.learn.training.fit` by model title.
        quantity: column name; the validation column has ``val_`` before it.
        guessing: value of a model that guesses, drawn as a grey line; what lies above twice as much is cut off and its
            highest value written there, so that one wild epoch does not flatten the rest.
        figure: where to draw.
        trivial: what the grey line is called.
    """
    axes = _row_of(figure, len(histories), 3.4, 3.0)
    for axis, (title, history) in zip(axes, histories.items(), strict=True):
        axis.plot(history["epoch"], history[quantity], "--", label="training")
        axis.plot(history["epoch"], history[f"val_{quantity}"], label="validation")
        if guessing is not None:
            axis.axhline(guessing, color="0.5", lw=1, ls="-.", label=trivial)
            axis.margins(y=0.2)  # the word at the top stays clear of the line
            _cut_above(axis, history, [quantity, f"val_{quantity}"], 2 * guessing)
        best = history.loc[history["val_loss"].idxmin(), "epoch"]
        axis.axvline(best, color="0.6", lw=1, ls=":")
        side = -1 if best > len(history) / 2 else 1  # inside the axes
        axis.annotate(
            "best", (best, 1), xycoords=("data", "axes fraction"), xytext=(3 * side, -12),
            textcoords="offset points", ha="left" if side > 0 else "right",
        )  # fmt: skip
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel(quantity.replace("_", " "))
    axes[0].legend()
    return axes


def _cut_above(axis: Axes, history: pd.DataFrame, names: list[str], top: float) -> None:
    """Let the axis end at ``top`` where a curve goes above it, and write the highest value of each curve there."""
    least = history[names].min().min()
    for name, colour in zip(names, ("C0", "C1"), strict=True):
        if (highest := history[name].max()) > top:
            axis.set_ylim(max(0, least - 0.2 * (top - least)), top)  # the margin below was that of the whole curve
            place = history.loc[history[name].idxmax(), "epoch"], 1
            side = -1 if place[0] > len(history) / 2 else 1  # inside the axes
            axis.annotate(
                f"↑ {highest:.1f}", place, xycoords=("data", "axes fraction"), xytext=(5 * side, -24), color=colour,
                textcoords="offset points", ha="left" if side > 0 else "right",
                path_effects=[withStroke(linewidth=3, foreground="w")],  # a steep curve runs through it
            )  # fmt: skip


def seed_losses(
    histories: dict[int, pd.DataFrame],
    title: str,
    guessing: float | None = None,
    trivial: str = "guessing",
    ax: Axes | None = None,
) -> Axes:
    """Draw training and validation loss of one model over epochs, one line a seed; a dot is the kept epoch.

    Args:
        histories: history of :func:`stroke_utils.learn.training.fit` by seed.
        title: of the model.
        guessing: loss of an answer that learned nothing, drawn as a grey line.
        trivial: what the grey line is called.
        ax: where to draw.
    """
    if not histories:
        return nothing("training history", "left by a run", ax=ax)
    axis = single(ax, (5, 3))
    for k, history in enumerate(histories.values()):
        axis.plot(history["epoch"], history["loss"], "C0--", alpha=0.7, label=None if k else "training")
        axis.plot(history["epoch"], history["val_loss"], "C1", alpha=0.7, label=None if k else "validation")
        kept = history.loc[history["val_loss"].idxmin(), ["epoch", "val_loss"]]
        axis.plot(*kept, "C1o", ms=5, label=None if k else "kept epoch")
    if guessing is not None:
        axis.axhline(guessing, color="0.5", lw=1, ls="-.", label=trivial)
    seeds = ", ".join(map(str, histories))
    axis.set(title=f"{title}, {'seeds' if len(histories) > 1 else 'seed'} {seeds}", xlabel="epoch", ylabel="loss")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return axis


def samples(slices: pd.DataFrame, column: str, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show the files in ``column`` (``png``, ``overlay``) of some slices, a row per label."""
    width = slices["label"].value_counts().max() if len(slices) else 0
    images, titles, labels = [], [], [name for name in ("none", *TYPES) if (slices["label"] == name).any()]
    for label in labels:
        rows = slices[slices["label"] == label]
        blank = width - len(rows)
        images += [*map(read_rgb, rows[column]), *[np.full((150, 150, 3), 255, np.uint8)] * blank]
        titles += [*rows["slice_id"], *[""] * blank]
    return image_grid(images, titles, columns=width, rows=labels, side=1.9, figure=figure)


def confusion_matrices(
    matrices: dict[str, np.ndarray], names: tuple[str, str], figure: Figure | SubFigure | None = None
) -> np.ndarray:
    """Draw 2 × 2 confusion matrices side by side; a cell shows its count and its share of the row."""
    axes = _row_of(figure, len(matrices), 3.2, 3.2)
    for axis, (title, matrix) in zip(axes, matrices.items(), strict=True):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)  # a class may be absent
        sns.heatmap(
            share, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, xticklabels=names, yticklabels=names, ax=axis
        )
        for (row, column), part in np.ndenumerate(share):
            # Seaborn's own choice is white from one half on, which can hardly be read on the middle blue.
            colour = "w" if part > 2 / 3 else "0.15"
            text = f"{matrix[row, column]}\n{part:.0%}"
            axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
        axis.set(title=title, xlabel="predicted", ylabel="truth")
    return axes


def threshold_choice(curve: pd.DataFrame, threshold: float, recall: float, title: str, ax: Axes | None = None) -> Axes:
    """Draw precision and recall over the threshold with the chosen one and the recall it must keep.

    At threshold 0 every slice is predicted positive: the dotted line is the precision of that trivial answer.
    """
    axis = single(ax, (8, 3.4))
    axis.plot(curve["threshold"], curve["precision"], label="precision")
    axis.plot(curve["threshold"], curve["recall"], label="recall")
    axis.axhline(recall, color="0.6", ls=":", lw=1)
    always = curve["precision"].iloc[0]
    axis.axhline(always, color="C0", ls=":", lw=1, label=f"precision of always stroke: {always:.2f}")
    axis.axvline(threshold, color="k", lw=1)
    axis.annotate(
        f"recall {recall}", (0.99, recall), xytext=(0, 3), textcoords="offset points", color="0.4", ha="right"
    )
    axis.annotate(f" chosen: {threshold:.2f}", (threshold, 0.05), xycoords=("data", "axes fraction"))
    axis.set(title=title, xlabel="threshold on the stroke probability", ylabel="share", xlim=(0, 1), ylim=(0, 1.03))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)  # the curves may lie anywhere inside
    return axis


def predictions_gallery(
    predictions: pd.DataFrame, slices: pd.DataFrame, names: tuple[str, str], each: int = 4,
    regions: dict[str, np.ndarray] | None = None, figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw right and wrong predictions with their probability: a row an outcome, the surest slice of each head.

    Args:
        predictions: table of :func:`stroke_utils.learn.predict.table`.
        slices: rows with ``slice_id`` and ``png``, and ``patient`` where known.
        names: of class 0 and 1.
        each: slices per outcome.
        regions: class mask by slice id; where there is one its outline is drawn.
        figure: where to draw.
    """
    titles = {
        "TP": f"{names[1]},\npredicted {names[1]}", "TN": f"{names[0]},\npredicted {names[0]}",
        "FN": f"{names[1]},\npredicted {names[0]}", "FP": f"{names[0]},\npredicted {names[1]}",
    }  # fmt: skip
    if predictions.empty:
        return np.array([nothing("prediction", "left by a run", figure=figure)])
    pngs = slices.set_index("slice_id")["png"]
    titles = {outcome: title for outcome, title in titles.items() if (predictions["outcome"] == outcome).any()}
    axes = several(figure, len(titles), each, (1.8 * each + 0.7, 1.95 * len(titles)))
    for row, (outcome, title) in zip(axes, titles.items(), strict=True):
        # Surest is farthest on its side of the threshold, wherever that lies.
        chosen = predictions[predictions["outcome"] == outcome]
        chosen = chosen.sort_values("probability", ascending=outcome in ("TN", "FN"), kind="stable")
        chosen = one_a_head(with_patients(chosen, slices)).head(each)
        for axis in row:
            axis.axis("off")
        for axis, p in zip(row, chosen.itertuples(), strict=False):
            axis.imshow(read_rgb(pngs[p.slice_id]))
            if regions and regions.get(p.slice_id) is not None:
                _outline(axis, regions[p.slice_id])
            axis.set_title(f"{p.slice_id}: {p.probability:.2f}", fontsize=9)
        count = int((predictions["outcome"] == outcome).sum())
        mark = "✓" if outcome[0] == "T" else "✗"
        row[0].text(-0.17, 0.5, f"{mark} {title}\nn = {count}", rotation=90, va="center", ha="center",
                    transform=row[0].transAxes, fontsize=9)  # fmt: skip
    return axes.ravel()


def _outline(axis: Axes, classes: np.ndarray) -> None:
    """Draw the outlines of a class mask (H, W): ischemia blue, hemorrhage green."""
    for value, name in enumerate(MASK_CLASSES):
        if value and (classes == value).any():
            axis.contour(classes == value, levels=[0.5], colors=[OUTLINES[name]], linewidths=1.4)


def outlined(pixels: np.ndarray, classes: np.ndarray | None = None, title: str = "", ax: Axes | None = None) -> Axes:
    """Show a slice with the outlines of a class mask, where there is one: ischemia blue, hemorrhage green."""
    axis = single(ax, (2.2, 2.3))
    axis.imshow(pixels)
    if classes is not None:
        _outline(axis, classes)
    axis.set_title(title, fontsize=9)
    axis.axis("off")
    return axis


def batch_preview(images: np.ndarray, truth: np.ndarray, figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw a training batch, float (b, H, W, 3) in [0, 1], with the outlines of its one-hot masks (b, H, W, 3)."""
    axes = image_grid(images, [""] * len(images), columns=min(4, len(images)), figure=figure)
    for axis, one_hot in zip(axes, truth, strict=True):
        _outline(axis, one_hot.argmax(axis=-1))
    return axes


def segmentation_demo(
    picks: dict[str, str], slices: pd.DataFrame, references: pd.Series, predicted: Path, scores: pd.DataFrame,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw original, truth and prediction of some slices side by side, cut out around all lesions, true and predicted.

    Args:
        picks: slice id by row title.
        slices, references: rows with ``slice_id``, ``png``, and the paths of the true masks, of one index.
        predicted: folder of predicted class masks.
        scores: table of :func:`stroke_utils.learn.predict.segment`.
        figure: where to draw.
    """
    if not picks:
        return np.array([nothing("predicted mask", "left by a run", figure=figure)])
    rows, truths = slices.set_index("slice_id"), references.set_axis(slices["slice_id"])
    dices = scores.set_index("slice_id")["lesion_dice"]
    blocks = 1 if len(picks) < 4 else 2  # side by side, so that the whole is no taller than a screen
    height = -(-len(picks) // blocks)
    axes = several(figure, height, 3 * blocks, (5.2 * blocks, 2.1 * height))
    for axis in axes.flat:
        axis.axis("off")
    for k, (title, slice_id) in enumerate(picks.items()):
        row = axes[k % height, 3 * (k // height) :][:3]
        pixels, truth = read_rgb(rows.loc[slice_id, "png"]), read_class_mask(truths[slice_id])
        found = read_class_mask(predicted / f"{slice_id}.png")
        shown = [crop(image, (truth > 0) | (found > 0), 40) for image in (pixels, truth, found)]
        outlined(shown[0], None, f"{title}\n{slice_id}", row[0])
        outlined(shown[0], shown[1], "truth", row[1])
        outlined(shown[0], shown[2], f"prediction,\nDice {dices[slice_id]:.2f}", row[2])
    return axes.ravel()


def dice_by_area(scores: pd.DataFrame, trivial: dict[str, float] | None = None, ax: Axes | None = None) -> Axes:
    """Draw each slice's lesion Dice over its true lesion area, by type, with the means.

    Args:
        scores: table of :func:`stroke_utils.learn.predict.segment`.
        trivial: mean of an answer without learning, by type, drawn as a dotted line.
        ax: where to draw.
    """
    axis = single(ax, (7.2, 3.6))
    for name in TYPES:
        part = scores[scores["label"] == name]
        colour = COLOURS[name]
        axis.scatter(part["reference_px"], part["lesion_dice"], s=18, alpha=0.8, color=colour, label=name)
        axis.axhline(part["lesion_dice"].mean(), color=colour, lw=1, ls="--")
        if name in (trivial or {}):
            axis.axhline(trivial[name], color=colour, lw=1.5, ls=":")
    axis.set(xscale="log", xlabel="true lesion area (pixels)", ylabel="lesion Dice of the slice", ylim=(-0.03, 1.03))
    ticks = [250, 500, 1000, 2000, 4000, 8000, 16000]
    axis.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axis.set_xticks([], minor=True)
    axis.set_xlim(0.9 * scores["reference_px"].min(), 1.1 * scores["reference_px"].max())
    title = "dashed: mean\ndotted: brightness alone" if trivial else "dashed: mean"
    axis.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1))  # dots may lie anywhere inside
    return axis


def beside_the_paper(results: pd.DataFrame, seeds: pd.DataFrame, table: str, ax: Axes | None = None) -> Axes:
    """Draw our scores of one of the paper's tables, all seeds, with the median's interval, beside the published values.

    Of a single seed there is no median: its score is the tick alone.

    Args:
        results: table of :func:`stroke_utils.results.paper.results`.
        seeds: table of :func:`stroke_utils.results.paper.per_seed`.
        table: ``I``, ``II`` or ``III``.
        ax: where to draw.
    """
    rows, seeds = results[results["table"] == table].iloc[::-1], seeds[seeds["table"] == table]
    axis = single(ax, (7, 0.9 + 0.32 * len(rows)))
    many = seeds.duplicated(["model", "score"]).any()
    ours, interval = ("here, median of the seeds", " of the median") if many else ("here, one seed", "")
    for y, row in enumerate(rows.itertuples()):
        values = seeds.loc[(seeds["model"] == row.model) & (seeds["score"] == row.score), "value"]
        if pd.notna(row.low):
            axis.plot([row.low, row.high], [y, y], color="C0", lw=2, label=f"95 % interval{interval}")
        axis.plot(row.ours, y, "|", color="C0", ms=11, mew=2, label=ours)
        if many:
            axis.plot(values, [y] * len(values), "C0o", ms=6, mec="w", mew=0.6, alpha=0.8, label="here, each seed")
        both = [getattr(row, answer, np.nan) for answer in ANSWERS]
        trivial = [row.baseline] if np.isnan(both).all() else [value for value in both if not np.isnan(value)]
        axis.plot(trivial, [y] * len(trivial), "|", color="0.4", ms=12, mew=2, label="trivial answers here")
        axis.plot(row.paper, y, "C1D", ms=6, label="the paper, its data")
    starts = rows["start"].fillna("").map(lambda start: start and f" ({start})")
    models = rows["model"].map(lambda model: model_title(model, table)) + starts
    names = [f"{model}, {score}" for model, score in zip(models, rows["score"], strict=True)]
    axis.set_yticks(range(len(rows)), names)
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axis.legend(once.values(), once.keys(), loc="upper left", bbox_to_anchor=(1, 1))
    axis.set(title=f"Table {table}", xlim=(-0.02, 1.02), ylim=(-0.6, len(rows) - 0.4))
    return axis


def printable_scores(
    triples: np.ndarray, published: np.ndarray, within: float = 1.0, figure: Figure | SubFigure | None = None
) -> np.ndarray:
    """Draw the precision and recall that the matrices of one test set can print, all of them and close to a row.

    Args:
        triples: (n, 3) of :func:`stroke_utils.evaluate.forensics.digits` with two decimals.
        published: the row, as :func:`stroke_utils.evaluate.forensics.printed` gives it.
        within: half the width of the second picture, in points.
        figure: where to draw.
    """
    triples, (p, r, _) = triples / 100, published / 100
    close = triples[(abs(triples - published / 100) <= within).all(axis=1)]
    (axes,) = several(figure, 1, 2, (8.4, 4.2))
    leave_unstamped(axes)
    whole, zoom = axes
    whole.scatter(triples[:, 0], triples[:, 1], s=1, color="0.55", linewidths=0)
    whole.add_patch(Rectangle((p - within, r - within), 2 * within, 2 * within, fill=False, color="C3", lw=1.5))
    whole.set(title=f"all {len(triples)} matrices", xlim=(0, 102), ylim=(0, 102))
    zoom.scatter(close[:, 0], close[:, 1], s=22, color="0.35", label="can be printed")
    zoom.plot(p, r, "o", color="C3", ms=13, mfc="none", mew=1.5, label="the published row")
    zoom.set(title=f"all three scores within {within:g} point of the row: {len(close)}")
    zoom.set(xlim=(p - within, p + within), ylim=(r - within, r + within))
    zoom.locator_params(nbins=5)
    zoom.legend(loc="lower right")
    for axis in axes:
        axis.set(xlabel="precision (%)", ylabel="recall (%)", aspect="equal")
    return axes


def fits_by_size(
    fits: pd.DataFrame, models: Sequence[str], tried: Sequence[int], mean: float, sd: float, ax: Axes | None = None
) -> Axes:
    """Draw which class sizes can print each row of a table, over the sizes that a random split gives.

    Args:
        fits: one row a solution: model, positives.
        models: rows of the table, those without any solution too.
        tried: all class sizes that were tried.
        mean, sd: of the number of positives in a random split.
        ax: where to draw.
    """
    axis = single(ax, (8, 0.8 + 0.45 * len(models)))
    leave_unstamped(axis)
    axis.axvspan(mean - 2 * sd, mean + 2 * sd, color="C0", alpha=0.15, lw=0, label="random split: mean ± 2 sd")
    axis.axvline(mean, color="C0", lw=1, ls="--", label="stratified split")
    axis.plot(fits["positives"], fits["model"].map(list(models).index), "o", color="k", ms=6, label="a matrix fits")
    axis.set_yticks(range(len(models)), [MODEL_TITLES.get(model, model) for model in models])
    axis.set(xlim=(min(tried) - 10, max(tried) + 10), ylim=(len(models) - 0.5, -0.5))
    axis.set(xlabel=f"slices of the positive class ({min(tried)} to {max(tried)} tried)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return axis

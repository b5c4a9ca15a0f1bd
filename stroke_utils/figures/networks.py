"""Pictures of what is inside a network: its layers as boxes, read from the model itself."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from stroke_utils.figures.canvas import leave_unstamped, several, single
from stroke_utils.figures.results import outlined
from stroke_utils.figures.style import image_grid

Model = Layer = Any
"""A Keras model and one of its layers. Keras is not imported: notebooks without networks draw too, and start fast."""

PARTS = {"input": "0.55", "backbone": "C0", "head": "C1", "decoder": "C2"}
"""Parts of a network with their colours."""

_NAMES = {
    "GlobalAveragePooling2D": "mean of\neach map",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "BatchNormalization": "BatchNorm",
    "Dense": "dense",
    "Conv2D": "one map\na class",
}


def network_stages(model: Model) -> pd.DataFrame:
    """Read the stages of a network from the model itself.

    A stage is all layers in a row whose output has one height and width. In the head each layer is one. Side branches,
    such as squeeze-and-excitation, count for the stage that they feed.

    Args:
        model: a Keras model of one input (b, H, W, channels) and one output, without models as layers.

    Returns:
        One row a stage, in the order of the computation: ``part`` (a key of :data:`PARTS`), ``name``, ``side`` (pixels;
        0 where the output is a list of features), ``channels``, ``convolutions``, ``weights``, and ``skip`` (the row
        whose output is handed over to this one besides, -1 for none).
    """
    main = _main_path(model)
    last = [layer for layer in model.layers if "Conv2D" in type(layer).__name__][-1]  # of a U-Net: it names the classes
    rows, stage_of, part = [], {}, "input"
    for layer in model.layers:
        kind, side, channels = type(layer).__name__, _side(layer), int(layer.output.shape[-1])
        if layer in main and kind != "ZeroPadding2D":  # a frame of zeros is no stage of its own
            before, above = part, rows[-1]["side"] if rows else side
            if part == "input" and "Conv2D" in kind:
                part = "backbone"
            elif side > above:
                part = "decoder"
            if not side or (part == "decoder" and layer is last):
                part = "head"
            if not rows or part != before or side != above or (part == "head" and kind != "Activation"):
                rows.append({"part": part, "name": _NAMES.get(kind, kind) if part == "head" else part, "side": side})
                rows[-1] |= {"channels": channels, "convolutions": 0, "weights": 0, "skip": -1}
            rows[-1]["channels"] = channels
        stage_of[layer] = len(rows) - 1
        rows[-1]["convolutions"] += "Conv2D" in kind
        rows[-1]["weights"] += layer.count_params()
        if kind == "Concatenate" and part == "decoder":
            rows[-1]["skip"] = min(stage_of[source] for source in _sources(layer))
    return pd.DataFrame(rows)


def _sources(layer: Layer) -> list:
    """Return the layers that a layer takes its input from; none for an input."""
    if type(layer).__name__ == "InputLayer":
        return []
    tensors = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    return [tensor._keras_history.operation for tensor in tensors]


def _main_path(model: Model) -> set:
    """Return the layers on the way from output to input: where ways meet, the larger map, then the longer way."""
    depth, path = {}, set()
    for layer in model.layers:  # in the order of the computation
        depth[layer] = 1 + max((depth[source] for source in _sources(layer)), default=0)
    layer = model.output._keras_history.operation
    while layer is not None:
        path.add(layer)
        layer = max(_sources(layer), key=lambda source: (_side(source), depth[source]), default=None)
    return path


def _side(layer: Layer) -> int:
    """Return the height of a layer's output in pixels, 0 for a list of features."""
    return int(layer.output.shape[1]) if len(layer.output.shape) == 4 else 0


def network(model: Model, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a network as boxes with their shapes, from the model itself.

    A box is a stage of :func:`network_stages`: its height stands for the side of the map of features, its width for
    their number; below it stand its convolutions and weights. A network that makes its maps larger again, as a U-Net
    does, is drawn as a U, with an arrow for each map that is handed over.

    Args:
        model: a detector, type classifier or U-Net of :mod:`stroke_utils.learn.models`.
        title: of the picture.
        ax: where to draw.
    """
    stages = network_stages(model)
    u, features = (stages["part"] == "decoder").any(), np.log2(stages["channels"] + 1)
    is_map = stages["side"] > 0
    wide = (0.11 * features).where(is_map, 0.2)
    tall = np.sqrt(stages["side"] / stages["side"].max()).where(is_map, 0.06 * features).clip(lower=0.1)
    down = 0.75 * np.log2(stages["side"].max() / stages["side"]) if u else 0 * wide
    place = 1.5 * np.arange(len(stages))
    axis = single(ax, (min(0.9 * len(stages), 10.4), 4.9 if u else 2.5))
    for x, y, w, h, row in zip(place, -down, wide, tall, stages.itertuples(), strict=True):
        shape, colour = f"{row.side}×{row.side}×{row.channels}" if row.side else f"{row.channels}", PARTS[row.part]
        box = {"facecolor": colour, "alpha": 0.35, "edgecolor": colour}
        axis.add_patch(Rectangle((x - w / 2, y - h / 2), w, h, label=row.part, **box))
        name = f"{row.name}\n" if row.part == "head" else ""
        work = f"\n{row.convolutions} conv." if row.convolutions else ""
        work += f"\n{row.weights:,}" if row.weights else ""
        axis.text(x, y + h / 2 + 0.04, f"{name}{shape}", ha="center", va="bottom", fontsize=8, fontweight="bold")
        axis.text(x, y - h / 2 - 0.04, work.strip(), ha="center", va="top", fontsize=8, color="0.25")
    arrow = {"arrowstyle": "->", "color": "0.35", "shrinkA": 2, "shrinkB": 2}
    for k in range(1, len(stages)):
        start, end = (place[k - 1] + wide[k - 1] / 2, -down[k - 1]), (place[k] - wide[k] / 2, -down[k])
        axis.annotate("", end, start, arrowprops=arrow)
        if (source := stages["skip"][k]) >= 0:
            start, y = place[source] + wide[source] / 2, -down[k]
            axis.annotate("", (place[k] - wide[k] / 2, y), (start, y), arrowprops=arrow | {"color": "C3", "ls": "--"})
            axis.text((start + place[k]) / 2, y + 0.04, "handed over", ha="center", color="C3", fontsize=8)
    axis.set(xlim=(-0.9, place[-1] + 0.9), ylim=(-down.max() - 0.75, 0.95), title=title)
    axis.set_axis_off()
    handles, labels = axis.get_legend_handles_labels()
    parts = dict(zip(labels, handles, strict=True))
    axis.legend(
        parts.values(), parts.keys(), loc="lower left" if u else "lower right", ncols=1 if u else 3, frameon=False,
        title="below a box: its convolutions and weights", title_fontsize=8, fontsize=8, alignment="left",
    )  # fmt: skip
    leave_unstamped(axis)
    return axis


def responses(
    image: np.ndarray, answers: np.ndarray, number: int = 11, figure: Figure | SubFigure | None = None
) -> np.ndarray:
    """Show a slice and what the filters of a layer make of it; each map has its own greys, from lowest to highest.

    Args:
        image: (H, W, 3), values 0–255.
        answers: (h, w, filters) of :func:`stroke_utils.learn.saliency.first_layer`.
        number: of filters shown, those of the widest spread, in their own order.
        figure: where to draw.
    """
    chosen = np.sort(np.argsort(answers.std(axis=(0, 1)))[::-1][:number])
    low, high = answers.min(axis=(0, 1)), answers.max(axis=(0, 1))
    greys = 255 * (answers - low) / np.maximum(high - low, 1e-9)
    maps = [greys[..., k] for k in chosen]
    return image_grid([image, *maps], ["the slice", *(f"filter {k}" for k in chosen)], 6, side=1.75, figure=figure)


def attention(
    images: list[np.ndarray], heats: list[np.ndarray], regions: list[np.ndarray | None], titles: list[str],
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:  # fmt: skip
    """Show slices, and below each a map of attention with the outlines of the lesion: ischemia blue, hemorrhage green.

    Args:
        images: (H, W, 3) each.
        heats: (H, W) each, not negative; colours go from 0 to the highest value of each.
        regions: class masks (H, W), or None where there is no lesion.
        titles: of the columns.
        figure: where to draw.
    """
    axes = several(figure, 2, len(images), (2.9 * len(images), 6.2))
    for (above, below), image, heat, region, title in zip(axes.T, images, heats, regions, titles, strict=True):
        outlined(image, title=title, ax=above)
        outlined(image, region, ax=below)
        below.imshow(heat, cmap="inferno", alpha=0.55, vmin=0)
    return axes.ravel()

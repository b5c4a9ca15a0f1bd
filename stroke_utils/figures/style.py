"""What all figures share: colours, style, and grids of slices."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from stroke_utils.figures.canvas import nothing, several

# Three colours of the Okabe-Ito palette, told apart with every kind of colour vision and in print.
COLOURS = {"none": "#7f7f7f", "ischemia": "#0072b2", "hemorrhage": "#d55e00"}
"""Colour of each label in every figure."""

OUTLINES = {"ischemia": "#56b4e9", "hemorrhage": "#3dff3d"}
"""Colour of outlines on slices: the mask colours, blue and green, made light enough for a dark brain."""

AGREEMENT = {"found": "#56b4e9", "missed": "#d55e00", "added": "#f0e442"}
"""Colour of lesion pixels by how a prediction agrees with the truth: sky blue, vermilion, yellow."""

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


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int = 4,
    rows: Sequence[str] = (),
    side: float = 2.2,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:
    """Show images in a grid, row by row; small crops keep hard pixels.

    Args:
        images: grey (H, W) or RGB (H, W, 3), 0 to 255, or RGB in [0, 1].
        titles: of the images.
        columns: images in a row at most.
        rows: names of the rows, at the left margin.
        side: of an image in a new figure, in inches.
        figure: where to draw.
    """
    if not len(images):
        return np.array([nothing("such slice", figure=figure)])
    columns = min(columns, len(images))
    height, titled = -(-len(images) // columns), 0.3 if any(titles) else 0.1
    axes = several(figure, height, columns, (side * columns, (side + titled) * height))
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(
            image, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if len(image) < 150 else "antialiased"
        )
        axis.set_title(title)
    for axis, name in zip(axes[:, 0], rows, strict=False):
        axis.set_ylabel(name, fontweight="bold")
    return axes.flat[: len(images)]


def crop(image: np.ndarray, region: np.ndarray, margin: int = 30) -> np.ndarray:
    """Cut the square around a region (mask, 0 outside) out of an image of the same height and width."""
    ys, xs = np.nonzero(region)
    centre, half = ((ys.min() + ys.max()) // 2, (xs.min() + xs.max()) // 2), max(np.ptp(ys), np.ptp(xs)) // 2 + margin
    (top, left) = (max(c - half, 0) for c in centre)
    return image[top : centre[0] + half + 1, left : centre[1] + half + 1]


def agreement(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Paint on a grey RGB image where two masks agree, what was missed and what was added, by :data:`AGREEMENT`."""
    painted = image[..., :3].copy()
    where = {
        "found": (truth > 0) & (found > 0), "missed": (truth > 0) & (found == 0), "added": (truth == 0) & (found > 0)
    }  # fmt: skip
    for name, colour in AGREEMENT.items():
        painted[where[name]] = np.uint8(255 * np.array(to_rgb(colour)))
    return painted


def agreement_key(axes: np.ndarray) -> np.ndarray:
    """Write what the colours of :func:`agreement` mean below the figure of some axes, and return these."""
    patches = [Patch(color=colour, label=f"lesion pixels {name}") for name, colour in AGREEMENT.items()]
    axes[0].figure.legend(handles=patches, loc="outside lower left", ncols=3, frameon=False)
    return axes

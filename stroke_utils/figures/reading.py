"""Pages of a scan that was read."""

import os
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy import ndimage

from stroke_utils.base import files
from stroke_utils.base.vocabulary import MASK_CLASSES
from stroke_utils.figures.style import OUTLINES

A4 = (8.27, 11.69)
"""Width and height in inches."""

AS_PDF = {"figure.dpi": 72, "text.hinting": "no_hinting"}
"""Settings with which letters are as wide on the screen as in a PDF, so that lines are broken at the same places."""

RED = "#b3261e"
"""Colour of the remark on a page."""


def with_outlines(rgb: np.ndarray, classes: np.ndarray, width: int = 2) -> np.ndarray:
    """Return a slice, uint8 (H, W, 3), with the outlines of a class mask (H, W) painted just outside each region."""
    painted = rgb.copy()
    for value, name in enumerate(MASK_CLASSES):
        region = classes == value
        if value and region.any():
            edge = ndimage.binary_dilation(region, iterations=width) & ~region
            painted[edge] = np.uint8(np.multiply(to_rgb(OUTLINES[name]), 255))
    return painted


def report_page(
    title: str, remark: str, lines: Sequence[str], pictures: Sequence[np.ndarray], captions: Sequence[str],
    small: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Draw a report of one page: what was found, up to eight slices, what stands behind it.

    Args:
        title: at the top.
        remark: in bold, at the top and at the foot.
        lines: the answer.
        pictures: uint8 (H, W, 3).
        captions: of the pictures.
        small: who answered, what was refused, in small letters.
    """
    with plt.style.context("default"), plt.rc_context(AS_PDF):
        figure = plt.figure(figsize=A4, layout="none")
        figure.text(0.07, 0.955, title, fontsize=14, fontweight="bold", va="top")
        figure.text(0.07, 0.925, remark, fontsize=10, color=RED, fontweight="bold", va="top")
        answer = figure.text(0.07, 0.9, "\n".join(lines), fontsize=9, va="top", linespacing=1.5, wrap=True)
        _shrink(answer, lambda box: box.y0 > 0.73)
        for k, (picture, caption) in enumerate(zip(pictures[:8], captions, strict=False)):
            axis = figure.add_axes((0.07 + 0.22 * (k % 4), 0.52 - 0.22 * (k // 4), 0.2, 0.16))
            axis.imshow(picture)
            _shrink(axis.set_title(caption, fontsize=6.5), lambda box: box.width < 0.21)
            axis.axis("off")
        behind = figure.text(
            0.07, 0.27, "\n".join(small), fontsize=7, va="top", linespacing=1.4, color="0.25", wrap=True
        )
        _shrink(behind, lambda box: box.y0 > 0.05)
        figure.text(0.07, 0.03, remark, fontsize=8, color=RED, fontweight="bold")
    return figure


def _shrink(text: Text, fits: Callable[[Bbox], bool]) -> None:
    """Make letters smaller until a text fits its place; the place is asked in shares of the page.

    Args:
        text: on a page.
        fits: whether a box suffices.
    """
    while not fits(text.get_window_extent().transformed(text.figure.transFigure.inverted())):
        text.set_fontsize(0.95 * text.get_fontsize())


def save_pdf(figure: Figure, target: str | os.PathLike) -> None:
    """Write a page as PDF in its own size, whole or not at all, and close it."""
    with files.atomic_path(target) as temporary, plt.style.context("default"):
        figure.savefig(temporary, format="pdf")
    plt.close(figure)

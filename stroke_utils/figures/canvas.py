"""Where figures are drawn, and the one place that stamps and saves them."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stroke_utils.base import files

NOTE = "phantom data, no patients"
"""The stamp."""

_HOW = {"fontsize": 8, "color": "0.4"}
_NOT_OURS = "no data of ours"  # mark of axes that get no stamp whatever data set is open
_PHANTOMS = "drawn heads"  # mark of axes that show a phantom's heads whatever data set is open

_origin = {}  # of the data that are drawn; `use_origin` alone changes it


def use_origin(origin: dict) -> None:
    """Say whose data all figures from now on show: a phantom's are stamped.

    Args:
        origin: ``origin`` of a cohort, the content of its ``DATASET.json``. It replaces the one before; {} is of
            unstamped data.
    """
    _origin.clear()
    _origin.update(origin)


def leave_unstamped(axes: Axes | np.ndarray) -> None:
    """Keep the stamp off axes that show no data of ours: the paper's own numbers, or the layers of a network.

    Args:
        axes: one axes or an array of them, of one figure.
    """
    _mark(axes, _NOT_OURS)


def mark_phantom(axes: Axes | np.ndarray) -> None:
    """Mark axes that show a phantom's heads also where a real data set is open, and stamp them.

    Args:
        axes: one axes or an array of them, of one figure.
    """
    _mark(axes, _PHANTOMS)


def _mark(axes: Axes | np.ndarray, what: str) -> None:
    for axis in np.ravel(axes):
        axis.set_gid(what)
    stamp(_figure_of(axes))


def stamp(figure: Figure) -> None:
    """Say on a figure that its data are a phantom's, where they are; a figure stamped before is stamped anew.

    The note stands below the whole figure. Where some axes are of other data, or the reader has put a label there, it
    stands at the right edge of each axes that shows a phantom's.
    """
    if figure.get_supxlabel() == NOTE:
        figure.supxlabel("")
    for axis in figure.axes:
        for text in [text for text in axis.texts if text.get_text() == NOTE]:
            text.remove()
    of = {_PHANTOMS, None} if _origin.get("phantom") else {_PHANTOMS}
    ours = [axis for axis in figure.axes if axis.get_gid() in of]
    if not ours:
        return
    if len(ours) == len(figure.axes) and not figure.get_supxlabel():
        figure.supxlabel(NOTE, x=0.995, ha="right", **_HOW)
        return
    for axis in ours:
        if axis.get_visible() and axis.get_label() != "<colorbar>":
            axis.text(1.01, 0, NOTE, transform=axis.transAxes, rotation=90, ha="left", va="bottom", **_HOW)


def single(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return ``ax``, or the axes of a new figure of a size in inches where it is None; its figure is stamped."""
    axis = plt.figure(figsize=size).subplots() if ax is None else ax
    stamp(_figure_of(axis))
    return axis


def several(
    figure: Figure | SubFigure | None, rows: int, columns: int, size: tuple[float, float], **layout
) -> np.ndarray:
    """Make a grid of axes on ``figure``, or on a new one of a size in inches where it is None, and stamp it.

    Args:
        figure: where to draw.
        rows, columns: of the grid.
        size: width and height of a new figure.
        layout: more arguments of :meth:`matplotlib.figure.Figure.subplots`.

    Returns:
        Axes (rows, columns).
    """
    place = plt.figure(figsize=size) if figure is None else figure
    axes = place.subplots(rows, columns, squeeze=False, **layout)
    stamp(_figure_of(axes))
    return axes


def nothing(
    what: str, where: str = "in this data set", ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Axes:
    """Say in place of a picture that there is nothing to draw: a user's data may lack what the phantom has."""
    size = 5, 0.6
    axis = single(ax, size) if figure is None else several(figure, 1, 1, size)[0, 0]
    axis.set_axis_off()
    axis.text(0.5, 0.5, f"No {what} {where}".strip(), ha="center", va="center", color="0.4", transform=axis.transAxes)
    return axis


def save(drawn: Axes | np.ndarray | Figure | SubFigure, target: str | Path, data: pd.DataFrame | None = None) -> None:
    """Save a figure as PNG, whole or not at all, and the data behind it as CSV beside it; folders above are made.

    Args:
        drawn: a figure, or axes of it, as every drawing function returns them.
        target: path of the PNG.
        data: what is drawn.
    """
    figure = _figure_of(drawn)
    stamp(figure)  # a reader may have put it together
    figure.draw_without_rendering()  # the layout of panels within panels settles at the second drawing only
    if data is not None:
        files.write_table(Path(target).with_suffix(".csv"), data)
    with files.atomic_path(target) as temporary:
        figure.savefig(temporary, format="png")


def _figure_of(drawn: Axes | np.ndarray | Figure | SubFigure) -> Figure:
    return np.ravel(drawn)[0].get_figure(root=True)

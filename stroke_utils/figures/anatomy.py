"""What is what on a slice, drawn from the phantom's own truth: no data set is read and no patient is shown.

The heads come from a seed of their own. None of them is in a cohort, and no network learns from them.
"""

import functools
from collections.abc import Iterable
from dataclasses import replace

import matplotlib.patheffects as patheffects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from scipy import ndimage

from stroke_utils.base.vocabulary import LABELS
from stroke_utils.figures.canvas import mark_phantom, several, single
from stroke_utils.figures.style import OUTLINES
from stroke_utils.phantom import anatomy, lesions, patient, render, skull, spec

SEED = 18
"""Of the heads that are drawn here. The phantom cohorts have seed 0."""

HEAD = 643
"""The patient of the labelled slice: frontal sinus, calcium and furrows are all on its middle slice."""

LESIONS = {
    "acute ischemia": ("ischemia", (8, 3)),
    "old infarct": ("none", (64, 131)),
    "intracerebral hemorrhage": ("hemorrhage", (5, 30)),
    "subdural hemorrhage": ("hemorrhage", (57, 53)),
    "intraventricular hemorrhage": ("hemorrhage", (97, 117)),
}
"""What each row of :func:`lesion_kinds` shows: label of the patients, and their numbers."""

OLD = "#f0e442"
"""Colour of an old infarct's outline; the data set paints none."""

WINDOW = 40, 80
"""Centre and width in Hounsfield units of the heads shown here, as in the data set."""


def _planned(number: int, label: str, index: int, count: int) -> spec.PlannedPatient:
    which = spec.PlannedSlice(str(number), index, (512, 512), False)
    return spec.PlannedPatient(number, "train", label, (which,) * count)


def _patient(number: int, count: int, window: tuple[int, int]) -> patient.Patient:
    """Return a patient without head-rest, seen through a window (centre, width)."""
    drawn = patient.draw_patient(SEED, number, count, spec.PhantomSpec())
    centre, width = window
    return replace(drawn, rest=("none", drawn.rest[1]), width=width, low=centre - width // 2)


@functools.lru_cache(maxsize=16)
def drawn_slice(number: int, label: str, index: int = 1, count: int = 3, window: tuple = WINDOW) -> render.Rendered:
    """Draw one of a patient's ``count`` slices, once; it is for looking at, not for changing."""
    constants, planned = spec.PhantomSpec(), _planned(number, label, index, count)
    head = _patient(number, count, window)
    lesion = lesions.draw_lesion(SEED, number, label, head, constants)
    return render.draw_slice(head, planned, planned.slices[0], lesion, SEED, constants)


def square(shown: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest square around all that is not black, with a small margin."""
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    half = max(np.ptp(rows), np.ptp(columns)) // 2 + 8
    return tuple(
        slice(max(0, middle - half), min(size, middle + half))
        for middle, size in (
            ((each[0] + each[-1]) // 2, n) for each, n in zip((rows, columns), shown.shape, strict=True)
        )
    )


def _deepest(region: np.ndarray) -> tuple[int, int]:
    """Return row and column of the point that lies farthest inside a region."""
    return np.unravel_index(ndimage.distance_transform_edt(region).argmax(), region.shape)


def structures() -> dict[str, tuple[int, int]]:
    """Say where each structure of the labelled slice lies, from the maps that the slice is drawn from.

    Returns:
        row and column of a point inside each, by its name.
    """
    head = anatomy.build(_patient(HEAD, 3, WINDOW), _patient(HEAD, 3, WINDOW).heights[1], (512, 512))
    falx, _, vein = (_late(head, *layer[:2]) for layer in head.late[:3])  # in this order `anatomy` lists them
    membranes = len(head.late)
    skull.add_skull_base(head)
    air = np.max([_late(head, box, cover) for box, cover, hu in head.late[membranes:] if hu == anatomy.AIR], axis=0)
    calcium = np.max([_late(head, box, cover) for box, cover in head.calcium], axis=0) > 0.5
    brain, patient_ = head.csf < 0.05, head.patient
    middle = (patient_.grey + patient_.white) / 2
    x, y = head.plain.x, head.plain.y
    furrows = (head.csf > 0.5) & (head.ventricle < 0.1) & (head.depth > 5)
    regions = {
        "skull (bone)": (head.skull > 0.9) & (head.inside < 0.1) & (x < 0) & (abs(y + 30) < 12),
        "scalp": (head.outside > 30) & (head.skull < 0.1) & (x < 0) & (abs(y - 12) < 12),
        "frontal sinus (air)": air > 0.5,
        "falx": (falx > 0.3) & (y > -75) & (y < -55),
        "sagittal sinus (vein)": (vein > 0.5) & (y > 0),
        "ventricle (fluid)": (head.ventricle > 0.5) & (x > 0) & (y < -10),
        "calcified plexus": calcium & (x > 12),
        "calcified pineal gland": calcium & (abs(x) < 8),
        "sulcus (fluid)": furrows & (x > 0) & (y < -20) & (head.depth < 25),
        "grey matter": brain & (head.tissue > middle + 1) & (x < 0) & (y > 30) & (head.depth < 14),
        "white matter": brain & (head.tissue < middle - 1) & (x < 0) & (head.depth > 8) & (y < -20),
    }
    top, left = head.crop[0].start, head.crop[1].start
    return {name: (row + top, column + left) for name, (row, column) in _points(regions)}


def _late(head: anatomy.Head, box: tuple, coverage: np.ndarray) -> np.ndarray:
    """Return the coverage of one of a head's late layers over the whole of its box."""
    whole = np.zeros_like(head.inside)
    whole[box] = coverage
    return whole


def _points(regions: dict[str, np.ndarray]) -> Iterable[tuple[str, tuple[int, int]]]:
    return ((name, _deepest(region)) for name, region in regions.items() if region.any())


def labelled_slice(ax: Axes | None = None) -> Axes:
    """Show one slice of a drawn head with lines to what is on it: bone, fluid, membranes, calcium, grey and white."""
    grey = drawn_slice(HEAD, "none", window=(36, 56)).grey  # narrower than usual, so that grey and white matter differ
    axis = single(ax, (8, 5))
    rows, columns = square(grey)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255)
    axis.set(xlim=(columns.start, columns.stop), ylim=(rows.stop, rows.start), xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    mark_phantom(axis)
    found = structures()
    centre = (columns.start + columns.stop) / 2
    for side, edge, align in ((-1, -0.06, "right"), (1, 1.06, "left")):
        mine = sorted((point, name) for name, point in found.items() if (point[1] < centre) == (side < 0))
        heights = np.linspace(0.95, 0.05, len(mine))
        for height, ((row, column), name) in zip(heights, mine, strict=True):
            line = axis.annotate(
                name,
                (column, row),
                (edge, height),
                textcoords="axes fraction",
                ha=align,
                va="center",
                fontsize=10,
                arrowprops={"arrowstyle": "-", "color": "#f0e442", "lw": 1.3, "shrinkB": 0},
            )
            line.arrow_patch.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground="black")])
            axis.plot(column, row, "o", ms=4.5, mfc="#f0e442", mec="black", mew=0.8)
    return axis


def lesion_kinds(figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show two slices of each kind of lesion in :data:`LESIONS`, each without and with its true outline."""
    axes = several(figure, len(LESIONS), 4, (7.8, 8.3))
    for row, (name, (label, numbers)) in zip(axes, LESIONS.items(), strict=True):
        row[0].set_ylabel(name.replace(" ", "\n"), fontweight="bold", rotation=0, ha="right", va="center")
        for (plain, outlined), number in zip(row.reshape(2, 2), numbers, strict=True):
            drawn = drawn_slice(number, label)
            region = drawn.truth > 0 if label in LABELS[1:] else drawn.tissue == render.TISSUES.index(name)
            place = square(drawn.grey)
            for axis in (plain, outlined):
                axis.imshow(drawn.grey[place], cmap="gray", vmin=0, vmax=255)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
            outlined.contour(region[place], [0.5], colors=OUTLINES.get(label, OLD), linewidths=1.4)
    for axis, title in zip(axes[0], ("slice", "outlined", "another slice", "outlined"), strict=True):
        axis.set_title(title)
    mark_phantom(axes)
    return axes.ravel()


def from_head_to_numbers(figure: Figure | SubFigure | None = None) -> np.ndarray:
    """Show what a slice is: some cuts through one drawn head, one of them as a picture, and its pixels as numbers."""
    count, chosen = 8, 4
    (axes,) = several(figure, 1, 3, (10, 3.8), width_ratios=(0.75, 1, 1))
    stack, whole, close = axes
    pictures = {index: drawn_slice(HEAD, "none", index, count).grey for index in (0, 2, chosen, 6)}
    place = square(pictures[chosen])
    side = place[0].stop - place[0].start
    for number, grey in enumerate(pictures.values()):  # from the skull base upwards, each seen at a slant
        head = ndimage.binary_fill_holes(grey[place] > 0)
        left, low = 0.1 * side * number, 0.42 * side * number
        extent = (left, left + side, low, low + 0.6 * side)
        shown = np.ma.masked_where(~head, grey[place])
        stack.imshow(shown, cmap="gray", vmin=0, vmax=255, extent=extent, zorder=number)
    stack.set(xlim=(0, 1.3 * side), ylim=(0, 1.86 * side), title="cuts through one head")
    stack.set_aspect("equal")
    grey = pictures[chosen][place]
    whole.imshow(grey, cmap="gray", vmin=0, vmax=255)
    whole.set_title(f"one cut: {pictures[chosen].shape[0]} × {pictures[chosen].shape[1]} pixels")
    size = 9
    row, column = int(0.36 * side), int(0.44 * side)  # where a ventricle borders on brain
    whole.add_patch(Rectangle((column - 0.5, row - 0.5), size, size, fill=False, color="#f0e442", lw=1.5))
    patch = grey[row : row + size, column : column + size]
    close.imshow(patch, cmap="gray", vmin=0, vmax=255)
    for (r, c), value in np.ndenumerate(patch):
        close.text(c, r, value, ha="center", va="center", fontsize=8, color="black" if value > 140 else "white")
    close.set_title("the yellow square: numbers from 0 to 255")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    mark_phantom(axes)
    return axes

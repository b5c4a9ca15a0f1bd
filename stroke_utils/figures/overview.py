"""The map of the course: which notebook makes what of what."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch, Rectangle

from stroke_utils.figures.anatomy import LESIONS, drawn_slice, square
from stroke_utils.figures.canvas import leave_unstamped, mark_phantom, single
from stroke_utils.figures.style import OUTLINES

PLACES = {
    "01": (1, 17.5, 17, 24, "slices", "What is in the data?"),
    "02": (25, 1.5, 17, 24, "masks", "Which pixels are lesion?"),
    "03": (50, 34, 21, 7.5, "detection", "Is there a stroke?"),
    "04": (50, 18, 21, 7.5, "type", "Ischemia or hemorrhage?"),
    "05": (50, 2, 21, 7.5, "segmentation", "Where is it?"),
    "06": (78, 8, 21, 33.5, "results", "Ours beside the paper's"),
    "07": (1, -11, 31, 8, "table forensics", "What do the paper's digits say?"),
    "08": (34, -11, 31, 8, "leakage, shortcuts", "Did the network see the answer?"),
    "09": (67, -11, 32, 8, "trust", "When may an answer be believed?"),
    "10": (1, -22, 48, 8, "one model", "Does one network do for three?"),
    "11": (51, -22, 48, 8, "read a scan", "What does a person get?"),
}
"""Left, bottom, width and height of each notebook's box, its name and its question."""

TABLES = {"Table I": 31, "Table II": 23.5, "Table III": 16}
"""Bottom of each table of the paper in the box of the results."""

ARROWS = (
    ((18.5, 37.7), (49.5, 37.7)),
    ((18.5, 34), (49.5, 24.5)),
    ((9.5, 17), (24.5, 9)),
    ((42.5, 6), (49.5, 6)),
    ((71.5, 37.7), (80.5, 33.5)),
    ((71.5, 22), (80.5, 25.5)),
    ((71.5, 6), (80.5, 17.5)),
)
"""Where each arrow begins and ends."""

SHOWN = 1
"""Which of the intracerebral hemorrhages of `anatomy.LESIONS` is shown."""


def course_map(ax: Axes | None = None) -> Axes:
    """Show the way from slices to masks, to the three tasks and to their tables, a box for each notebook."""
    axis = single(ax, (10, 6.7))
    axis.set_axis_off()
    for number, (left, bottom, width, height, name, question) in PLACES.items():
        box = FancyBboxPatch((left, bottom), width, height, "round,pad=0.3,rounding_size=1", fc="#f4f6f8", ec="0.4")
        axis.add_patch(box)
        middle, top = left + width / 2, bottom + height
        axis.text(middle, top - 0.6, f"{number} {name}", ha="center", va="top", fontweight="bold", fontsize=11)
        axis.text(middle, bottom + 0.4, question, ha="center", va="bottom", fontsize=9, color="0.2")
    for name, bottom in TABLES.items():
        axis.add_patch(Rectangle((81, bottom), 15, 4.8, fc="white", ec="0.5"))
        axis.text(88.5, bottom + 2.4, name, ha="center", va="center", fontsize=9)
    for start, end in ARROWS:
        axis.annotate(
            "", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
        )
    label, numbers = LESIONS["intracerebral hemorrhage"]
    drawn = drawn_slice(numbers[SHOWN], label)
    place = square(drawn.grey)
    mask = np.zeros((*drawn.truth[place].shape, 3))
    mask[drawn.truth[place] > 0] = to_rgb(OUTLINES[label])
    for number, picture in (("01", drawn.grey[place]), ("02", mask)):
        left, bottom, width, *_ = PLACES[number]
        extent = (left + width / 2 - 7.5, left + width / 2 + 7.5, bottom + 4.2, bottom + 19.2)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=extent, zorder=3)
    axis.set(xlim=(0, 100), ylim=(-23, 43))  # a picture narrows them to itself
    mark_phantom(axis)
    return axis


def one_or_three(ax: Axes | None = None) -> Axes:
    """Show three networks in a row, as the paper has them, and below them one network with three answers."""
    axis = single(ax, (9, 4.2))
    axis.set_axis_off()

    def box(left: float, bottom: float, width: float, words: str, colour: str) -> None:
        shape = "round,pad=0.3,rounding_size=1"
        axis.add_patch(FancyBboxPatch((left, bottom), width, 8, shape, fc=colour, ec="0.4"))
        axis.text(left + width / 2, bottom + 4, words, ha="center", va="center", fontsize=9)

    def arrow(start: tuple[float, float], end: tuple[float, float], words: str = "") -> None:
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "shrinkA": 0, "shrinkB": 0})
        axis.text((start[0] + end[0]) / 2, start[1] + 1, words, ha="center", va="bottom", fontsize=8, color="0.2")

    network, answer = "#dce6f2", "#f4f6f8"
    axis.text(0, 47, "three networks", fontweight="bold")
    for left, words in ((16, "detection"), (45, "type"), (71, "region")):
        box(left, 32, 16, f"encoder\n→ {words}", network)
    box(0, 32, 9, "slice", answer)
    arrow((9.5, 36), (15.5, 36))
    arrow((32.5, 36), (44.5, 36), "stroke?")
    arrow((61.5, 36), (70.5, 36))
    axis.text(0, 24, "one network", fontweight="bold")
    box(0, 9, 9, "slice", answer)
    box(16, 9, 16, "encoder", network)
    arrow((9.5, 13), (15.5, 13))
    for bottom, words in ((20, "head: detection"), (9, "head: type"), (-2, "decoder: region")):
        box(45, bottom, 20, words, network)
        arrow((32.5, 13), (44.5, bottom + 4))
    axis.set(xlim=(-1, 92), ylim=(-4, 50))
    leave_unstamped(axis)
    return axis

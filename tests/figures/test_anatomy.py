"""What the pictures of anatomy name is what lies there, by the Hounsfield units of the slice and by its truth."""

import sys
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import ndimage

from stroke_utils import figures
from stroke_utils.base import paths
from stroke_utils.figures import anatomy, overview


@pytest.fixture(autouse=True)
def clean_figures():
    figures.use_style()
    yield
    plt.close("all")


HU = {
    "skull (bone)": (300, 3000),
    "scalp": (20, 200),
    "frontal sinus (air)": (-1100, -500),
    "falx": (38, 70),
    "sagittal sinus (vein)": (45, 70),
    "ventricle (fluid)": (-5, 18),
    "sulcus (fluid)": (-5, 22),
    "calcified plexus": (90, 400),
    "calcified pineal gland": (90, 400),
    "grey matter": (33, 45),
    "white matter": (24, 34),
}
"""Between which Hounsfield units each structure of the labelled slice lies, noise included."""


@pytest.fixture(scope="module")
def slice_():
    return anatomy.drawn_slice(anatomy.HEAD, "none").hu


@pytest.mark.parametrize("name", HU)
def test_a_label_points_at_what_it_says(slice_, name):
    row, column = anatomy.structures()[name]
    radius = 2 if "matter" in name else 0  # two shades that differ by less than the noise: their mean tells them apart
    found = slice_[row - radius : row + radius + 1, column - radius : column + radius + 1].mean()
    low, high = HU[name]
    assert low <= found <= high, f"{found:.0f} HU"


def test_every_structure_is_named_once_and_inside_the_picture():
    axis = figures.labelled_slice()
    named = [text.get_text() for text in axis.texts if text.get_text() in HU]
    assert sorted(named) == sorted(HU) == sorted(anatomy.structures())
    for line in axis.lines:
        (x,), (y,) = line.get_data()
        assert axis.get_xlim()[0] < x < axis.get_xlim()[1] and axis.get_ylim()[1] < y < axis.get_ylim()[0]


def region(name, number):
    label, _ = anatomy.LESIONS[name]
    drawn = anatomy.drawn_slice(number, label)
    return drawn, drawn.truth > 0 if label != "none" else drawn.tissue == 3


@pytest.mark.parametrize("name", anatomy.LESIONS)
def test_each_row_shows_its_kind_of_lesion(name):
    for number in anatomy.LESIONS[name][1]:
        drawn, where = region(name, number)
        assert where.sum() > 500
        grey = drawn.hu[where].mean()
        ring = ndimage.binary_dilation(where, iterations=4) & ~where
        touches = (drawn.hu[ring] > 300).mean()
        fluid = drawn.tissue[ring] == 4
        if name == "acute ischemia":
            assert 12 < grey < 28
        elif name == "old infarct":
            assert grey < 20 and not drawn.truth.any()
        elif name == "subdural hemorrhage":
            assert grey > 50 and touches > 0.1
        else:
            assert grey > 50 and touches < 0.1
            parts = ndimage.label(where)[1]
            assert (parts > 1 or fluid.any()) if name == "intraventricular hemorrhage" else parts == 1


def test_the_map_has_every_notebook_but_the_one_it_is_in():
    stems = {path.stem[:2] for path in (paths.home() / "notebooks").glob("*.ipynb")}
    assert set(overview.PLACES) == stems - {"00"}


def test_sliders_are_there_where_ipywidgets_is(monkeypatch):
    picture = np.linspace(-100, 100, 64).reshape(8, 8)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # as if it were not installed
    assert figures.window_slider(picture) is None
    said = {}
    stub = SimpleNamespace(
        IntSlider=lambda value, low, high, **more: (low, value, high),
        interactive=lambda show, **sliders: said.update(show=show, **sliders) or "widget",
    )
    monkeypatch.setitem(sys.modules, "ipywidgets", stub)
    assert figures.window_slider(picture) == "widget" and figures.window_slider(None) is None
    assert all(low < value < high for low, value, high in (said["centre"], said["width"]))
    monkeypatch.setattr(plt, "show", lambda: None)
    said["show"](40, 80)
    assert plt.gcf().axes[0].get_title() == "centre 40, width 80"

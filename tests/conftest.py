"""Fixtures that more than one test module uses."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.data import masks
from stroke_utils.phantom import make_phantom, render, writer
from tests import scans

BESIDE = Path(__file__).resolve().parents[2] / "shared"  # a folder beside the checkout, for what may not enter it


@pytest.fixture(autouse=True)
def own_style():
    """Undo what a test sets of matplotlib, so that no test depends on those before it."""
    with plt.rc_context():
        yield


@pytest.fixture(scope="session")
def real_samples():
    """Folder of a few slices of the real data; a test that asks for it is skipped where it is not there."""
    if not (BESIDE / "real_samples").is_dir():
        pytest.skip("no real samples beside this checkout")
    return BESIDE / "real_samples"


@pytest.fixture(scope="session")
def published_weights():
    """Folder of published ImageNet weights; a test that asks for it is skipped where it is not there."""
    if not (BESIDE / "weights").is_dir():
        pytest.skip("no ImageNet weights beside this checkout")
    return BESIDE / "weights"


@pytest.fixture
def slices(tmp_path):
    """Table of seven slices of 40×40, each of one grey of its own, with a lesion mask."""
    rows = []
    for k in range(7):
        grey = np.full((40, 40, 4), 255, np.uint8)
        grey[..., :3] = 10 + 30 * k
        Image.fromarray(grey).save(tmp_path / f"{k}.png")
        classes = np.zeros((40, 40), np.uint8)
        classes[10 : 12 + k, 20:30] = 1 + k % 2
        masks.write_class_mask(tmp_path / f"m{k}.png", classes)
        rows.append((str(k), str(tmp_path / f"{k}.png"), str(tmp_path / f"m{k}.png"), "ischemia", 40, 40))
    return pd.DataFrame(rows, columns=["slice_id", "png", "class_mask", "label", "height", "width"])


@pytest.fixture(scope="session")
def tiny_layout(tmp_path_factory):
    """Give a function that writes the tiny phantom, seed 0, in a layout; each slice is drawn once for all of them."""
    drawn, draw = {}, render.draw_slice

    def draw_once(patient, planned, which, *rest):
        key = planned.number, which.index
        if key not in drawn:
            drawn[key] = draw(patient, planned, which, *rest)
        return drawn[key]

    def write(layout):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(render, "draw_slice", draw_once)
            target = tmp_path_factory.mktemp("phantom") / layout
            return make_phantom(target, "tiny", 0, quiet=True, layout=layout, workers=1)

    return write


@pytest.fixture(scope="session")
def tiny_phantom(tiny_layout):
    """Folder of a tiny phantom cohort, seed 0, shared by the whole test session: read it, never write to it."""
    return tiny_layout("portal")


@pytest.fixture(scope="session")
def layout_phantoms(tiny_phantom, tiny_layout):
    """Folders of the tiny phantom in every layout, by name: read them, never write to them."""
    others = {layout: tiny_layout(layout) for layout in writer.LAYOUTS if layout != "portal"}
    return {"portal": tiny_phantom} | others


@pytest.fixture(scope="session")
def scan(tmp_path_factory):
    """A drawn scan of 30 slices as a disc holds it (`tests.scans.Scan`): read it, never write to it."""
    return scans.write_scan(tmp_path_factory.mktemp("disc") / "scan")

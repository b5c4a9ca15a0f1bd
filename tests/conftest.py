"""Fixtures that more than one test module uses."""

import pytest

from stroke_utils.phantom import make_phantom


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory):
    """Folder of a tiny phantom cohort, seed 0, shared by the whole test session: read it, never write to it."""
    return make_phantom(tmp_path_factory.mktemp("phantom") / "tiny", "tiny", 0, quiet=True)


@pytest.fixture(scope="session")
def layout_phantoms(tiny_phantom, tmp_path_factory):
    """Folders of the tiny phantom in every layout, by name, with each slice drawn once: read them, never write."""
    drawn, folder = functools.cache(render.draw_slice), tmp_path_factory.mktemp("layouts")
    folders = {"portal": tiny_phantom}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "draw_slice", lambda patient, planned, which, *rest: drawn_once(patient, planned, which, rest))

"""Fixtures that more than one test module uses."""

import pytest

from stroke_utils.phantom import make_phantom, render, writer


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory):
    """Folder of a tiny phantom cohort, seed 0, shared by the whole test session: read it, never write to it."""
    return make_phantom(tmp_path_factory.mktemp("phantom") / "tiny", "tiny", 0, quiet=True)


@pytest.fixture(scope="session")
def layout_phantoms(tiny_phantom, tmp_path_factory):
    """Folders of the tiny phantom in every layout, by name, each slice drawn once: read them, never write to them."""
    folders, drawn, draw = {"portal": tiny_phantom}, {}, render.draw_slice

    def draw_once(patient, planned, which, *rest):
        key = planned.number, which.index
        if key not in drawn:
            drawn[key] = draw(patient, planned, which, *rest)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "draw_slice", draw_once)
        for layout in writer.LAYOUTS.keys() - folders.keys():
            target = tmp_path_factory.mktemp("phantom") / layout
            folders[layout] = make_phantom(target, "tiny", 0, quiet=True, layout=layout, workers=1)
    return folders

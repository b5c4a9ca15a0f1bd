"""Fixtures that more than one test module uses."""

import pytest

from stroke_utils.phantom import make_phantom


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory):
    """Folder of a tiny phantom cohort, seed 0, shared by the whole test session: read it, never write to it."""
    return make_phantom(tmp_path_factory.mktemp("phantom") / "tiny", "tiny", 0, quiet=True)

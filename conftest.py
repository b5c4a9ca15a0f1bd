"""One test session: unit tests, then the notebooks' cells (with --nbval), then the scores those notebooks wrote.

It stands at the root so that it also holds where only a notebook is named on the command line.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

EXPECTED = "test_expected.py"
UNTESTED = {"data", "results", "figures"}  # at the root only: the tests have folders of these names
SESSION = pytest.StashKey[dict]()


def pytest_configure(config):
    """Give the session a fresh folder for results and derived data; kernels inherit the environment."""
    folder = Path(tempfile.mkdtemp(prefix="stroke-tests-"))
    config.stash[SESSION] = {"folder": folder, "start": time.time()}
    os.environ.update(STROKE_RESULTS=str(folder / "results"), STROKE_DERIVED=str(folder / "derived"))
    os.environ.pop("STROKE_DATA", None)  # the stored outputs are those of the phantom


def pytest_ignore_collect(collection_path, config):
    """Leave out what holds executed copies, and the expected scores where no notebook runs: no records to check."""
    if collection_path.parent == config.rootpath and collection_path.name in UNTESTED:
        return True
    return True if collection_path.name == EXPECTED and not config.option.nbval else None


def pytest_collection_modifyitems(items):
    """Order unit tests, notebooks, expected scores; within each the order stays."""
    items.sort(key=lambda item: 2 if item.path.name == EXPECTED else int(item.path.suffix == ".ipynb"))


@pytest.fixture(scope="session")
def session_start(pytestconfig):
    """Seconds since the epoch at which this test session started."""
    return pytestconfig.stash[SESSION]["start"]


def pytest_sessionfinish(session, exitstatus):
    """Remember how the session ended."""
    session.config.stash[SESSION]["failed"] = bool(exitstatus)


def pytest_unconfigure(config):
    """Remove the session's folder, but keep what a failed session leaves to look at."""
    about = config.stash.get(SESSION, None)
    if about and about.get("failed") and any(about["folder"].iterdir()):
        print(f"\nThe runs of this failed session are kept in {about['folder']}")
    elif about:
        shutil.rmtree(about["folder"], ignore_errors=True)

"""One test session: unit tests, then the notebooks' cells (with --nbval), then the scores those notebooks wrote.

It stands at the root so that it also holds where only a notebook is named on the command line.

Notebooks run in the profile ``smoke``: what ``params/smoke/<notebook>.yaml`` says is appended to their cell tagged
``parameters``. ``STROKE_PROFILE=quick`` runs them as they are stored.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

EXPECTED = "test_expected.py"
PROFILES = ("smoke", "quick")
UNTESTED = {"data", "results", "figures"}  # at the root only: the tests have folders of these names
SESSION = pytest.StashKey[dict]()


def pytest_configure(config):
    """Give the session a fresh folder for results and derived data; kernels inherit the environment."""
    profile = os.environ.setdefault("STROKE_PROFILE", PROFILES[0])  # test_expected.py reads it too
    if profile not in PROFILES:
        raise pytest.UsageError(f"STROKE_PROFILE={profile}: the tests run in {' or '.join(PROFILES)}.")
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
    """Order unit tests, notebooks, expected scores; within each the order stays. Give notebooks their parameters."""
    profile = os.environ["STROKE_PROFILE"]
    for notebook in sorted({item.path for item in items if hasattr(item, "cell")}):
        assignments(notebook, profile)  # refuses one whose parameters cell is not tagged: it would run in full
    for item in items:
        cell = getattr(item, "cell", None)  # nbval's items have one
        if profile != "quick" and cell and "parameters" in cell.metadata.get("tags", []):
            cell.source += assignments(item.path, profile)
    items.sort(key=lambda item: 2 if item.path.name == EXPECTED else int(item.path.suffix == ".ipynb"))


def assignments(notebook, profile):
    """Return the parameters file of a notebook in a profile as lines of code, checked before any cell runs."""
    from stroke_utils.base.errors import UserError
    from stroke_utils.course.notebook_files import defaults
    from stroke_utils.results import parameters

    file = Path(__file__).parent / "params" / profile / f"{notebook.stem}.yaml"
    try:
        values = parameters.read_parameters(file)
        values = parameters.check(notebook.stem, values, defaults(notebook), f"params/{profile}/{file.name}")
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    return "".join(f"\n{name} = {value!r}" for name, value in values.items())


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

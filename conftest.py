"""One test session: unit tests, then the notebooks' cells (with --nbval), then the scores those notebooks wrote.

It stands at the root so that it also holds where only a notebook is named on the command line.

With ``-n 2 --dist loadscope`` two processes share the notebooks: :data:`LONGEST` go to one, all others to the other.

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
OTHERS_DONE = "others-done"
UNTESTED = {"data", "results", "figures"}  # at the root only: the tests have folders of these names
LONGEST = ("03_phase1_detection", "09_trust", "11_read_a_scan", "06_results_figures")
"""Notebooks of one of two processes, in order, and with them the scores; what the others lack of them they make."""
NEED_ALL = ("11_read_a_scan.ipynb", "06_results_figures.ipynb", EXPECTED)
SESSION, LAST_OF_OTHERS = pytest.StashKey[dict](), pytest.StashKey[bool]()


def pytest_configure(config):
    """Give the session a fresh folder for results and derived data; kernels inherit the environment."""
    profile = os.environ.setdefault("STROKE_PROFILE", PROFILES[0])  # test_expected.py reads it too
    if profile not in PROFILES:
        raise pytest.UsageError(f"STROKE_PROFILE={profile}: the tests run in {' or '.join(PROFILES)}.")
    if shared := getattr(config, "workerinput", {}).get("notebooks"):
        config.stash[SESSION] = {"folder": Path(shared["folder"]), "start": shared["start"], "shared": True}
        os.environ.setdefault("STROKE_THREADS", shared["threads"])
        return
    folder = Path(tempfile.mkdtemp(prefix="stroke-tests-"))
    config.stash[SESSION] = {"folder": folder, "start": time.time()}
    os.environ.update(STROKE_RESULTS=str(folder / "results"), STROKE_DERIVED=str(folder / "derived"))
    os.environ.pop("STROKE_DATA", None)  # the stored outputs are those of the phantom


def pytest_ignore_collect(collection_path, config):
    """Leave out what holds executed copies, and the expected scores where no notebook runs: no records to check."""
    if collection_path.parent == config.rootpath and collection_path.name in UNTESTED:
        return True
    return True if collection_path.name == EXPECTED and not config.option.nbval else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Let processes that share the notebooks have one folder, and each its share of the cores."""
    about, option = node.config.stash[SESSION], node.config.option
    if option.dist == "loadscope":
        threads = str(max(1, (os.cpu_count() or 1) // len(option.tx)))
        node.workerinput["notebooks"] = {"folder": str(about["folder"]), "start": about["start"], "threads": threads}


def pytest_collection_modifyitems(config, items):
    """Order unit tests, notebooks, expected scores; within each the order stays. Give notebooks their parameters."""
    profile = os.environ["STROKE_PROFILE"]
    for notebook in sorted({item.path for item in items if hasattr(item, "cell")}):
        assignments(notebook, profile)  # refuses one whose parameters cell is not tagged: it would run in full
    for item in items:
        cell = getattr(item, "cell", None)  # nbval's items have one
        if profile != "quick" and cell and "parameters" in cell.metadata.get("tags", []):
            cell.source += assignments(item.path, profile)
    items.sort(key=lambda item: 2 if item.path.name == EXPECTED else int(item.path.suffix == ".ipynb"))
    if config.stash[SESSION].get("shared"):
        share_out(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where processes share the notebooks, send each of the two groups whole; one process runs both in this order."""
    if config.option.dist != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OfNotebooks(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "longest" if place(Path(nodeid.partition("::")[0])) else "others"

    config.option.loadscopereorder = False
    return OfNotebooks(config, log)


def share_out(items):
    """Sort the tests of :data:`LONGEST` and of the scores behind all others, and mark the last of these."""
    items.sort(key=lambda item: place(item.path))
    others = [item for item in items if not place(item.path)]
    if others:
        others[-1].stash[LAST_OF_OTHERS] = True


def place(path):
    """Return the place among the longest notebooks, from 1, that of the scores being last; 0 for all others."""
    return len(LONGEST) + 1 if path.name == EXPECTED else LONGEST.index(path.stem) + 1 if path.stem in LONGEST else 0


def pytest_runtest_setup(item):
    """Let what needs all notebooks wait for the process that has the others."""
    about = item.config.stash[SESSION]
    if about.get("shared") and item.path.name in NEED_ALL:
        until = time.monotonic() + 3600
        while not (about["folder"] / OTHERS_DONE).exists():
            if time.monotonic() > until:
                pytest.fail("The other notebooks have not ended within an hour.")
            time.sleep(0.5)


def pytest_runtest_teardown(item):
    """Say where the other process can see it that its notebooks have run."""
    if item.stash.get(LAST_OF_OTHERS, False):
        (item.config.stash[SESSION]["folder"] / OTHERS_DONE).touch()


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
    if about and about.get("shared"):
        return
    if about and about.get("failed") and any(about["folder"].iterdir()):
        print(f"\nThe runs of this failed session are kept in {about['folder']}")
    elif about:
        shutil.rmtree(about["folder"], ignore_errors=True)

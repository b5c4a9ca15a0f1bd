"""Profile smoke: the notebooks of a test session get its parameters, checked, in their own cell."""

import importlib.util
import math
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from stroke_utils.base import vocabulary
from stroke_utils.course import notebook_files
from stroke_utils.course.plan import LAST, STARTS, make_plan
from stroke_utils.results import parameters

ROOT = Path(__file__).resolve().parents[1]
LESS = {"profile", "epochs", "own", "experiment_seeds", "compare_slices", "audit_patients", "control_size"}
LESS |= {"size", "batch"}
"""What smoke may change: its name, and how much work is done; never data, sizes, models or what a cell shows.

``control_size`` is of the phantom with a planted shortcut, which nothing but notebook 08 reads. ``size`` and ``batch``
are lessened in notebook 10 alone, which trains four networks and in whose compared cells neither shows."""


ALONE = SimpleNamespace(stash={})
"""A configuration of a session whose notebooks run in one process."""


@pytest.fixture
def session():
    """The root's conftest.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ALONE.stash[module.SESSION] = {}
    return module


def collected(stem):
    """What nbval makes of a notebook: an item for each code cell."""
    path = ROOT / "notebooks" / f"{stem}.ipynb"
    cells = [cell for cell in notebook_files.read_notebook(path).cells if cell.cell_type == "code"]
    return [SimpleNamespace(path=path, cell=cell) for cell in cells], cells


def amount(name, value):
    """How much work a parameter's value means: a number, a list's length, a size's place, and 0 patients for all."""
    if name == "control_size":
        return vocabulary.PHANTOM_SIZES.index(value)
    if name == "batch":
        return -value  # large batches are few steps
    return len(value) if isinstance(value, list) else value or math.inf


@pytest.mark.parametrize("stem", sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")))
def test_the_parameters_cell_and_no_other_gets_the_values(session, monkeypatch, stem):
    items, cells = collected(stem)
    before = [cell.source for cell in cells]
    monkeypatch.setenv("STROKE_PROFILE", "quick")
    session.pytest_collection_modifyitems(ALONE, items)
    assert [cell.source for cell in cells] == before, "quick runs what is stored"
    monkeypatch.setenv("STROKE_PROFILE", "smoke")
    session.pytest_collection_modifyitems(ALONE, items)
    (changed,) = [k for k, cell in enumerate(cells) if cell.source != before[k]]
    assert cells[changed].metadata.tags == ["parameters"] and cells[changed].source.startswith(before[changed])
    values = {}
    exec(cells[changed].source, values)
    file = parameters.read_parameters(ROOT / "params" / "smoke" / f"{stem}.yaml")
    defaults = notebook_files.defaults(ROOT / "notebooks" / f"{stem}.ipynb")
    assert {name: values[name] for name in defaults} == defaults | file and values["profile"] == "smoke"
    assert set(file) <= LESS
    for name in set(file) - {"profile"}:
        few, many = (amount(name, v) for v in (file[name], defaults[name]))
        assert few < many, f"{name} lessens nothing"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile: smoke\nepoch: 1\n", "params/smoke/03_phase1_detection.yaml: unknown 'epoch' .did you mean 'epochs'"),
        ("profile: smoke\nepochs: many\n", "'epochs' is 'many'"),
        ("- smoke\n", "must hold lines 'key: value'"),
        (None, "There is no parameters file"),
    ],
)
def test_a_wrong_file_stops_the_session_before_any_cell(session, monkeypatch, tmp_path, text, said):
    monkeypatch.setattr(session, "__file__", str(tmp_path / "conftest.py"))
    monkeypatch.setenv("STROKE_PROFILE", "smoke")
    if text is not None:
        (tmp_path / "params" / "smoke").mkdir(parents=True)
        (tmp_path / "params" / "smoke" / "03_phase1_detection.yaml").write_text(text)
    with pytest.raises(pytest.UsageError, match=said):
        session.pytest_collection_modifyitems(ALONE, collected("03_phase1_detection")[0])


def test_a_notebook_that_lost_its_tag_stops_the_session_before_any_cell(session, monkeypatch, tmp_path):
    """Without a tagged cell nothing would get the profile, and the notebook would train in full."""
    monkeypatch.setenv("STROKE_PROFILE", "smoke")
    notebook = notebook_files.read_notebook(ROOT / "notebooks" / "03_phase1_detection.ipynb")
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)
    path = tmp_path / "03_phase1_detection.ipynb"
    nbformat.write(notebook, path)
    items = [SimpleNamespace(path=path, cell=cell) for cell in notebook.cells if cell.cell_type == "code"]
    with pytest.raises(pytest.UsageError, match="has no cell tagged 'parameters'"):
        session.pytest_collection_modifyitems(ALONE, items)


def test_an_unknown_profile_of_the_session_is_refused(session, monkeypatch, tmp_path):
    for name in ("STROKE_RESULTS", "STROKE_DERIVED", "STROKE_DATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("STROKE_PROFILE", "paper")
    with pytest.raises(pytest.UsageError, match="STROKE_PROFILE=paper: the tests run in smoke or quick"):
        session.pytest_configure(SimpleNamespace(stash={}))


def test_nothing_but_the_tests_knows_the_variable():
    """And papermill or a person can run any profile that leaves parameters out."""
    for path in [*(ROOT / "stroke_utils").rglob("*.py"), ROOT / "Snakefile"]:
        assert "STROKE_PROFILE" not in path.read_text(encoding="utf-8")


def test_the_course_can_be_reproduced_in_it_on_the_phantom(monkeypatch):
    monkeypatch.delenv("STROKE_DATA", raising=False)
    plan = make_plan("smoke")
    assert (plan.data, plan.seeds) == ("", (0,))
    assert plan.values("03_phase1_detection")["models"] == make_plan("quick").values("03_phase1_detection")["models"]


def test_two_processes_share_the_notebooks_and_what_needs_all_of_them_waits(session, monkeypatch, tmp_path):
    stems = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    paths = [ROOT / "notebooks" / f"{stem}.ipynb" for stem in stems for _ in range(2)] + [
        ROOT / "tests/test_expected.py"
    ]
    items = [SimpleNamespace(path=path, stash={}, config=ALONE) for path in paths]
    session.share_out(items)
    others = [item for item in items if not session.place(item.path)]
    longest = [item.path.stem for item in items[len(others) :]]
    assert items[: len(others)] == others and longest[-1] == "test_expected", "one process can run both"
    assert {item.path.stem for item in others} | set(longest) == {*stems, "test_expected"}
    waiting = {name.removesuffix(".ipynb").removesuffix(".py") for name in session.NEED_ALL}
    for stem in set(longest) - {LAST} - waiting:
        assert set(STARTS.get(stem, ())) <= set(longest[: longest.index(stem)]), f"{stem} needs networks"

    slept = []

    def sleep(seconds):
        slept.append(seconds)
        session.pytest_runtest_teardown(others[-1])  # of the other process

    ALONE.stash[session.SESSION] = {"folder": tmp_path, "shared": True}
    monkeypatch.setattr(session.time, "sleep", sleep)
    for item in items:
        session.pytest_runtest_setup(item)
        assert bool(slept) == (item.path.stem in {LAST} | waiting), item.path.stem
        if item is not others[-1]:
            session.pytest_runtest_teardown(item)
    assert len(slept) == 1

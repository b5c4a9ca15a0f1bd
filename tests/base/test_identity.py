"""What a derived thing is named by: inputs, settings and code, and nothing else."""

import json
import re
import shutil
from pathlib import Path

import pytest

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.identity import Identity
from stroke_utils.results import runs


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of four modules in two wings; `data.a` goes through `data.b` and `base.words`, relative imports too."""
    root = tmp_path / "stroke_utils"
    texts = {
        "__init__": "",
        "base/__init__": "",
        "base/words": 'NAMES = ("x",)\n"""Names."""\n',
        "base/files": "def write():\n    return 1\n",
        "data/__init__": "from .a import f\n",
        "data/a": "from . import b\nfrom ..base.words import NAMES\nfrom ..base import files\nf = b.g\n",
        "data/b": 'def g():\n    """Doc."""\n    return 1  # why\n',
        "data/c": "x = 1\n",
    }
    for name, text in texts.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(identity, "PACKAGE", root)
    fresh()
    yield root
    fresh()


def fresh():
    identity._file.cache_clear()
    identity.code_version.cache_clear()
    identity._bare.cache_clear()


def version(*modules):
    fresh()
    return identity.code_version(*modules)


def test_code_is_followed_through_imports_relative_ones_too(package):
    found = {str(path.relative_to(package)) for path in identity.sources("import stroke_utils.data.a")}
    assert found == {
        *("__init__.py", "base/__init__.py", "base/words.py", "base/files.py"),
        *("data/__init__.py", "data/a.py", "data/b.py"),
    }
    assert identity.modules_of("from stroke_utils.data import a, f\nimport numpy") == ("data", "data.a")


def test_code_that_imports_from_a_wing_depends_on_what_the_wing_hands_on(package):
    def version(**how):
        fresh()
        return identity.code_version("data", given=(), **how)

    before = version(wings=True), version()
    (package / "data" / "a.py").write_text("f = 2\n")
    assert version(wings=True) != before[0] and version() == before[1]


def test_every_drawing_module_counts_for_the_notebook_of_figures():
    page = json.loads((paths.home() / "notebooks" / "06_results_figures.ipynb").read_text(encoding="utf-8"))
    code = "\n".join("".join(cell["source"]) for cell in page["cells"] if cell["cell_type"] == "code")
    found = identity.sources("\n".join(f"import stroke_utils.{name}" for name in identity.modules_of(code)))
    assert set((identity.PACKAGE / "figures").glob("*.py")) <= set(found)
    assert identity.PACKAGE / "data" / "opening.py" in found


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("data/b", "return 1", "return 2", False),
        ("base/words", '("x",)', '("y",)', False),
        ("data/b", "# why", "# because", True),
        ("data/b", "Doc.", "Another explanation.", True),
        ("base/words", '"""Names."""', '"""Words."""', True),
        ("data/b", "def g():", "def g():\n", True),
        ("data/c", "x = 1", "x = 2", True),
        ("base/files", "return 1", "return 2", True),
        ("data/__init__", "import f", "import f as h", True),
    ],
)
def test_a_comment_changes_nothing_and_code_on_the_way_does(package, file, old, new, same):
    before = version("data.a")
    path = package / f"{file}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (version("data.a") == before) is same


def test_every_part_names_the_thing(package, monkeypatch, tmp_path):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    things = [
        Identity("masks", ("data.a",), {"cohort": "1"}, {"size": 8}),
        Identity("other", ("data.a",), {"cohort": "1"}, {"size": 8}),
        Identity("masks", ("data.c",), {"cohort": "1"}, {"size": 8}),
        Identity("masks", ("data.a",), {"cohort": "2"}, {"size": 8}),
        Identity("masks", ("data.a",), {"cohort": "1"}, {"size": 9}),
    ]
    assert len({thing.path for thing in things}) == 5
    folder = things[0].folder()
    assert folder == things[0].folder() == tmp_path / "derived" / "masks" / things[0].digest
    assert identity.read_note(folder) == things[0].about and things[0].about["settings"] == {"size": 8}


def test_a_torn_or_foreign_folder_is_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path))
    one, other = (Identity("masks", ("data.masks",), {"cohort": name}) for name in "12")
    note = one.folder() / identity.NOTE
    text = note.read_text()
    for broken in ("{", "[]", ""):
        note.write_text(broken)
        with pytest.raises(UserError, match=rf"masks/{one.digest} has no readable identity.json.*make clean-derived"):
            one.folder()
    note.unlink()
    with pytest.raises(UserError, match="torn, or not ours"):
        one.folder()
    note.write_text(text)
    shutil.copytree(one.folder(), other.path)
    with pytest.raises(UserError, match="not what its name says"):
        other.folder()
    assert one.folder().is_dir(), "the good one stays usable"


def test_a_place_that_cannot_be_written_is_named_with_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written.*STROKE_DERIVED"):
        Identity("masks", ("data.masks",)).folder()


def test_the_rooms_that_are_named_exist():
    """A module that is renamed must not silently fall out of the code that counts."""
    found = set()
    for path in identity.PACKAGE.rglob("*.py"):
        for said in re.findall(r"Identity\(\s*\"[a-z-]+\", \((.*?)\)", path.read_text(encoding="utf-8")):
            found |= set(re.findall(r"\"(.+?)\"", said))
    assert {"data.class_masks", "learn.inputs", "learn.tfrecords", "data.checks", "data.dicom"} <= found
    tasks = {module for task in runs.TASKS.values() for module in task.modules}
    for module in found | tasks | {*identity.NOT_MAKING, *identity.GIVEN}:
        assert identity.PACKAGE.joinpath(*module.split(".")).with_suffix(".py").is_file(), module


def test_names_do_not_depend_on_where_the_package_lies(package, tmp_path):
    before = version("data.a")
    moved = Path(shutil.copytree(package, tmp_path / "elsewhere" / "stroke_utils"))
    identity.PACKAGE, kept = moved, identity.PACKAGE
    try:
        assert version("data.a") == before
    finally:
        identity.PACKAGE = kept


def test_about_is_plain_json():
    about = Identity("masks", ("data.masks",), {"a": Path("x")}, {"b": (1, 2)}).about
    assert about == json.loads(json.dumps(about)) and about["settings"]["b"] == [1, 2]

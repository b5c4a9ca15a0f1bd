"""What make clean-derived removes, and what it leaves alone."""

import json
import os
import re
import shutil

import nbformat
import pytest

from stroke_utils.base import identity
from stroke_utils.base.identity import Identity
from stroke_utils.course import derived


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    return tmp_path / "derived"


def made(**settings):
    folder = Identity("class-masks", ("data.class_masks",), {"cohort": "1"}, settings).folder()
    (folder / "10001.png").write_bytes(b"x" * 2_000_000)
    return folder


def of_older_code(folder):
    """Give a folder the note and the name that it would have had with other code."""
    note = identity.read_note(folder)
    note["code"]["version"] = "0" * 12
    (folder / identity.NOTE).write_text(json.dumps(note))
    return folder.rename(folder.with_name(identity.digest(note, 12)))


def test_what_is_current_stays_and_what_is_outdated_goes_by_name(root):
    old, current = of_older_code(made(method="paper")), [made(method="paper"), made(method="border")]
    (line,) = derived.clean()
    assert old.name in line and "(2 MB): computed by code that has changed since" in line
    assert not old.exists() and all((folder / "10001.png").is_file() for folder in current)
    assert derived.clean() == ["Nothing is outdated."]


def test_torn_and_foreign_folders_go(root):
    torn, renamed = made(method="paper"), made(method="border")
    (torn / identity.NOTE).unlink()
    renamed = renamed.rename(renamed.with_name("f" * 12))
    gone = Identity("networks", ("learn.inputs",)).folder()
    note = identity.read_note(gone)
    note["code"]["modules"] = ["learn.gone"]
    (gone / identity.NOTE).write_text(json.dumps(note))
    gone = gone.rename(gone.with_name(identity.digest(note, 12)))
    said = "\n".join(derived.clean())
    assert "nothing says what made it" in said and "does not fit its name" in said
    assert not torn.exists() and not renamed.exists()


def test_what_a_killed_run_left_goes_after_a_day(root):
    folder = made(method="paper").parent
    old, young = folder / f".{'a' * 12}.{'b' * 8}", folder / f".{'c' * 12}.{'d' * 8}"
    for path in (old, young):
        path.mkdir()
    os.utime(old, (0, 0))
    (line,) = derived.clean()
    assert "killed" in line and not old.exists() and young.is_dir()


def test_every_kind_of_derived_data_is_known():
    said = "".join(path.read_text(encoding="utf-8") for path in identity.PACKAGE.rglob("*.py"))
    kinds = set(re.findall(r"Identity\(\s*\"([a-z-]+)\"", said))
    assert kinds - {"executed"} == set(derived.KINDS), "an executed notebook is a result"


def test_the_layout_before_identities_goes_and_other_files_stay(root):
    for name in ("0123456789/masks/difference/a.png", "0123456789/resized/96/a.png", "pixel_facts/abc.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    kept = ["thesis/masks/a.png", "abcdef0123/notes/a.txt", "class-masks/mine/a.png", "letter.txt"]
    for name in kept:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert len(derived.clean()) == 2
    assert not (root / "0123456789").exists() and not (root / "pixel_facts").exists()
    assert all((root / name).is_file() for name in kept), "a person's own files are not ours to remove"


def test_an_executed_notebook_is_a_result_and_only_named(root, tmp_path):
    about = Identity("executed", ("results.runs",), given=()).about
    paths = []
    for version in (about["code"]["version"], "0" * 12):
        about["code"]["version"] = version
        notebook = nbformat.v4.new_notebook(metadata={"made_by": about})
        path = tmp_path / "results" / "quick" / "executed" / f"01_a-{identity.digest(about, 12)[:8]}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        paths.append(path)
    (line,) = derived.clean()
    assert paths[1].name in line and "kept" in line and "code that has changed" in line
    assert all(path.is_file() for path in paths)


def test_without_derived_data_there_is_nothing_to_say(root):
    shutil.rmtree(root, ignore_errors=True)
    assert derived.clean() == ["Nothing is outdated."]

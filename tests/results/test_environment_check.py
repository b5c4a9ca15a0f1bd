"""The check of the environment that notebook 00 makes: what is missing is said, with what to do."""

import subprocess
import sys

import pytest

from stroke_utils.results import environment, provenance


def to_do(report):
    """What there is to do, by what it is about."""
    return {row.what: row.todo for row in report.rename(columns={"to do": "todo"}).itertuples() if row.todo}


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("STROKE_DATA", raising=False)


def test_the_locked_environment_has_nothing_to_do_but_data_and_machine():
    report = environment.check()
    assert {"Python", "tensorflow", "numpy", "cores", "memory", "free disk", "data"} <= set(report["what"])
    assert report["found"].map(bool).all()
    assert set(to_do(report)) <= {"cores", "memory", "free disk", "data"}


@pytest.mark.parametrize(("version", "said"), [("not installed", "make env"), ("0.1", "Needs "), ("99.0", "Needs ")])
def test_a_package_that_is_missing_or_of_another_version_is_named(monkeypatch, version, said):
    here = provenance.versions()
    monkeypatch.setattr(environment, "versions", lambda: here | {"tensorflow": version})
    assert list(to_do(environment.check())) and said in to_do(environment.check())["tensorflow"]


def test_another_python_a_small_machine_and_a_wrong_folder_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.9.1")
    monkeypatch.setattr(environment, "hardware", lambda: {"cores": 1, "memory_gib": 2.0})
    monkeypatch.setenv("STROKE_DATA", str(tmp_path))
    said = to_do(environment.check())
    assert said["Python"].startswith("Needs <3.14,>=3.11") and {"cores", "memory"} <= set(said)
    assert "unset it" in said["data"]
    (tmp_path / "a.png").touch()
    assert "data" not in to_do(environment.check())


def test_the_check_imports_no_tensorflow():
    check = "from stroke_utils.results import environment; environment.check()"
    code = f"import sys; {check}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""What a record says of the code behind it."""

import subprocess

from stroke_utils.results import provenance


def test_code_that_differs_from_the_commit_is_seen_and_a_notebook_that_ran_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    assert provenance.git_state() == {"commit": None, "dirty": None}
    for name in ("stroke_utils/a.py", "params/quick/a.yaml", "notebooks/a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    for words in ("init -q", "add -A", "-c user.name=a -c user.email=a@b.c commit -qm a"):
        subprocess.run(["git", "-C", tmp_path, *words.split()], check=True)
    clean = provenance.git_state()
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "notebooks" / "a.ipynb").write_text("2")
    assert provenance.git_state() == clean
    for name in ("stroke_utils/a.py", "params/quick/a.yaml"):
        (tmp_path / name).write_text("2")
        assert provenance.git_state()["dirty"]
        (tmp_path / name).write_text("1")


def test_a_commit_is_shown_short_with_a_plus_for_other_code():
    shown = [({"commit": "0123456789", "dirty": True}, "0123456+"), ({"commit": None, "dirty": None}, "unknown")]
    assert [provenance.short_commit({"git": git}) for git, _ in shown] == [text for _, text in shown]

import errno
import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from stroke_utils.base import files, identity, paths, progress
from stroke_utils.base.errors import UserError


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "best.weights.h5"
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.write_text("half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and len(list(target.parent.iterdir())) == 1


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "set") as temporary:
        (temporary / "one").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with files.atomic_folder(tmp_path / "set") as temporary:
        (temporary / "one").write_text("1")
        assert not (tmp_path / "set").exists()
    assert (tmp_path / "set" / "one").read_text() == "1"
    with pytest.raises(UserError, match="exists already"), files.atomic_folder(tmp_path / "set"):
        pass


@pytest.mark.parametrize("writer", [files.atomic_path, files.atomic_folder])
def test_a_full_disk_is_one_clear_message_and_leaves_nothing(tmp_path, writer):
    with pytest.raises(UserError, match="No space left on the disk while writing"), writer(tmp_path / "x.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_written_files_can_be_read_by_others(tmp_path):
    os.umask(umask := os.umask(0))
    files.write_json(tmp_path / "a.json", {"ş": 1})
    assert files.read_json(tmp_path / "a.json") == {"ş": 1}
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o666 & ~umask
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        files.read_json(tmp_path / "a.json")


def test_roots_follow_parameter_then_environment_then_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("STROKE_HOME", raising=False)
    assert paths.home() == Path(files.__file__).resolve().parents[2]
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    assert paths.home() == tmp_path and paths.data_root() == tmp_path / "data"
    other = tmp_path / "other"
    with pytest.raises(UserError, match="does not exist"):
        paths.home(other)
    other.mkdir()
    assert paths.home(other) == other
    monkeypatch.delenv("STROKE_RESULTS")
    assert paths.results_root() == tmp_path / "results"
    monkeypatch.setenv("STROKE_RESULTS", str(other))
    assert paths.results_root() == other


def test_shown_paths_hold_nothing_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "r"))
    assert paths.shown(tmp_path / "r" / "quick" / "x.json") == str(Path("results", "quick", "x.json"))
    assert str(tmp_path.parent) not in paths.shown(tmp_path / "a" / "b" / "c" / "d")


def test_a_second_process_waits_for_the_lock(tmp_path, capsys):
    order = []

    def other():
        with files.lock(tmp_path / "x", "the phantom", poll=0.05):
            order.append("second")

    with files.lock(tmp_path / "x", "the phantom"):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert capsys.readouterr().out.count("Another process is making the phantom; waiting") == 1


def test_digest_and_hash_follow_content(tmp_path):
    assert identity.digest({"a": 1, "b": 2}) == identity.digest({"b": 2, "a": 1}) != identity.digest({"a": 1, "b": 3})
    (tmp_path / "a").write_bytes(b"abc")
    assert identity.sha256(tmp_path / "a").startswith("ba7816bf")  # the published test vector of SHA-256


def test_progress_says_what_is_left_and_what_was_done(monkeypatch, capsys):
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    assert list(progress.track([1, 2, 3], "Reading")) == [1, 2, 3]
    assert "Reading: 3 in " in capsys.readouterr().err
    assert list(progress.track([1], "Reading", quiet=True)) == [1]
    assert capsys.readouterr().err == ""


def test_the_message_of_a_users_mistake_has_no_traceback():
    assert UserError("Do this.")._render_traceback_() == ["UserError: Do this."]


def test_cores_are_counted_where_the_system_does_not_tell_which_may_be_used(monkeypatch):
    assert progress.cores() >= 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert progress.cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    for known, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert progress.cores() == expected


def test_a_file_system_without_locks_is_worked_on_without_one(tmp_path, monkeypatch, capsys):
    def refuse(stream, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with files.lock(tmp_path / "x", "the phantom"):
        pass
    assert f"The file system of {tmp_path} has no locks" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refuse(*given, **more):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("builtins.open", refuse)
    said = r"cannot be written \(Read-only file system\), and the phantom belongs there"
    with pytest.raises(UserError, match=said), files.lock(tmp_path / "x", "the phantom"):
        pass

"""Files that are written whole or not at all, and locks between processes."""

import contextlib
import errno
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from stroke_utils.base import paths
from stroke_utils.base.errors import UserError, reason

if TYPE_CHECKING:
    import pandas as pd


_FULL = {
    errno.ENOSPC: "No space left on the disk",
    errno.EDQUOT: "Your disk quota is used up",
    errno.EFBIG: "No file may be this large here",
}
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def explanation(error: Exception, target: str | os.PathLike = "") -> str:
    """Say in one message why something could not be written and what to do; empty where the error is another.

    Args:
        error: of the system, or of a library: HDF5 and TensorFlow tell what the system said in a text of their own.
        target: what was to be written; empty: what the error names.
    """
    text, named = str(error), getattr(error, "filename", None)
    number = getattr(error, "errno", None) or next(
        (n for n in _FULL if f"errno = {n}," in text or os.strerror(n) in text), None
    )
    path = Path(target or str(named or "the output")).absolute()
    if number in _FULL:
        full = Path(str(named)).absolute() if named else path  # a library's scratch may lie on another disk
        move = (v := paths.variable(full)) and f", or set {v} to a folder on a larger disk,"
        return (
            f"{_FULL[number]} while writing {full.name} to {full.parent}. Free some space there{move} and run again: "
            "what is finished stays, and nothing half-written is left."
        )
    if number in _UNWRITABLE and (not named or _above(Path(named), path)):
        move = f"set {v} to a folder of yours" if (v := paths.variable(path)) else "choose another folder"
        why = f"{path.parent} cannot be written ({reason(error)}), and {path.name} goes there."
        return f"{why} Make it writable, or {move}."
    return ""


def _above(path: Path, target: Path) -> bool:
    """Tell whether a path is the target, its temporary file, or a folder above it."""
    return path.absolute().parent == target.parent or target.is_relative_to(path.absolute())


@contextlib.contextmanager
def explained(target: str | os.PathLike) -> Iterator[None]:
    """Turn what a full disk or a folder that cannot be written makes libraries raise into one message.

    Raises:
        UserError: of :func:`explanation`.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if said := explanation(error, target):
            raise UserError(said) from error
        raise


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Say what to do where a file is gone that was there when its folder was listed.

    Raises:
        UserError: names the file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(gone(error.filename)) from error


def gone(path: str | os.PathLike) -> str:
    """Return the message for a file that vanished while it was needed."""
    return (
        f"{path} is gone since this run looked for its files. Put it back and run again. Without it, start the run "
        "anew: it then takes the data as they are, and makes what is computed from them. What is finished stays."
    )


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it there at the end, so that no half file is ever seen.

    The temporary file keeps the target's suffixes. On an error it is removed and the target is left as it was.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    target = Path(target)
    base, suffixes = target.name.partition(".")[0], "".join(target.suffixes)  # Keras asks for .weights.h5 whole
    temporary = target.with_name(f".{base}.{secrets.token_hex(4)}{suffixes}")
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``target`` and rename it there at the end.

    Raises:
        UserError: the target exists already, the disk is full, or the folder above cannot be written.
    """
    target = Path(target)
    if target.exists():
        raise UserError(f"{target} exists already. Remove it or choose another folder.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with explained(target):
            temporary.mkdir(parents=True)
            yield temporary
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: str | os.PathLike, text: str) -> Path:
    """Write ``text`` as UTF-8 to ``target``, whole or not at all.

    What stands in a text for bytes of a file's name that are no UTF-8 is escaped, as JSON knows it.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    return Path(target)


def write_json(target: str | os.PathLike, value: object) -> Path:
    """Write ``value`` as indented JSON to ``target``, whole or not at all."""
    return write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(target: str | os.PathLike, table: "pd.DataFrame") -> Path:
    """Write a table as CSV in UTF-8 without its index, whole or not at all; folders above it are made."""
    return write_text(target, table.to_csv(index=False))


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file written in UTF-8.

    Raises:
        UserError: the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}). Restore or delete it.") from error


@contextlib.contextmanager
def lock(target: str | os.PathLike, what: str, poll: float = 0.5) -> Iterator[None]:
    """Hold an advisory lock named after ``target``; a second process says what it waits for and waits.

    The kernel frees the lock when its holder dies, so a killed run never blocks the next. On a file system without
    locks it says so and goes on: a lock only keeps two processes from doing the same work twice.

    Raises:
        UserError: the folder cannot be written.
    """
    with _opened(target, what) as stream:
        said = False
        while not _taken(stream, Path(target).parent):
            if not said:
                print(f"Another process is making {what}; waiting for it.", flush=True)
                said = True
            time.sleep(poll)
        yield


_claims: dict[Path, tuple[IO, bool]] = {}  # the locked file, and whether for this process alone


def claim(target: str | os.PathLike, what: str, shared: bool = False, patience: float = 60, poll: float = 0.5) -> None:
    """Lock what ``target`` names for this process until :func:`release` or its end; it may claim the same again.

    Unlike :func:`lock` it waits for a minute only, which is enough for the rest of a killed run to end: a notebook that
    stands open in a browser may hold its claim for days.

    Args:
        target: a path; it need not exist.
        what: name for messages.
        shared: let other processes that read alone claim it too.
        patience, poll: seconds to wait, and between two tries.

    Raises:
        UserError: another process has it, or the folder cannot be written.
    """
    release(target)
    stream, until, said = _opened(target, what), time.monotonic() + patience, False
    while not _taken(stream, Path(target).parent, shared):
        if not said:
            print(f"Another process works on {what}; waiting up to {patience:.0f} s for it to end.", flush=True)
            said = True
        if time.monotonic() > until:
            with stream:
                owner = stream.read().strip() or "another process"
            raise UserError(
                f"{owner} works on {what}, and two would write the same files. Let it finish, or stop it (in "
                "JupyterLab: Kernel, Shut Down Kernel), and run this again: it goes on from there. Other settings, "
                "another seed or another STROKE_RESULTS run beside it."
            )
        time.sleep(poll)
    if not shared:
        stream.truncate(0)
        stream.write(f"Process {os.getpid()} on {platform.node() or 'this machine'}\n")
        stream.flush()
    _claims[Path(target).absolute()] = stream, not shared


def release(target: str | os.PathLike) -> None:
    """Give up a claim of this process, if it has one."""
    stream, exclusive = _claims.pop(Path(target).absolute(), (None, False))
    if stream:
        if exclusive:  # else a later message would name an owner that is gone
            stream.truncate(0)
        stream.close()


def _opened(target: str | os.PathLike, what: str) -> IO:
    """Open the file that is locked for a target, without changing what it says."""
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return open(target.parent / f".{target.name}.lock", "a+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{target.parent} cannot be written ({reason(error)}), and {what} belongs there. Make it writable, or "
            "set STROKE_DERIVED, STROKE_RESULTS or STROKE_HOME to folders that are."
        ) from error


def _taken(stream: IO, folder: Path, shared: bool = False) -> bool:
    """Try to lock an open file; where the file system has no locks say so and go on."""
    import fcntl

    stream.seek(0)
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        print(f"The file system of {folder} has no locks: start this only once at a time.", flush=True)
    return True

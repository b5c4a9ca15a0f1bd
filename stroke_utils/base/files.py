"""Files that are written whole or not at all, and locks between processes."""

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stroke_utils.base.errors import UserError, reason

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def _full_disk_explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"No space left on the disk while writing {target}. Free some and run again.") from error
        raise


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it there at the end, so that no half file is ever seen.

    The temporary file keeps the target's suffixes. On an error it is removed and the target is left as it was.

    Raises:
        UserError: the disk is full.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    base, suffixes = target.name.partition(".")[0], "".join(target.suffixes)  # Keras asks for .weights.h5 whole
    temporary = target.with_name(f".{base}.{secrets.token_hex(4)}{suffixes}")
    try:
        with _full_disk_explained(target):
            yield temporary
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``target`` and rename it there at the end.

    Raises:
        UserError: the target exists already, or the disk is full.
    """
    target = Path(target)
    if target.exists():
        raise UserError(f"{target} exists already. Remove it or choose another folder.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with _full_disk_explained(target):
            temporary.mkdir(parents=True)
            yield temporary
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: str | os.PathLike, text: str) -> Path:
    """Write ``text`` as UTF-8 to ``target``, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
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
    import fcntl

    target = Path(target)
    path = target.parent / f".{target.name}.lock"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = open(path, "w")  # noqa: SIM115 - closed below; only its opening is explained here
    except OSError as error:
        raise UserError(
            f"{target.parent} cannot be written ({reason(error)}), and {what} belongs there. Make it writable, or "
            "set STROKE_DERIVED, STROKE_RESULTS or STROKE_HOME to folders that are."
        ) from error
    with opened as stream:
        said = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    print(f"Another process is making {what}; waiting for it.", flush=True)
                    said = True
                time.sleep(poll)
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                print(f"The file system of {target.parent} has no locks: start this only once at a time.", flush=True)
                break
        yield

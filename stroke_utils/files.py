"""Roots, atomic writes, hashes, progress and errors meant for people."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class UserError(Exception):
    """A mistake a person can mend: says what was found, what was expected and what to do.

    Notebooks show the message alone, without a traceback; command lines print it and exit with 2.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def reason(error: Exception) -> str:
    """Say in words why something failed, without the path that the system's own text would repeat."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def home(folder: str | os.PathLike | None = None) -> Path:
    """Return the root folder of the project: the argument, else ``STROKE_HOME``, else this checkout.

    Raises:
        UserError: no such folder, or the package was installed outside a checkout.
    """
    chosen = folder or os.environ.get("STROKE_HOME")
    if chosen:
        path = Path(chosen).expanduser().resolve()
        if not path.is_dir():
            raise UserError(f"The project folder {path} does not exist. Set STROKE_HOME to an existing folder.")
        return path
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "notebooks").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout
    raise UserError(
        f"stroke_utils is installed at {checkout}, which is no checkout of the project (no notebooks/ there). "
        "Set STROKE_HOME to the folder where data and results shall go."
    )


def cores() -> int:
    """Return how many CPU cores this process may use; where the system does not tell (macOS), how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def data_root() -> Path:
    """Return the folder for generated data, ``<home>/data``."""
    return home() / "data"


def results_root() -> Path:
    """Return the folder of all run records: ``STROKE_RESULTS``, else ``<home>/results``."""
    return Path(os.environ.get("STROKE_RESULTS") or home() / "results").expanduser().resolve()


def derived_root() -> Path:
    """Return the folder for what is computed from data: ``STROKE_DERIVED``, else ``<home>/data/derived``."""
    return Path(os.environ.get("STROKE_DERIVED") or data_root() / "derived").expanduser().resolve()


def shown(path: str | os.PathLike) -> str:
    """Return ``path`` for printing: relative to the project's root where it lies inside, else its last three parts.

    Committed notebooks must not hold a path of the machine that ran them.
    """
    path = Path(path).resolve()
    for root, name in ((derived_root(), "data/derived"), (results_root(), "results"), (home(), "")):
        if path.is_relative_to(root):
            return str(Path(name) / path.relative_to(root))
    return str(Path("…", *path.parts[-3:]))


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


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: object, length: int = 8) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@contextlib.contextmanager
def lock(target: str | os.PathLike, what: str, poll: float = 0.5) -> Iterator[None]:
    """Hold an advisory lock named after ``target``; a second process says what it waits for and waits.

    The kernel frees the lock when its holder dies, so a killed run never blocks the next.
    """
    import fcntl

    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as stream:
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
        yield


@contextlib.contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what C libraries print on file descriptor 2; exceptions still pass.

    TensorFlow's import prints time-stamped lines there whatever its log level is.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def in_notebook() -> bool:
    """Tell whether this code runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class StatusLine:
    """One line that is rewritten in place, in a terminal and in a notebook, and at most once per ``interval``.

    In a notebook it is one display that the last text replaces, so a stored output never holds a bar.
    In a log file only the last text is printed.
    """

    def __init__(self, interval: float = 0.5):
        self.interval = interval
        self.last = 0.0
        self.display = None

    def show(self, text: str, final: bool = False) -> None:
        """Replace the line by ``text``; ``final`` always prints and ends the line."""
        now = time.monotonic()
        if not final and now - self.last < self.interval:
            return
        self.last = now
        if in_notebook():
            from IPython.display import display

            data = {"text/plain": text}
            if self.display is None:
                self.display = display(data, raw=True, display_id=True)
            else:
                self.display.update(data, raw=True)
        elif sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="\n" if final else "", file=sys.stderr, flush=True)
        elif final:
            print(text, file=sys.stderr, flush=True)


def progress(items: Iterable, what: str, total: int | None = None, quiet: bool = False) -> Iterator:
    """Iterate over ``items`` and show how far it is, how long it took and how long it will take.

    The last text, ``what: 312 in 4 s``, stays. Less than a second of work shows nothing.
    """
    total = len(items) if total is None and hasattr(items, "__len__") else total
    line, start, done = StatusLine(), time.monotonic(), 0
    for item in items:
        yield item
        done += 1
        spent = time.monotonic() - start
        if not quiet and spent > 1 and done != total:
            rest = f", {spent / done * (total - done):.0f} s left" if total else ""
            line.show(f"{what}: {done}{f' of {total}' if total else ''}, {spent:.0f} s{rest}")
    spent = time.monotonic() - start
    if not quiet and spent > 1:
        line.show(f"{what}: {done} in {spent:.0f} s", final=True)


def in_threads(function: Callable, items: Sequence, what: str, quiet: bool = False) -> list:
    """Call ``function`` on each item, as many at a time as there are cores, and show :func:`progress`.

    Returns:
        the results in the order of the items.
    """
    with ThreadPoolExecutor(cores()) as pool:
        return list(progress(pool.map(function, items), what, total=len(items), quiet=quiet))

"""Errors meant for people."""

import contextlib
import threading
import warnings
from collections.abc import Iterable, Iterator

_silence = threading.Lock()
_silent, _filters = 0, None


class UserError(Exception):
    """A mistake a person can mend: says what was found, what was expected and what to do.

    Notebooks show the message alone, without a traceback; command lines print it and exit with 2.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def check_known(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is none of those known; ``what`` says what it should have named.

    Raises:
        UserError: lists those known.
    """
    if name not in known:
        raise UserError(f"{name!r} is no {what}. Known: {', '.join(known)}.")


def reason(error: Exception) -> str:
    """Say in words why something failed, without the path that the system's own text would repeat."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Show no warnings in here, in whatever thread: libraries warn of odd files that are reported in other words.

    `warnings.catch_warnings` puts back what it found, which another thread may just have changed; here the last one to
    leave does.
    """
    global _silent, _filters
    with _silence:
        if not _silent:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
        _silent += 1
    try:
        yield
    finally:
        with _silence:
            _silent -= 1
            if not _silent:
                _filters.__exit__(None, None, None)

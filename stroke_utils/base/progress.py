"""How far work is, in a terminal, a log and a notebook; and work spread over the cores."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor


def cores() -> int:
    """Return how many CPU cores this process may use; where the system does not tell (macOS), how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def track(items: Iterable, what: str, total: int | None = None, quiet: bool = False) -> Iterator:
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
    """Call ``function`` on each item, as many at a time as there are cores, and show :func:`track`.

    Returns:
        the results in the order of the items.
    """
    with ThreadPoolExecutor(cores()) as pool:
        return list(track(pool.map(function, items), what, total=len(items), quiet=quiet))

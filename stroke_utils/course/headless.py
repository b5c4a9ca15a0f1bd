"""Run one notebook without a browser: ``stroke-regions run NOTEBOOK.ipynb --output OUT.ipynb …``.

Papermill does the running. Added here is what it leaves open: unknown or ill-typed parameters stop before anything
runs, the kernel is surely this environment's own, a person sees which cell is at work, and the output appears only
when the whole notebook succeeded.
"""

import contextlib
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from stroke_utils.base import files, progress, unfinished
from stroke_utils.course import forecast
from stroke_utils.course.notebook_files import (
    OwnKernelManager,
    check_parameters,
    last_heading,
    read_notebook,
)

LOG_FIRST, LOG_EVERY = 5, 60
"""Seconds after which a running cell is first mentioned, and mentioned again, where the output is no terminal."""


def clock(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def end_with_parent(end: Callable[[], None]) -> None:
    """Call ``end`` once the program that started this one is gone, so that killing it leaves nothing running."""
    parent = os.getppid()

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        end()

    threading.Thread(target=follow, daemon=True).start()


class Watch:
    """Shows which cell of a notebook is at work and for how long.

    Args:
        name: of the notebook.
        course: given the seconds spent on it, says what is left of the whole course.
    """

    def __init__(self, name: str, course: Callable[[float], str] | None = None):
        self.name, self.course = name, course
        self.start = self.cell_start = time.monotonic()
        self.cells, self.number, self.total, self.heading = [], 0, 0, ""
        self.line, self.said, self.stop = progress.StatusLine(), 0.0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._tick, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def notebook_started(self, notebook: nbformat.NotebookNode) -> None:
        """Remember the cells that will run."""
        self.cells = notebook.cells
        self.total = sum(c.cell_type == "code" and bool(c.source.strip()) for c in self.cells)
        self.line.show(f"{self.name}: started, {self.total} cells", final=True)

    def cell_started(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Note that a code cell starts."""
        self.number, self.heading = self.number + 1, last_heading(self.cells, cell_index)
        self.cell_start, self.said = time.monotonic(), 0.0

    def cell_executed(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
        """Pass on what a training said of going on."""
        for output in cell.outputs:
            for line in output.get("text", "").splitlines():
                if unfinished.WENT_ON in line or unfinished.WAS_DONE in line:
                    self.line.show(f"{self.name}: {line}", final=True)

    def spent(self) -> str:
        """Return the time since the notebook started."""
        return clock(time.monotonic() - self.start)

    def where(self) -> str:
        """Return the cell at work in words."""
        heading = f' ("{self.heading}")' if self.heading else ""
        return f"cell {self.number} of {self.total}{heading}"

    def _tick(self) -> None:
        while not self.stop.wait(1):
            if not self.number:
                continue
            inside = time.monotonic() - self.cell_start
            if not sys.stderr.isatty() and inside < (self.said + LOG_EVERY if self.said else LOG_FIRST):
                continue
            text = f"{self.name} {self.spent()}: {clock(inside)} in {self.where()}"
            # A terminal may be narrow: what is cut off is the name of the section.
            text = f"{self.course(time.monotonic() - self.start)} · {text}" if self.course else text
            if sys.stderr.isatty():
                self.line.show(text[: os.get_terminal_size(sys.stderr.fileno()).columns - 1])
            else:
                self.said = inside
                self.line.show(text, final=True)


def run(
    notebook, values: dict, output, log=None, timeout: int | None = None, made_by: dict | None = None, course=None
) -> bool:
    """Run ``notebook`` with ``values`` in its own folder; tell whether it succeeded, and on failure print where.

    The executed copy grows at ``log`` and becomes ``output`` only on success; after a failure it stays at ``log``
    with the error in it. ``timeout`` is in seconds per cell; ``made_by`` goes into the copy's metadata. ``course`` is a
    file of :func:`stroke_utils.course.forecast.write_jobs`: with it the progress line tells what is left of the whole.

    Raises:
        UserError: ill parameters, no such notebook, no space on the disk, or a folder that cannot be written.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    notebook, output = Path(notebook).resolve(), Path(output).resolve()
    log = Path(log).resolve() if log else output.parent / "logs" / output.name
    values = check_parameters(notebook, values)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    for path in (output, log):
        with files.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    told = None
    if course:
        told = functools.partial(forecast.left, *forecast.read_jobs(course), output)
    with files.lock(output, output.name), files.explained(log), Watch(output.stem, told) as watch:
        log.unlink(missing_ok=True)
        try:
            papermill.execute_notebook(
                notebook,
                log,
                values,
                cwd=notebook.parent,
                progress_bar=False,
                kernel_name="python3",
                kernel_manager_class=OwnKernelManager,
                execution_timeout=timeout,
                start_timeout=300,  # a cold disk or a busy machine
                iopub_timeout=60,
                on_notebook_start=watch.notebook_started,
                on_cell_execute=watch.cell_started,
                on_cell_executed=watch.cell_executed,
            )
        except papermill.PapermillExecutionError as error:
            reason = f"{error.ename}: {error.evalue}".strip()
        except CellTimeoutError:
            reason = f"The cell took longer than {timeout} s and was stopped. A larger --timeout gives it more."
            _note(log, watch.number, reason)
        except DeadKernelError:
            reason = "The kernel died. Most often memory ran out: close other programs or use a smaller batch."
            _note(log, watch.number, reason)
        else:
            finished = read_notebook(log)
            finished.metadata["papermill"]["duration"] = time.monotonic() - watch.start  # papermill's goes by the date
            if made_by:
                finished.metadata["made_by"] = made_by
            nbformat.write(finished, log)
            with files.atomic_path(output) as temporary:
                temporary.write_bytes(log.read_bytes())
            log.unlink()
            watch.line.show(f"{output.stem}: finished in {watch.spent()}", final=True)
            return True
        watch.line.show(f"{output.stem}: FAILED in {watch.where()} after {watch.spent()}", final=True)
        print(_indented(reason), f"  The copy as far as it ran: {short_path(log)}", sep="\n", file=sys.stderr)
        return False


def short_path(path: Path) -> Path:
    """Return ``path`` as one would type it here: relative inside the current folder, else absolute."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _note(log: Path, number: int, reason: str) -> None:
    """Write into the copy why its ``number``-th code cell stopped, where the kernel could no longer say so itself."""
    notebook = read_notebook(log)
    cell = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()][number - 1]
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=reason + "\n"))
    with contextlib.suppress(OSError):  # on a full disk it is still printed
        nbformat.write(notebook, log)


def _indented(text: str, lines: int = 12) -> str:
    kept = text.strip().splitlines()
    return "\n".join(f"  {line}" for line in (kept if len(kept) <= lines else [kept[0], "…", *kept[2 - lines :]]))

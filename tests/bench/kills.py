"""Kill a training again and again, and see that it ends as an unbroken one.

``python -m tests.bench.kills [KILLS [NOTEBOOK]]``

A detector (notebook 3) and a U-Net (notebook 5) are trained on the quick phantom by the runner of notebooks: once
unbroken, and once with KILLS (10) times a SIGKILL, each followed by the same command. In turn a kill falls at a random
moment in an epoch, and while a state is saved; the last three while the predictions are written, at a random moment
after that, and while the record is written. Every start must go on from what the one before has left, and at the end
the predictions must be those of the unbroken run, byte for byte. Linux only.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pandas as pd

from stroke_utils.base import paths, unfinished
from stroke_utils.course import commands

LITTLE = {"own": "", "experiment_seeds": "", "other_starts": ""}
RUNS = {
    "03_phase1_detection": {"models": "cnn", "size": "64", "epochs": "10", **LITTLE},
    "05_segmentation": {"models": "resnet50", "size": "32", "batch": "64", "epochs": "8"},
}

LOOKS = ("figures.network", "GradientTape", "three steps", "by_hand", "opening.", "saliency.", "heats")
"""Words of cells that take long and that neither training, predictions nor record need."""

SLOW = """import os, time
at_once = os.replace
os.replace = lambda *words, **more: (time.sleep(0.3), at_once(*words, **more))[1]
"""
"""Every file waits under its temporary name: a small one is else written too fast for a kill to fall in between."""

HISTORY, PREDICTIONS, RECORD = "*/history.csv", "*/predictions.csv", "record.json"
SAVING, PREDICTING, RECORDING = "*/.state.*.npz", "*/.predictions.*.csv", ".record.*.json"  # temporary names
EPOCH = f"*/{unfinished.STATE}"
LAST = [PREDICTING, PREDICTIONS, RECORDING]


def short(notebook: str, folder: Path) -> Path:
    """Write a copy of a notebook without its answers and the cells of ``LOOKS``, and return its path."""
    found = nbformat.read(paths.home() / "notebooks" / f"{notebook}.ipynb", as_version=4)
    found.cells = [
        cell
        for cell in found.cells
        if cell.cell_type == "code"
        and "solution" not in cell.metadata.get("tags", [])
        and not any(word in cell.source for word in LOOKS)
    ]
    nbformat.write(found, folder / f"{notebook}.ipynb")
    return folder / f"{notebook}.ipynb"


class Training:
    """A run of a notebook that is started again and again.

    Args:
        notebook: the file.
        results: folder of all that it writes.
    """

    def __init__(self, notebook: Path, results: Path):
        self.notebook, self.results, self.before = notebook, results, {}

    def found(self, pattern: str) -> dict[Path, int]:
        """Return the files that match a pattern below the run's folder, with the times they were written."""
        times = {}
        for path in self.results.glob(f"quick/*/*/{pattern}"):
            try:
                times[path] = path.stat().st_mtime_ns
            except FileNotFoundError:  # renamed meanwhile
                continue
        return times

    def new(self, pattern: str) -> list[Path]:
        """Return those that were written since the last start."""
        return [path for path, written in self.found(pattern).items() if self.before.get(path) != written]

    def start(self, place: str | None = None, more: float = 0) -> str:
        """Start the run, and return what it did with what was there.

        Args:
            place: pattern of a file; the run is killed once it is written. None: the run goes to its end.
            more: seconds to wait before the kill.
        """
        self.before = self.found("**/*")
        words = ["run", self.notebook, "--output", self.results / "copy.ipynb"]
        for name, value in ({"deterministic": "true", "profile": "quick"} | RUNS[self.notebook.stem]).items():
            words += ["-p", name, value]
        path = os.pathsep.join([str(self.notebook.parent), str(paths.home())])  # SLOW lies beside the notebook
        environment = os.environ | {"STROKE_RESULTS": str(self.results), "PYTHONPATH": path}
        with (self.results / "said.txt").open("w") as output:
            process = subprocess.Popen(
                commands.here(*words), env=environment, stdout=output, stderr=output, start_new_session=True
            )
        rows = 0  # of the history, where this start first writes it: the runner passes words on after the cell only
        while process.poll() is None and not (place and self.new(place)):
            rows = rows or sum(len(pd.read_csv(path)) for path in self.new(HISTORY))
            time.sleep(0.05)
        until = time.monotonic() + more
        while process.poll() is None and time.monotonic() < until and not self.new(RECORDING):
            time.sleep(0.05)
        if place:
            self.kill()
        if process.wait() > 0:
            sys.exit((self.results / "said.txt").read_text())
        said = (self.results / "said.txt").read_text().splitlines()
        words = [x.rpartition(": ")[2] for x in said if unfinished.WAS_DONE in x or unfinished.WENT_ON in x]
        return next(iter(words), f"{unfinished.WENT_ON} {rows - 1}" if rows > 1 else "began anew")

    def kill(self) -> None:
        """Kill the runner and its kernel."""
        for its in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"STROKE_RESULTS={self.results}\0".encode() in its.read_bytes():
                    os.kill(int(its.parent.name), signal.SIGKILL)
            except OSError:  # of another user, or gone
                continue

    def fell(self) -> str:
        """Tell from what the last start has left where its kill fell."""
        for pattern, what in ((SAVING, "a state"), (PREDICTING, "the predictions"), (RECORDING, "the record")):
            if self.new(pattern):
                return f"while it wrote {what}"
        if self.found(RECORD):
            return "after the record"
        if self.new(PREDICTIONS):
            return "between predictions and record"
        return "after the training" if self.found(f"*/{unfinished.MARK}") else "in an epoch"

    def predictions(self) -> dict[str, bytes]:
        """Return the predictions files of the finished run, by network."""
        return {path.parent.name: path.read_bytes() for path in self.found(PREDICTIONS)}


def main(kills: str = "10", *notebooks: str) -> int:
    """Print one line a kill; the exit status counts the starts that began anew and the runs that ended otherwise."""
    random.seed(0)
    wrong = 0
    for stem in notebooks or RUNS:
        with (
            tempfile.TemporaryDirectory() as own,
            tempfile.TemporaryDirectory() as one,
            tempfile.TemporaryDirectory() as two,
        ):
            Path(own, "sitecustomize.py").write_text(SLOW)
            whole, broken = (Training(short(stem, Path(own)), Path(folder)) for folder in (one, two))
            whole.start()
            (wrote,), (ended,) = whole.found(PREDICTIONS).values(), whole.found(RECORD).values()
            (history,) = whole.found(HISTORY)
            within = {EPOCH: pd.read_csv(history)["seconds"].median(), PREDICTIONS: (ended - wrote) / 1e9}
            print(f"{stem}: unbroken, {within[EPOCH]:.1f} s an epoch", flush=True)
            places = [
                *itertools.islice(itertools.cycle([EPOCH, SAVING]), max(0, int(kills) - len(LAST))),
                *LAST[: int(kills)],
            ]
            fell = ""
            for place in [*places, None]:
                more = random.uniform(0, within.get(place, 0))
                did = broken.start(place, more)
                if fell:
                    print(f"{stem}: killed {fell}; the next start {did}", flush=True)
                    wrong += did == "began anew"
                fell = broken.fell()
            same = broken.predictions() == whole.predictions()
            wrong += not same
            print(f"{stem}: after {kills} kills {'the same' if same else 'OTHER'} bytes of predictions", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Kill trainings at random and see that they end as unbroken ones: ``python -m tests.bench.kills [KILLS [NOTEBOOK]]``.

A detector (notebook 3) and a U-Net (notebook 5) are trained on the quick phantom by the runner of notebooks, once
unbroken and then KILLS times each (10) with a SIGKILL at a random moment between the first epoch's start and the
record, and started again by the same command. Their predictions must be those of the unbroken run, byte for byte.
Linux only.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stroke_utils.base import paths, unfinished
from stroke_utils.course import commands

SMALL = {"deterministic": "true", "profile": "quick"}  # of the quick phantom: states of shorter epochs are not saved
LITTLE = {"own": "", "experiment_seeds": "", "other_starts": ""}
RUNS = {
    "03_phase1_detection": {"models": "cnn", "size": "64", "epochs": "8", **LITTLE},
    "05_segmentation": {"models": "resnet50", "size": "64", "epochs": "5"},
}


def start(notebook: str, results: Path) -> subprocess.Popen:
    """Start the notebook in a process group of its own, with its results below ``results``."""
    words = ["run", paths.home() / "notebooks" / f"{notebook}.ipynb", "--output", results / "copy.ipynb"]
    for name, value in (SMALL | RUNS[notebook]).items():
        words += ["-p", name, value]
    environment = os.environ | {"STROKE_RESULTS": str(results)}
    output = (results / "said.txt").open("a")
    return subprocess.Popen(
        commands.here(*words), env=environment, stdout=output, stderr=output, start_new_session=True, text=True
    )


def predictions(results: Path, notebook: str) -> dict[str, bytes]:
    """Return the predictions files of a finished run, by network."""
    return {path.parent.name: path.read_bytes() for path in results.glob(f"quick/{notebook}/*/*/predictions.csv")}


def begun(results: Path, notebook: str) -> bool:
    """Tell whether the training has made its folder."""
    return any(results.glob(f"quick/{notebook}/*/*/"))


def unbroken(notebook: str, results: Path) -> tuple[dict[str, bytes], float]:
    """Return the predictions, and the seconds from the training's begin to the end."""
    process, since = start(notebook, results), None
    while process.poll() is None:
        time.sleep(0.05)
        since = since or (time.monotonic() if begun(results, notebook) else None)
    if process.returncode or since is None:
        sys.exit((results / "said.txt").read_text())
    return predictions(results, notebook), time.monotonic() - since


def killed(notebook: str, results: Path, after: float) -> str:
    """Kill a run that many seconds after its training began, start it again, and return what was said of going on."""
    process = start(notebook, results)
    while process.poll() is None and not begun(results, notebook):
        time.sleep(0.05)
    time.sleep(after)
    for its in Path("/proc").glob("[0-9]*/environ"):  # the runner and its kernel
        if f"STROKE_RESULTS={results}".encode() in _read(its):
            os.kill(int(its.parent.name), signal.SIGKILL)
    process.wait()
    (results / "said.txt").unlink()
    if start(notebook, results).wait():
        sys.exit((results / "said.txt").read_text())
    return next(
        (x.strip() for x in (results / "said.txt").read_text().splitlines() if unfinished.WENT_ON in x), "began anew"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def main(kills: str = "10", *notebooks: str) -> int:
    """Print one line a kill; the exit status is the number of runs that did not end as the unbroken one."""
    random.seed(0)
    wrong = 0
    for notebook in notebooks or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            expected, seconds = unbroken(notebook, Path(folder))
        for _ in range(int(kills)):
            after = random.uniform(0, seconds)
            with tempfile.TemporaryDirectory() as folder:
                said = killed(notebook, Path(folder), after)
                same = predictions(Path(folder), notebook) == expected
            wrong += not same
            moment, bytes_ = f"killed after {after:5.1f} of {seconds:.1f} s", "same" if same else "OTHER"
            print(f"{notebook}: {moment}: {bytes_} bytes; {said}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

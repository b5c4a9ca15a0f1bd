"""What Snakemake, papermill and Jupyter add to the notebooks' own time, and the phantom's throughput."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path
from unittest import mock

from stroke_utils.course import commands, forecast
from stroke_utils.course.notebook_files import read_notebook
from stroke_utils.phantom import spec, writer
from tests.bench.measure import ROOT, Row, compared, in_turn, timed

CHEAP = ("02_mask_extraction", "07_table_forensics", "01_exploration")
"""Notebooks without training, which run as in quick."""


def checkout(home: Path, stems: tuple[str, ...]) -> Path:
    """Make a folder that the command line takes for the project's, with some of its notebooks, and return it."""
    for name in ("Snakefile", "stroke_utils"):
        (home / name).symlink_to(ROOT / name)
    for stem in stems:
        for file in (ROOT / "notebooks" / f"{stem}.ipynb", *(ROOT / "params").glob(f"*/{stem}.yaml")):
            copy = home / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return home


def cells_seconds(copy: Path) -> float:
    """Return the time that the cells of an executed copy took, by their metadata, without what lies between them."""
    cells = [cell.metadata.get("papermill", {}) for cell in read_notebook(copy).cells if cell.cell_type == "code"]
    return sum(
        (datetime.fromisoformat(c["end_time"]) - datetime.fromisoformat(c["start_time"])).total_seconds()
        for c in cells
        if c.get("end_time")
    )


def one_course(data: Path, stems: tuple[str, ...]) -> dict[str, float]:
    """Run some notebooks by the command that ``make reproduce`` gives; return its seconds and those of the cells."""
    with tempfile.TemporaryDirectory() as folder:
        home = checkout(Path(folder), stems)
        environment = os.environ | {"STROKE_HOME": str(home), "STROKE_RESULTS": str(home / "results")}
        environment |= {"PYTHONPATH": str(ROOT), "STROKE_DERIVED": str(home / "derived")}
        start = time.perf_counter()
        call = commands.here("reproduce", "--profile", "smoke", "--data", data, "--cores", "2")
        done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
        spent = time.perf_counter() - start
        if done.returncode:
            raise ChildProcessError(f"{' '.join(stems)}: {done.stderr[-2000:]}")
        copies = list((home / "results" / "smoke" / "executed").glob("*.ipynb"))
        assert len(copies) == len(stems), copies
        return {"wall": spent, "cells": sum(map(cells_seconds, copies))}


def stated_seconds() -> float:
    """Return what the notebooks say the whole course takes in quick on 2 cores."""
    total = 0.0
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        found = forecast.STATED.search(read_notebook(path).cells[0].source)
        total += 60 * (statistics.mean(float(x) for x in found.groups() if x) if found else forecast.SHORT)
    return total


def overhead(data: Path) -> list[Row]:
    """Compare wall time with the cells' own for one cheap notebook and for three, and forecast the whole course.

    The notebooks run one after the other here, as the trainings do. The forecast takes what one notebook adds, and what
    a course adds, from these two, and the minutes of the whole course from the notebooks' own words: a ratio with a
    bar only makes sense there, for a cheap notebook is mostly overhead.
    """
    item, out, seen = "course, wall time", [], {}
    one_course(data, CHEAP[:1])  # the first start reads Python, Jupyter and Snakemake from the disk
    for n in (1, len(CHEAP)):
        found = one_course(data, CHEAP[:n])
        seen[n] = found["wall"] - found["cells"]
        both = {"ours": [found["wall"]], "its cells alone": [found["cells"]]}
        out += compared(item, "without training", n, "notebooks", "s", both)
    every = len(list((ROOT / "notebooks").glob("*.ipynb")))
    each = max(0.0, seen[len(CHEAP)] - seen[1]) / (len(CHEAP) - 1)
    cells = stated_seconds()
    whole = {"ours": [cells + seen[1] + (every - 1) * each], "its cells alone": [cells]}
    return out + compared(item, "all of quick, forecast", every, "notebooks", "s", whole, 1.1)


def phantom() -> list[Row]:
    """Milliseconds a slice of drawing and writing phantoms of two sizes, by two processes and by one."""
    out, tiny = [], spec.SIZES["tiny"]
    for factor in (1, 3):
        larger = {part: {label: factor * n for label, n in classes.items()} for part, classes in tiny.items()}
        slices = sum(n for classes in larger.values() for n in classes.values())

        def draw(workers: int, slices: int = slices) -> float:
            with tempfile.TemporaryDirectory() as folder:
                return timed(lambda: writer.make_phantom(f"{folder}/new", "tiny", 0, True, workers=workers))() / slices

        with mock.patch.dict(spec.SIZES, tiny=larger):
            found = in_turn({"ours": lambda: 1000 * draw(2), "one process": lambda: 1000 * draw(1)}, 2, warm=0)
        out += compared("phantom, a slice", "two processes", slices, "slices", "ms", found)
    return out

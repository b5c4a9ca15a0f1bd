"""Time and memory of a whole release's slices; ``python -m tests.bench.scale TASK FOLDER`` does one task in a process.

The release is made of hard links to the phantom's slices. What a process needs at its peak must not grow with the data:
a row of the tables takes some kB, a decoded slice 1 MB.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import paths
from stroke_utils.data import class_masks, duplicates
from stroke_utils.data.cohort import Cohort, read_cohort
from tests.bench.large import RELEASE, peak_mib, release
from tests.bench.measure import Row, alone

SIZES = (500, 2000, RELEASE)
FLAT = 20
"""kB a slice by which the peak may grow."""

UP_TO = {"read": 2000}
"""Slices that a task has at most, where more of them take many minutes."""

TASKS = {
    "index": "table of slices",
    "index_thoroughly": "table, every pixel checked",
    "find_doubles": "duplicates",
    "write_masks": "masks",
    "write_records": "TFRecords, 512 px",
    "read": "reading with overlays, all but the networks",
}


def stroke_rows(cohort: Cohort, n: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return ``n`` stroke slices and their masks, the cohort's again and again under new ids."""
    made = class_masks.write_class_masks(cohort, quiet=True).set_index("slice_id")["class_mask"]
    strokes = cohort.slices.query("stroke == 1 and part == 'train' and label.notna()")
    slices = strokes.iloc[np.arange(n) % len(strokes)].reset_index(drop=True)
    return slices.assign(slice_id=[str(10000 + k) for k in range(n)]), slices["slice_id"].map(made)


def write_records(cohort: Cohort, n: int) -> float:
    """Write ``n`` slices as TFRecords of 512 × 512 and return the seconds."""
    from stroke_utils.learn import tfrecords

    slices, masks = stroke_rows(cohort, n)
    with tempfile.TemporaryDirectory(dir=paths.derived_root()) as folder:  # masks are there already
        start = time.perf_counter()
        tfrecords.write_records(slices, masks, 512, Path(folder, "records"), quiet=True)
        return time.perf_counter() - start


def read(folder: Path) -> float:
    """Read every picture in a folder with networks that take no time, and return the seconds."""
    from stroke_utils.reading import scan
    from tests.scans import Stub

    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        scan.read(scan.find(folder, out, quiet=True), Stub(), out, quiet=True)
    return time.perf_counter() - start


def task(name: str, folder: str, slices: str) -> None:
    """Do one task on a folder; print its seconds and this process's peak memory in MiB.

    ``slices`` counts for the TFRecords alone, which repeat the slices of the folder.
    """
    if name == "write_records":
        print(write_records(read_cohort(folder, quiet=True, thorough=False), int(slices)), peak_mib())
        return
    if name == "read":
        print(read(Path(folder)), peak_mib())
        return
    cohort = read_cohort(folder, quiet=True, thorough=False) if name in ("find_doubles", "write_masks") else None
    work = {
        "index": lambda: read_cohort(folder, quiet=True, thorough=False),
        "index_thoroughly": lambda: read_cohort(folder, quiet=True),
        "find_doubles": lambda: duplicates.add_groups(cohort.slices, quiet=True),
        "write_masks": lambda: class_masks.write_class_masks(cohort, quiet=True),
    }[name]
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, peak_mib())


def rows(source: Path, tasks: tuple[str, ...] = tuple(TASKS), sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Measure each task at each size: a row of seconds a slice, and one of the peak beside that of the least folder.

    The bar of memory is the ratio at which the peak has grown by ``FLAT`` kB a slice.
    """
    out = []
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        for n in sizes:
            release(source, Path(scratch, str(n)), n)
        for name in tasks:
            first = 0.0
            for n in (n for n in sizes if n <= UP_TO.get(name, n)):
                place = Path(scratch, str(sizes[0] if name == "write_records" else n))
                derived = Path(scratch, f"derived-{place.name}")
                said = alone("tests.bench.scale", name, place, n, STROKE_DERIVED=str(derived))
                seconds, peak = map(float, said.split()[-2:])
                out.append(Row("time at scale", TASKS[name], n, "slices", "s", seconds))
                first = first or peak
                found = (peak / first,) * 3 if n > sizes[0] else (None,) * 3
                bar = (first + (n - sizes[0]) * FLAT / 1024) / first if n > sizes[0] else None
                beside = (f"{sizes[0]} slices", first) if n > sizes[0] else ("", None)
                out.append(Row("memory", TASKS[name], n, "slices", "MiB", peak, *beside, *found, bar))
    return out


if __name__ == "__main__":
    task(*sys.argv[1:])

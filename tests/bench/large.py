"""A folder as large as the release, and what a process needs at most: for the benchmarks of memory."""

import os
import resource
from pathlib import Path

from stroke_utils.data.cohort import read_cohort

RELEASE = 6951
"""Slices of the whole release."""


def release(source: Path, folder: Path, slices: int) -> Path:
    """Make a folder of ``slices`` slices in the portal's layout from a cohort's, by hard links under new ids."""
    rows = read_cohort(source, quiet=True).slices.query("part == 'train'")
    places = {"none": "Normal", "ischemia": "Ischemia", "hemorrhage": "Bleeding"}
    for kind in ("PNG", "OVERLAY"):
        for place in places.values():
            (folder / place / kind).mkdir(parents=True, exist_ok=True)
    for number in range(slices):
        row = rows.iloc[number % len(rows)]
        name = f"{10000 + number}.png"
        for kind, path in (("PNG", row["png"]), ("OVERLAY", row["overlay"])):
            if path:
                os.link(path, folder / places[row["label"]] / kind / name)
    return folder


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # the other count starts with what the parent process had
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

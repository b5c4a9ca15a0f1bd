"""Ratios measured side by side in one run: ``make bench``. Machines are noisy, so no single time is a result.

Each contender does the same work on the same slices in turn, round after round; a ratio is the median over rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils.base import progress
from stroke_utils.data import class_masks, duplicates, masks, open_cohort
from stroke_utils.data.cohort import read_cohort
from stroke_utils.data.pixels import read_rgba
from tests.bench import segmentation
from tests.bench.large import RELEASE, peak_mib, release

ROUNDS = 9


def opencv_rule(bgr: np.ndarray) -> np.ndarray:
    """Do the paper's rule with OpenCV: hue 0–10 or 160–255, saturation from 100, value from 50, all of 255."""
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV_FULL)
    return cv2.inRange(hsv, (0, 100, 50), (10, 255, 255)) | cv2.inRange(hsv, (160, 100, 50), (255, 255, 255))


def ratios(contenders: dict[str, Callable[[], object]], against: str) -> dict[str, tuple[float, float]]:
    """Run every contender once a round, in turn; give the median time and the median of ``against``'s time to it."""
    times = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if turn:  # the first round warms caches
                times[name].append(time.perf_counter() - start)
    base = times[against]
    return {
        name: (statistics.median(seen), statistics.median(b / t for b, t in zip(base, seen, strict=True)))
        for name, seen in times.items()
    }


def show(title: str, found: dict[str, tuple[float, float]], slices: int, bars: dict[str, float]) -> None:
    """Print a table of times per slice and ratios, with the bar beside those that have one."""
    print(f"\n{title}")
    for name, (seconds, ratio) in found.items():
        bar = f"  bar {bars[name]:.1f}: {'held' if ratio >= bars[name] else 'MISSED'}" if name in bars else ""
        print(f"  {name:28} {1000 * seconds / slices:8.3f} ms a slice  {ratio:5.2f} ×{bar}")


def extractors(painted: pd.DataFrame) -> None:
    """Compare the extractors with OpenCV on decoded arrays, and with plain reading and writing end to end."""
    overlays = [read_rgba(path) for path in painted["overlay"]]
    originals = [read_rgba(path) for path in painted["png"]]
    bgr = [cv2.imread(path, cv2.IMREAD_COLOR) for path in painted["overlay"]]

    def ours(method: str) -> Callable[[], object]:
        return lambda: [masks.extract(o, p, method) for o, p in zip(overlays, originals, strict=True)]

    contenders = {"OpenCV inRange": lambda: [opencv_rule(array) for array in bgr]}
    contenders |= {method: ours(method) for method in masks.METHODS}
    found = ratios(contenders, "OpenCV inRange")
    show("extractors on decoded arrays, against OpenCV", found, len(painted), dict.fromkeys(masks.METHODS, 1.0))

    with tempfile.TemporaryDirectory() as folder:
        done = [masks.extract(o, p) for o, p in zip(overlays, originals, strict=True)]
        target = Path(folder, "mask.png")

        def plain(both: bool) -> None:
            for row, classes in zip(painted.itertuples(), done, strict=True):
                for path in (row.overlay, row.png)[: 1 + both]:
                    with Image.open(path) as image:
                        np.asarray(image)
                image = Image.fromarray(classes)
                image.putpalette([0, 0, 0, 0, 0, 255, 0, 255, 0])
                image.save(target)

        def whole(method: str) -> None:
            for row in painted.itertuples():
                original = read_rgba(row.png) if method == "difference" else None
                masks.write_class_mask(target, masks.extract(read_rgba(row.overlay), original, method))

        for method in masks.METHODS:
            both = method == "difference"
            pair = {"reading and writing": lambda both=both: plain(both), method: lambda method=method: whole(method)}
            title = f"{method}, end to end, against reading and writing the same files"
            show(title, ratios(pair, "reading and writing"), len(painted), {method: 0.8})

        def opencv() -> None:
            for path in painted["overlay"]:
                cv2.imwrite(str(target), opencv_rule(cv2.imread(path, cv2.IMREAD_COLOR)))

        pair = {"OpenCV": opencv, "paper": lambda: whole("paper")}
        show("the paper's rule, end to end, against OpenCV (no bar)", ratios(pair, "OpenCV"), len(painted), {})


def at_scale(source: Path) -> None:
    """Time and weigh indexing, masks and duplicates of a whole release, each in a process of its own."""
    print(f"\na folder of {RELEASE} slices (hard links of the phantom's), and one of 500; seconds, peak MiB")
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        folders = {n: release(source, Path(folder, str(n)), n) for n in (500, RELEASE)}
        bars = {"index": 20, "index_thoroughly": 180, "index_again": 20, "find_doubles": 120}
        for task in ("index", "index_thoroughly", "index_again", "find_doubles", "write_masks"):
            seen = {}
            for n, place in folders.items():
                derived = "index" if task.startswith("index_") else task
                environment = os.environ | {"STROKE_DERIVED": str(Path(folder, f"{derived}-{n}"))}
                command = [sys.executable, "-m", "tests.bench", "--task", task, str(place)]
                out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                seen[n] = tuple(map(float, out.split()[-2:]))
            seconds, growth = seen[RELEASE][0], (seen[RELEASE][1] - seen[500][1]) * 1024 / (RELEASE - 500)
            bar = f"  bar {bars[task]} s: {'held' if seconds <= bars[task] else 'MISSED'}" if task in bars else ""
            # A row of the tables takes some kB, a decoded slice 1 MB.
            flat = f"  {growth:.1f} kB a slice" + (": memory flat" if growth < 20 else ": memory GROWS")
            (s, m), (large_s, large_m) = seen.values()
            print(f"  {task:18} {s:6.1f} s {m:6.0f} MiB → {large_s:6.1f} s {large_m:6.0f} MiB{bar}{flat}")


def task(name: str, folder: str) -> None:
    """Do one task on a folder; print its seconds and this process's peak memory in MiB."""
    cohort = read_cohort(folder, quiet=True, thorough=False) if name in ("find_doubles", "write_masks") else None
    work = {
        "index": lambda: read_cohort(folder, quiet=True, thorough=False),
        "index_thoroughly": lambda: read_cohort(folder, quiet=True),
        "index_again": lambda: read_cohort(folder, quiet=True),
        "find_doubles": lambda: duplicates.add_groups(cohort.slices, quiet=True),
        "write_masks": lambda: class_masks.write_class_masks(cohort, quiet=True),
    }[name]
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, peak_mib())


def main() -> None:
    """Run all benchmarks, or one task of them in this process."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--task", help="run this one on a folder, for its time and memory")
    parser.add_argument("--slices", type=int, default=60, help="overlays in the comparisons")
    parser.add_argument("folder", nargs="?", help="data folder; default: the quick phantom")
    options = parser.parse_args()
    if options.task:
        return task(options.task, options.folder)
    cv2.setNumThreads(1)  # the extractors have one
    cohort = open_cohort(options.folder or "", "quick")
    print(f"OpenCV {cv2.__version__}, numpy {np.__version__}, {progress.cores()} cores")
    extractors(cohort.slices.query("part == 'train'").dropna(subset="overlay").head(options.slices))
    at_scale(cohort.root)
    segmentation.main(cohort, RELEASE)
    return None


if __name__ == "__main__":
    main()

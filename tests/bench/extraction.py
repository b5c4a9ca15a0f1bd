"""Masks out of overlays, against OpenCV and against plain reading and writing."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils.data import masks
from stroke_utils.data.pixels import read_rgba
from tests.bench.measure import Row, compared, in_turn, timed

OPENCV, FILES = "OpenCV", "reading and writing the same files"


def opencv_rule(cv2, bgr: np.ndarray) -> np.ndarray:
    """Do the paper's rule with OpenCV: hue 0–10 or 160–255, saturation from 100, value from 50, all of 255."""
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV_FULL)
    return cv2.inRange(hsv, (0, 100, 50), (10, 255, 255)) | cv2.inRange(hsv, (160, 100, 50), (255, 255, 255))


def per_slice(found: dict[str, list[float]], slices: int) -> dict[str, list[float]]:
    """Turn seconds for all slices into milliseconds for one."""
    return {name: [1000 * seconds / slices for seconds in times] for name, times in found.items()}


def rows(painted: pd.DataFrame) -> list[Row]:
    """Compare the extractors on decoded arrays with OpenCV, and end to end with OpenCV and with the files' own cost."""
    import cv2

    cv2.setNumThreads(1)  # the extractors have one
    n, out = len(painted), []
    overlays, originals = ([read_rgba(path) for path in painted[kind]] for kind in ("overlay", "png"))
    bgr = [cv2.imread(path, cv2.IMREAD_COLOR) for path in painted["overlay"]]

    def add(how: str, case: str, contenders: dict[str, Callable], bar: float | None) -> None:
        found = per_slice(in_turn({name: timed(work) for name, work in contenders.items()}), n)
        out.extend(compared(f"masks of a slice, {how}", case, n, "slices", "ms", found, bar))

    for method in masks.METHODS:
        ours = lambda method=method: [masks.extract(o, p, method) for o, p in zip(overlays, originals, strict=True)]  # noqa: E731
        add("decoded", method, {"ours": ours, OPENCV: lambda: [opencv_rule(cv2, array) for array in bgr]}, 1.0)

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

        def opencv() -> None:
            for path in painted["overlay"]:
                cv2.imwrite(str(target), opencv_rule(cv2, cv2.imread(path, cv2.IMREAD_COLOR)))

        for method in masks.METHODS:
            contenders = {"ours": lambda method=method: whole(method)}
            contenders[FILES] = lambda method=method: plain(method == "difference")
            if method == "paper":
                contenders[OPENCV] = opencv
            add("from file to file", method, contenders, 1.25)
    return out

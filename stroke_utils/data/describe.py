"""Describes a cohort before anything is trained: grey values, lesions and their places, and a data sheet of it all."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from stroke_utils.base import progress, templates, vocabulary
from stroke_utils.data.cohort import Cohort
from stroke_utils.data.masks import read_class_mask
from stroke_utils.data.pixels import read_rgb

TEMPLATES = Path(__file__).resolve().parent / "templates"

BAND = 8
"""Grey values per column of :func:`grey_histograms`."""


def grey_histograms(slices: pd.DataFrame, quiet: bool = False) -> pd.DataFrame:
    """Count each slice's pixels between black and white by grey value.

    Black (air, or below the window) and white (bone, or above it) are left out: they say how large the head is.

    Args:
        slices: rows with ``slice_id``, ``label`` and ``png``.
        quiet: show no progress.

    Returns:
        one row a slice, indexed by ``slice_id`` and ``label``, and one column per band of 8 grey values, named by its
        lower end, with the share of the counted pixels (nan where there are none).
    """
    edges = np.arange(0, 257, BAND)

    def count(path: str) -> np.ndarray:
        red = read_rgb(path)[..., 0]  # that of a marker's magenta is 255
        inside = red[(red > 0) & (red < 255)]
        return np.histogram(inside, edges)[0] / (len(inside) or np.nan)

    rows = progress.in_threads(count, slices["png"], "Reading grey values", quiet)
    index = pd.MultiIndex.from_frame(slices[["slice_id", "label"]])
    return pd.DataFrame(rows, index, edges[:-1].tolist())


def _lesions_on(class_mask: str | os.PathLike) -> Iterator[tuple[str, np.ndarray]]:
    """Give each type on a class mask with its pixels, bool array (H, W)."""
    classes = read_class_mask(class_mask)
    for name in vocabulary.TYPES:
        lesion = classes == vocabulary.MASK_CLASSES.index(name)
        if lesion.any():
            yield name, lesion


def lesions(class_masks: pd.DataFrame, quiet: bool = False) -> pd.DataFrame:
    """Measure the lesions of class masks.

    Args:
        class_masks: rows with ``slice_id`` and ``class_mask``, as
            :func:`stroke_utils.data.class_masks.write_class_masks` gives; those without a mask are skipped.
        quiet: show no progress.

    Returns:
        one row per slice and type on it: slice_id, type, pixels, percent (of the slice), components (8-connected),
        x and y of the centroid as fractions of width and height (0 left and top).
    """

    def measure(row: tuple) -> list[tuple]:
        rows = []
        for name, lesion in _lesions_on(row.class_mask):
            (y, x), (height, width) = ndimage.center_of_mass(lesion), lesion.shape
            pixels, (_, parts) = int(lesion.sum()), ndimage.label(lesion, np.ones((3, 3)))
            place = (x + 0.5) / width, (y + 0.5) / height
            rows.append((row.slice_id, name, pixels, 100 * pixels / lesion.size, parts, *place))
        return rows

    made = [*class_masks.dropna(subset="class_mask").itertuples()]
    measured = progress.in_threads(measure, made, "Measuring lesions", quiet)
    names = ["slice_id", "type", "pixels", "percent", "components", "x", "y"]
    return pd.DataFrame([row for rows in measured for row in rows], columns=names)


def location_maps(slices: pd.DataFrame, class_masks: pd.DataFrame, side: int = 96) -> dict[str, tuple]:
    """Average where the lesions of each type are, and the slices they are on.

    Every slice is squeezed to a square, heads are not aligned: a map of this data set's pictures, no atlas.

    Args:
        slices: rows with ``slice_id`` and ``png``.
        class_masks: rows with ``slice_id`` and ``class_mask``.
        side: of the maps in pixels.

    Returns:
        by type: float array (side, side) with the share of its slices that have a lesion there, float array (side,
        side) with their mean grey value, and the number of slices.
    """
    sums = {name: [np.zeros((side, side)), np.zeros((side, side)), 0] for name in vocabulary.TYPES}
    for row in slices.merge(class_masks.dropna(subset="class_mask"), on="slice_id").itertuples():
        with Image.open(row.png) as image:
            grey = np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), float)
        for name, lesion in _lesions_on(row.class_mask):
            small = Image.fromarray(np.uint8(255) * lesion).resize((side, side), Image.Resampling.BOX)
            sums[name][0] += np.asarray(small, float) / 255
            sums[name][1] += grey
            sums[name][2] += 1
    return {name: (place / n, grey / n, n) for name, (place, grey, n) in sums.items() if n}


def data_sheet(cohort: Cohort, areas: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Write what was found as a data sheet, after Gebru et al., *Datasheets for Datasets*, CACM 64(12), 2021.

    Only what can be counted is filled in; for consent, ethics and licence it names where to ask.

    Args:
        cohort: the data set, read thoroughly.
        areas: of :func:`lesions`.
        groups: the slices table with the columns of :func:`stroke_utils.data.duplicates.add_groups`.

    Returns:
        Markdown.
    """
    slices, counts = cohort.slices, cohort.counts()
    found = counts.dropna(subset=["found"])
    parts = {part: rows.set_index("label")["found"].to_dict() for part, rows in found.groupby("part")}
    sizes, levels = slices[["width", "height"]].value_counts(), cohort.facts["grey_levels"]
    (width, height), usual = sizes.index[0], int(sizes.iloc[0])
    lesions = []
    for name, rows in areas.groupby("type"):
        low, middle, high = rows["pixels"].quantile([0.05, 0.5, 0.95]).round().astype(int)
        several = f"{(rows['components'] > 1).mean():.0%}"
        lesions.append({"type": name, "slices": len(rows), "low": low, "middle": middle, "high": high})
        lesions[-1]["several"] = several
    problems = cohort.problems.groupby("kind", sort=False)["files"].sum()
    return templates.render(
        TEMPLATES / "data_sheet.md.j2",
        name=cohort.origin.get("name", cohort.root.name),
        phantom=bool(cohort.origin.get("phantom")),
        fingerprint=cohort.fingerprint,
        labels=list(dict.fromkeys(counts.loc[counts["label"] != "all", "label"])),
        parts={part: parts[part] for part in vocabulary.PARTS if part in parts},
        slices=len(slices),
        usual={"size": f"{width} × {height}", "slices": usual},
        modes=[f"{mode} {n}" for mode, n in slices["mode"].value_counts().items()],
        levels={"min": levels.min(), "max": levels.max()},
        files=slices[["overlay", "mask", "dicom"]].notna().sum().to_dict(),
        patients={"slices": slices["patient"].count(), "number": slices["patient"].nunique()},
        doubles={"exact": groups["exact_group"].count(), "near": groups["near_group"].count()},
        problems=[f"{kind} {number} files" for kind, number in problems.items()],
        lesions=lesions,
    )

"""Turns overlays into class masks: three ways to find the painted pixels, one to tell the type of stroke."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from stroke_utils import files, vocabulary
from stroke_utils.cohort import Cohort
from stroke_utils.pixels import packed, painted_types, read_rgb

METHODS = ("difference", "border", "paper")
"""Names of the extractors, the exact one first."""

_MARKER = int(packed(np.uint8([vocabulary.MARKER_COLOUR]))[0])


def extract(
    overlay: np.ndarray, original: np.ndarray | None = None, method: str = "difference", **options: int
) -> np.ndarray:
    """Find the painted lesion in an overlay and tell its type by the colour of its border.

    Args:
        overlay: uint8 array (H, W, 3 or 4).
        original: the slice without paint, same height and width; needed by "difference" only.
        method: "difference" (pixels that differ from the original), "border" (coloured pixels but the marker's) or
            "paper" (the paper's HSV rule).
        options: keyword arguments of the method, such as ``saturation`` and ``value`` of "paper".

    Returns:
        uint8 array (H, W): 0 background, 1 ischemia, 2 hemorrhage. Each connected region has one type.

    Raises:
        ValueError: unknown method, original missing or of another size, an overlay that is not its original plus
            paint, or paint without a border of either type.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown method {method!r}; the extractors are {', '.join(METHODS)}.")
    overlay = overlay[..., :3]
    if method == "difference":
        lesion = painted_by_difference(overlay, original, **options)
    else:
        lesion = {"border": painted_by_border, "paper": painted_by_paper}[method](overlay, **options)
    return _typed(lesion, overlay)


def painted_by_difference(overlay: np.ndarray, original: np.ndarray | None) -> np.ndarray:
    """Mark the pixels in which an overlay differs from its original, exactly.

    RGB uint8 arrays (H, W, 3) of one size in, bool array (H, W) out.

    Raises:
        ValueError: original missing or of another size, or a grey pixel that differs (paint is never grey).
    """
    if original is None or original.shape[:2] != overlay.shape[:2]:
        size = "none" if original is None else "×".join(map(str, original.shape[:2]))
        raise ValueError(f"The difference needs an original of the overlay's size; found {size}.")
    pixels = packed(overlay)
    changed = (pixels != packed(original)) & (pixels != _MARKER)
    strange = int(np.count_nonzero(changed & (chroma(overlay) == 0)))
    if strange:
        raise ValueError(
            f"{strange} grey pixels of the overlay differ from the original: they show different pictures."
        )
    return changed


def painted_by_border(overlay: np.ndarray, least: int = 64) -> np.ndarray:
    """Mark every coloured pixel but the marker's: red fill and border, known without the original.

    The scan is grey (chroma 0) and every fill and border colour has a chroma of 128 or more, so ``least`` may lie
    anywhere between. RGB uint8 array (H, W, 3) in, bool array (H, W) out.
    """
    return (chroma(overlay) >= least) & (packed(overlay) != _MARKER)


def painted_by_paper(
    overlay: np.ndarray, hue_to: int = 10, hue_from: int = 160, saturation: int = 100, value: int = 50
) -> np.ndarray:
    """Mark red pixels by the paper's rule in PIL's HSV, where hue runs from 0 to 255.

    Hue 0 to ``hue_to`` or from ``hue_from`` to 255 is the paper's; it gives no numbers for the least saturation and
    value, so these are ours. RGB uint8 array (H, W, 3) in, bool array (H, W) out.
    """
    hue, sat, val = (np.asarray(c) for c in Image.fromarray(np.ascontiguousarray(overlay)).convert("HSV").split())
    return ((hue <= hue_to) | (hue >= hue_from)) & (sat >= saturation) & (val >= value)


def chroma(rgb: np.ndarray) -> np.ndarray:
    """Give the distance between the largest and the smallest channel, 0 for grey. Uint8 (H, W, 3) in, (H, W) out."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def from_mask_file(rgb: np.ndarray) -> np.ndarray:
    """Read the organiser's MASK colours: RGB uint8 array (H, W, 3) in, uint8 array (H, W) of 0/1/2 out."""
    pixels, classes = packed(rgb), np.zeros(rgb.shape[:2], np.uint8)
    for value, name in enumerate(vocabulary.MASK_CLASSES):
        classes[pixels == packed(np.uint8([vocabulary.MASK_COLOURS[name]]))[0]] = value
    return classes


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two masks of one shape: 2 · |agreed lesion| / (|lesion of a| + |lesion of b|).

    A pixel is agreed where both masks have the same class other than 0; bool masks work too. Two empty masks give 1.
    """
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero((a == b) & (a != 0)) / total) if total else 1.0


def compare(
    cohort: Cohort, slices: pd.DataFrame, methods: tuple = METHODS, quiet: bool = False, **paper: int
) -> pd.DataFrame:
    """Score extractors on the overlays of ``slices`` against the truth; ``paper`` are options of the paper's rule.

    The truth is the data set's own (``Cohort.true_masks``) where it has one; else the exact difference stands for it,
    which then scores 1 against itself.

    Returns:
        one row per slice and method: slice_id, type, pixels (lesion size in the truth), marker (whether the slice has
        burnt-in marker pixels), method, dice, missed and extra (pixels).
    """

    def score(row: tuple) -> list[tuple]:
        overlay, original = read_rgb(row.overlay), read_rgb(row.png)
        truth = true_mask(cohort, row.slice_id)
        truth = extract(overlay, original) if truth is None else truth
        size, marker = np.count_nonzero(truth), bool((packed(original) == _MARKER).any())
        rows = []
        for method in methods:
            found = extract(overlay, original, method, **(paper if method == "paper" else {}))
            missed, extra = np.count_nonzero(truth[found == 0]), np.count_nonzero(found[truth == 0])
            rows.append((row.slice_id, row.label, size, marker, method, dice(found, truth), missed, extra))
        return rows

    with ThreadPoolExecutor(2) as pool:
        work = pool.map(score, slices.itertuples())
        rows = [r for rs in files.progress(work, "Comparing masks", total=len(slices), quiet=quiet) for r in rs]
    names = ["slice_id", "type", "pixels", "marker", "method", "dice", "missed", "extra"]
    return pd.DataFrame(rows, columns=names)


def true_mask(cohort: Cohort, slice_id: str) -> np.ndarray | None:
    """Read the data set's own class mask of a slice as uint8 array (H, W) of 0/1/2, or None where it has none."""
    path = cohort.true_masks and cohort.true_masks / f"{slice_id}.png"
    if not path or not path.is_file():
        return None
    with Image.open(path) as image:
        return np.array(image)


def write_class_masks(cohort: Cohort, method: str = "difference", quiet: bool = False) -> pd.DataFrame:
    """Write the class mask of every stroke slice as a palette PNG, and skip those that are there already.

    They go to ``<derived>/<fingerprint>/masks/<method>/<slice_id>.png``. A slice without overlay takes the
    organiser's mask, if it has one.

    Returns:
        one row per stroke slice in the cohort's order: slice_id, class_mask (absolute path, or None), note (None, or
        why there is no mask: no overlay, a file that can't be decoded, nothing painted, a type other than the label).

    Raises:
        UserError: the disk is full.
    """
    folder = files.derived_root() / cohort.fingerprint / "masks" / method
    strokes = cohort.slices[cohort.slices["stroke"] == 1]
    with ThreadPoolExecutor(2) as pool:
        work = pool.map(functools.partial(_write_one, folder=folder, method=method), strokes.itertuples())
        rows = list(files.progress(work, "Writing class masks", total=len(strokes), quiet=quiet))
    return pd.DataFrame(rows, columns=["slice_id", "class_mask", "note"], dtype=object)


def _write_one(row: tuple, folder: Path, method: str) -> tuple[str, str | None, str | None]:
    target = folder / f"{row.slice_id}.png"
    if target.exists():
        return row.slice_id, str(target), None
    if row.overlay is None and row.mask is None:
        return row.slice_id, None, "It has neither an overlay nor a mask."
    try:
        if row.overlay is None:
            classes = from_mask_file(read_rgb(row.mask))
        else:
            classes = extract(read_rgb(row.overlay), read_rgb(row.png) if method == "difference" else None, method)
        found = {vocabulary.MASK_CLASSES[value] for value in np.unique(classes) if value}
        if not found:
            raise ValueError("Nothing is painted on it.")
        if row.label is not None and row.label not in found:
            raise ValueError(f"It is labelled {row.label}, but painted as {' and '.join(sorted(found))}.")
    except (OSError, SyntaxError, ValueError) as error:  # what decoders and extractors say of a bad file
        return row.slice_id, None, str(error)
    write_class_mask(target, classes)
    return row.slice_id, str(target), None


def write_class_mask(target: str | os.PathLike, classes: np.ndarray) -> None:
    """Write a class mask, uint8 (H, W) of 0/1/2, as a palette PNG in the organiser's mask colours."""
    image = Image.fromarray(classes)
    image.putpalette([channel for name in vocabulary.MASK_CLASSES for channel in vocabulary.MASK_COLOURS[name]])
    with files.atomic_path(target) as temporary:
        image.save(temporary)


def read_class_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a file of :func:`write_class_mask`, or one of the organiser's MASK files, as uint8 (H, W) of 0/1/2."""
    return from_mask_file(read_rgb(path))


def _typed(lesion: np.ndarray, overlay: np.ndarray) -> np.ndarray:
    """Give a bool lesion mask its class, by the border colours of the overlay (per region if both types occur)."""
    types = painted_types(overlay)
    if not lesion.any():
        return np.zeros(lesion.shape, np.uint8)
    if not types:
        raise ValueError("The paint has no border of either type, so the type of stroke is unknown.")
    if len(types) == 1:
        return lesion * np.uint8(vocabulary.MASK_CLASSES.index(types[0]))
    return _typed_by_region(lesion, overlay, types[0])


def _typed_by_region(lesion: np.ndarray, overlay: np.ndarray, commonest: str) -> np.ndarray:
    # Grown by one pixel, because an extractor may have dropped the border that tells the type.
    regions, count = ndimage.label(ndimage.binary_dilation(lesion, np.ones((3, 3))), np.ones((3, 3)))
    pixels, votes = packed(overlay), np.zeros((len(vocabulary.MASK_CLASSES), count + 1), int)
    for name, colours in vocabulary.BORDER_COLOURS.items():
        border = np.isin(pixels, packed(np.uint8(colours)))
        votes[vocabulary.MASK_CLASSES.index(name)] = np.bincount(regions[border], minlength=count + 1)
    types = votes.argmax(axis=0).astype(np.uint8)
    types[types == 0] = vocabulary.MASK_CLASSES.index(commonest)
    return types[regions] * lesion

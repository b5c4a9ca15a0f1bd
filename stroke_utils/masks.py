"""Turns overlays into class masks: three ways to find the painted pixels, one to tell the type of stroke."""

import functools
import os
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils import files, vocabulary
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError
from stroke_utils.pixels import coloured, packed, painted_types, read_rgb, read_rgba, unpacked

METHODS = ("difference", "border", "paper")
"""Names of the extractors, the exact one first."""

_PIECE = 1 << 14  # pixels

_MARKER = packed(np.uint8(vocabulary.MARKER_COLOUR))


def extract(
    overlay: np.ndarray, original: np.ndarray | None = None, method: str = "difference", **options: int
) -> np.ndarray:
    """Find the painted lesion in an overlay and tell its type by the colour of its border.

    Where borders of both types occur, each pixel has the type of its own paint, so that touching lesions keep theirs.

    Args:
        overlay: uint8 array (H, W, 3 or 4).
        original: the slice without paint, same height and width; needed by "difference" only.
        method: "difference" (pixels that differ from the original), "border" (coloured pixels but the marker's) or
            "paper" (the paper's HSV rule).
        options: keyword arguments of the method: those of :func:`border_rule` or :func:`paper_rule`.

    Returns:
        uint8 array (H, W): 0 background, 1 ischemia, 2 hemorrhage.

    Raises:
        UserError: unknown method.
        ValueError: original missing or of another size, an overlay that is not its original plus paint, or paint
            without a border of either type.
    """
    if method not in METHODS:
        raise UserError(f"Unknown method {method!r}; the extractors are {', '.join(METHODS)}.")
    pixels = packed(overlay)
    # Paint is never grey and nearly all of a scan is, so each rule looks at the few coloured pixels alone. Found piece
    # by piece: temporaries that fit the cache cost half the time.
    flat = pixels.ravel()
    where = np.concatenate(
        [np.flatnonzero(coloured(flat[k : k + _PIECE])) + k for k in range(0, max(flat.size, 1), _PIECE)]
    )
    colours = flat[where]
    rules = {"difference": functools.partial(_difference_rule, pixels, where, original)}
    rule = rules.get(method) or {"border": border_rule, "paper": paper_rule}[method]
    painted = where[rule(colours, **options)]
    classes = np.zeros(pixels.size, np.uint8)
    if len(painted):
        types = painted_types(colours)
        if not types:
            raise ValueError("The paint has no border of either type, so the type of stroke is unknown.")
        one = vocabulary.MASK_CLASSES.index(types[0])
        classes[painted] = one if len(types) == 1 else _type_of_each(pixels.ravel()[painted])
    return classes.reshape(pixels.shape)


def _difference_rule(
    pixels: np.ndarray, where: np.ndarray, original: np.ndarray | None, colours: np.ndarray
) -> np.ndarray:
    """Tell which coloured pixels differ from the original, exactly; markers differ in no picture of the release."""
    if original is None or original.shape[:2] != pixels.shape:
        size = "none" if original is None else "×".join(map(str, original.shape[:2]))
        raise ValueError(f"The difference needs an original of the overlay's size; found {size}.")
    changed = (pixels != packed(original)).ravel()
    strange = np.count_nonzero(changed) - np.count_nonzero(painted := changed[where])
    if strange:
        raise ValueError(
            f"{strange} grey pixels of the overlay differ from the original: another picture, or saved anew with loss."
        )
    return painted & (colours != _MARKER)


def border_rule(colours: np.ndarray, least: int = 64) -> np.ndarray:
    """Tell which colours are paint: red fill and border, known without the original, but not the marker's magenta.

    The scan is grey (chroma 0) and every fill and border colour has a chroma of 128 or more, so ``least`` may lie
    anywhere between. Numbers of :func:`stroke_utils.pixels.packed`, uint32 array (n,) in, bool array (n,) out.
    """
    return (_chroma(colours) >= least) & (colours != _MARKER)


def _chroma(colours: np.ndarray) -> np.ndarray:
    """Return the largest minus the smallest channel, uint8 (n,), without numpy's reduction over so short an axis."""
    red, green, blue = unpacked(colours).T
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def paper_rule(
    colours: np.ndarray, hue_to: int = 10, hue_from: int = 160, saturation: int = 100, value: int = 50
) -> np.ndarray:
    """Tell which colours are red by the paper's rule in PIL's HSV, where hue runs from 0 to 255.

    Hue 0 to ``hue_to`` or from ``hue_from`` to 255 is the paper's; it gives no numbers for the least saturation and
    value, so these are ours. A saturation of 0 or less would take grey too, and is refused.

    Args:
        colours: numbers of :func:`stroke_utils.pixels.packed`, uint32 array (n,), none of them grey.
        hue_to: see above.
        hue_from: see above.
        saturation: the least that counts.
        value: the least that counts.

    Raises:
        UserError: a saturation below 1.
    """
    if saturation < 1:
        raise UserError(f"The paper's rule needs a least saturation of 1 or more, found {saturation}: grey has 0.")
    if not len(colours):
        return np.zeros(0, bool)
    hue, sat, val = np.asarray(Image.fromarray(unpacked(colours)[None]).convert("HSV"))[0].T
    return ((hue <= hue_to) | (hue >= hue_from)) & (sat >= saturation) & (val >= value)


def from_mask_file(rgb: np.ndarray) -> np.ndarray:
    """Read the organiser's MASK colours: RGB uint8 array (H, W, 3) in, uint8 array (H, W) of 0/1/2 out."""
    pixels, classes = packed(rgb), np.zeros(rgb.shape[:2], np.uint8)
    for value, name in enumerate(vocabulary.MASK_CLASSES):
        classes[pixels == packed(np.uint8(vocabulary.MASK_COLOURS[name]))] = value
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
        overlay, original = read_rgba(row.overlay), read_rgba(row.png)
        truth = true_mask(cohort, row.slice_id)
        truth = extract(overlay, original) if truth is None else truth
        size, marker = np.count_nonzero(truth), bool((packed(original) == _MARKER).any())
        rows = []
        for method in methods:
            found = extract(overlay, original, method, **(paper if method == "paper" else {}))
            missed, extra = np.count_nonzero(truth[found == 0]), np.count_nonzero(found[truth == 0])
            rows.append((row.slice_id, row.label, size, marker, method, dice(found, truth), missed, extra))
        return rows

    scores = files.in_threads(score, [*slices.itertuples()], "Comparing masks", quiet)
    names = ["slice_id", "type", "pixels", "marker", "method", "dice", "missed", "extra"]
    return pd.DataFrame([row for rows in scores for row in rows], columns=names)


def true_mask(cohort: Cohort, slice_id: str) -> np.ndarray | None:
    """Read the data set's own class mask of a slice as uint8 array (H, W) of 0/1/2, or None where it has none."""
    path = cohort.true_masks and cohort.true_masks / f"{slice_id}.png"
    if not path or not path.is_file():
        return None
    with Image.open(path) as image:
        return np.array(image)


def write_class_masks(cohort: Cohort, method: str = "difference", quiet: bool = False) -> pd.DataFrame:
    """Write the class mask of every stroke slice as a palette PNG, and skip those that are there already.

    They go to ``<derived>/<fingerprint>/masks/<method>/<slice_id>.png``; a file there that is damaged or has another
    size is made anew. A slice without overlay takes the organiser's mask, if it has one.

    Returns:
        one row per stroke slice in the cohort's order: slice_id, class_mask (absolute path, or None), note (None, or
        why there is no mask: no overlay, a file that can't be decoded, nothing painted, a type other than the label).

    Raises:
        UserError: unknown method, or the disk is full.
    """
    if method not in METHODS:
        raise UserError(f"Unknown method {method!r}; the extractors are {', '.join(METHODS)}.")
    folder = files.derived_root() / cohort.fingerprint / "masks" / method
    strokes = [*cohort.slices[cohort.slices["stroke"] == 1].itertuples()]
    write = functools.partial(_write_one, folder=folder, method=method)
    rows = files.in_threads(write, strokes, "Writing class masks", quiet)
    return pd.DataFrame(rows, columns=["slice_id", "class_mask", "note"], dtype=object)


def _write_one(row: tuple, folder: Path, method: str) -> tuple[str, str | None, str | None]:
    target = folder / f"{row.slice_id}.png"
    if _is_whole(target, (row.width, row.height)):
        return row.slice_id, str(target), None
    if row.overlay is None and row.mask is None:
        return row.slice_id, None, "It has neither an overlay nor a mask."
    try:
        if row.overlay is None:
            classes = from_mask_file(read_rgb(row.mask))
        else:
            classes = extract(read_rgba(row.overlay), read_rgba(row.png) if method == "difference" else None, method)
        found = {vocabulary.MASK_CLASSES[value] for value in np.unique(classes) if value}
        if not found:
            raise ValueError("Nothing is painted on it.")
        if row.label is not None and row.label not in found:
            raise ValueError(f"It is labelled {row.label}, but painted as {' and '.join(sorted(found))}.")
    except (OSError, SyntaxError, ValueError) as error:  # what decoders and extractors say of a bad file
        return row.slice_id, None, str(error)
    write_class_mask(target, classes)
    return row.slice_id, str(target), None


def _is_whole(target: Path, size: tuple[int, int]) -> bool:
    """Tell whether a class mask is there, undamaged and of its slice's size."""
    try:
        with Image.open(target) as image:
            image.verify()
            return image.size == size and image.mode == "P"
    except (OSError, SyntaxError):
        return False


def write_class_mask(target: str | os.PathLike, classes: np.ndarray) -> None:
    """Write a class mask, uint8 (H, W) of 0/1/2, as a palette PNG in the organiser's mask colours."""
    image = Image.fromarray(classes)
    image.putpalette([channel for name in vocabulary.MASK_CLASSES for channel in vocabulary.MASK_COLOURS[name]])
    with files.atomic_path(target) as temporary:
        image.save(temporary)


def read_class_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a file of :func:`write_class_mask`, or one of the organiser's MASK files, as uint8 (H, W) of 0/1/2."""
    return from_mask_file(read_rgb(path))


def _type_of_each(colours: np.ndarray) -> np.ndarray:
    """Give painted pixels, numbers of `pixels.packed` (n,), the mask value of their own paint.

    A border tells by its colour. Fill has a chroma of 128 where red was laid on once, as on ischemia, and of 192 where
    twice, as on hemorrhage.
    """
    values = np.where(_chroma(colours) < 160, 1, 2).astype(np.uint8)
    for name, borders in vocabulary.BORDER_COLOURS.items():
        values[np.isin(colours, packed(np.uint8(borders)))] = vocabulary.MASK_CLASSES.index(name)
    return values

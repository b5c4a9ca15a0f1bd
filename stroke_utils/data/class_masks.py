"""Class masks of a whole cohort: written once, read by the later stages."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils.base import identity, progress, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data.checks import read_true_mask
from stroke_utils.data.cohort import Cohort
from stroke_utils.data.masks import METHODS, PAPER_OPTIONS, extract, from_mask_file, write_class_mask
from stroke_utils.data.pixels import read_rgb, read_rgba


def true_mask(cohort: Cohort, slice_id: str) -> np.ndarray | None:
    """Read the data set's own class mask of a slice as uint8 array (H, W) of 0/1/2, or None where it has none."""
    path = cohort.true_masks and cohort.true_masks / f"{slice_id}.png"
    return read_true_mask(path) if path and path.is_file() else None


def painted(cohort: Cohort) -> pd.DataFrame:
    """Return the rows of the slices table that have an overlay and a label: what rules for masks are shown on.

    Raises:
        UserError: there is no overlay of one of the types.
    """
    found = cohort.slices.dropna(subset=["overlay", "label"])
    missing = [name for name in vocabulary.TYPES if not (found["label"] == name).any()]
    if missing:
        raise UserError(
            f"The data have no usable overlay of {' and of '.join(missing)}; expected some of each type, to compare "
            "rules on them. `stroke-regions check FOLDER` says what became of overlays. Detection needs none: go on "
            "with 03_phase1_detection."
        )
    return found


def write_class_masks(cohort: Cohort, method: str = "difference", quiet: bool = False, **options: int) -> pd.DataFrame:
    """Write the class mask of every stroke slice as a palette PNG, and skip those that are there already.

    They go to a folder named by all that makes them: the cohort, the method with its options, the code of the rules. A
    file there that is damaged or has another size is made anew. A slice without overlay takes the organiser's mask, if
    it has one.

    Args:
        cohort: the slices.
        method: a name of :data:`stroke_utils.data.masks.METHODS`.
        quiet: show no progress.
        options: keyword arguments of :func:`stroke_utils.data.masks.paper_rule`; the other methods do not look at them.

    Returns:
        one row per stroke slice in the cohort's order: slice_id, class_mask (absolute path, or None), note (None, or
        why there is no mask: no overlay, a file that can't be decoded, nothing painted, a type other than the label).

    Raises:
        UserError: unknown method, a slice's file is gone, the disk is full, or the derived folder is torn or cannot be
            written.
    """
    if method not in METHODS:
        raise UserError(f"Unknown method {method!r}; the extractors are {', '.join(METHODS)}.")
    options = PAPER_OPTIONS | options if method == "paper" else {}
    made_of = {"inputs": {"cohort": cohort.fingerprint}, "settings": {"method": method, **options}}
    folder = identity.Identity("class-masks", ("data.class_masks",), **made_of).folder()
    strokes = [*cohort.slices[cohort.slices["stroke"] == 1].itertuples()]
    write = functools.partial(_write_one, folder=folder, method=method, options=options, left_out=cohort.left_out)
    rows = progress.in_threads(write, strokes, "Writing class masks", quiet)
    return pd.DataFrame(rows, columns=["slice_id", "class_mask", "note"], dtype=object)


def _write_one(
    row: tuple, folder: Path, method: str, options: dict, left_out: dict[str, str]
) -> tuple[str, str | None, str | None]:
    target = folder / f"{row.slice_id}.png"
    if _is_whole(target, (row.width, row.height)):
        return row.slice_id, str(target), None
    if row.overlay is None and row.mask is None:
        return row.slice_id, None, left_out.get(row.slice_id, "It has neither an overlay nor a mask.")
    try:
        if row.overlay is None:
            classes = from_mask_file(read_rgb(row.mask))
        else:
            original = read_rgba(row.png) if method == "difference" else None
            classes = extract(read_rgba(row.overlay), original, method, **options)
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

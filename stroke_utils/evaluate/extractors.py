"""How well the rules that extract masks from overlays agree with the truth."""

import numpy as np
import pandas as pd

from stroke_utils.base import progress
from stroke_utils.data import class_masks, masks
from stroke_utils.data.cohort import Cohort
from stroke_utils.data.pixels import read_rgba
from stroke_utils.evaluate import overlap


def compare(
    cohort: Cohort, slices: pd.DataFrame, methods: tuple = masks.METHODS, quiet: bool = False, **paper: int
) -> pd.DataFrame:
    """Score extractors on the overlays of ``slices`` against the truth; ``paper`` are options of the paper's rule.

    The truth is the data set's own (``Cohort.true_masks``) where it has one; else the exact difference is taken for it,
    which then scores 1 against itself.

    Returns:
        one row per slice and method: slice_id, type, pixels (lesion size in the truth), marker (whether the slice has
        an orientation marker, as :class:`stroke_utils.data.cohort.Cohort` knows it), method, dice, missed and extra
        (pixels).
    """
    marked = cohort.facts.set_index("slice_id")["marker"]

    def score(row: tuple) -> list[tuple]:
        overlay, original = read_rgba(row.overlay), read_rgba(row.png)
        truth = class_masks.true_mask(cohort, row.slice_id)
        if truth is None or truth.shape != overlay.shape[:2]:
            truth = masks.extract(overlay, original)
        size, marker, rows = np.count_nonzero(truth), marked[row.slice_id], []
        for method in methods:
            found = masks.extract(overlay, original, method, **(paper if method == "paper" else {}))
            missed, extra = np.count_nonzero(truth[found == 0]), np.count_nonzero(found[truth == 0])
            rows.append((row.slice_id, row.label, size, marker, method, overlap.dice(found, truth), missed, extra))
        return rows

    scores = progress.in_threads(score, [*slices.itertuples()], "Comparing masks", quiet)
    names = ["slice_id", "type", "pixels", "marker", "method", "dice", "missed", "extra"]
    return pd.DataFrame([row for rows in scores for row in rows], columns=names)

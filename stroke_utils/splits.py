"""Which slices teach, which choose, which test."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from stroke_utils.files import UserError


def split(
    slices: pd.DataFrame, by: str | None, validation: float, seed: int, test_part: str | None = None
) -> pd.DataFrame:
    """Return ``slices`` with a ``split`` column: ``train`` and ``validation`` of the training part, ``test``.

    Args:
        slices: rows of a cohort's slices table.
        by: column whose proportions both sides keep (the paper's stratified 80/20), None for a plain random split.
        validation: fraction of the training part that goes to validation, above 0 and below 1.
        seed: the split is a pure function of the slices' ids and this number.
        test_part: part whose slices become ``test``; slices of any other part are left out.

    Raises:
        UserError: a class of the training part has fewer than two slices, or there is nothing to split or to test on.
    """
    pool = slices[slices["part"] == "train"].sort_values("slice_id")
    if len(pool) < 2:
        raise UserError(f"{len(pool)} usable training slices found; a split needs at least 2. Check the cohort.")
    counts = pool[by].value_counts() if by else pd.Series(dtype=int)
    if (counts < 2).any():
        raise UserError(
            f"Class {counts.idxmin()!r} has {counts.min()} training slice; a stratified split needs at least 2. "
            "Check the cohort's class folders, or split at random."
        )
    teach, choose = train_test_split(
        pool.index.to_numpy(), test_size=validation, random_state=seed, stratify=pool[by] if by else None
    )
    if test_part and not (slices["part"] == test_part).any():
        raise UserError(
            f"No usable slice of {test_part}, which is the test. Its folder is missing, or its slices lack labels or "
            "masks: `python -m stroke_utils.cohort FOLDER` tells which."
        )
    column = pd.Series(None, index=slices.index, dtype=object)
    column[teach], column[choose] = "train", "validation"
    if test_part:
        column[slices.index[slices["part"] == test_part]] = "test"
    return slices.assign(split=column).dropna(subset=["split"])


def class_weights(labels: pd.Series | np.ndarray) -> dict[int, float]:
    """Return the weight of each class that makes all classes count alike: ``n / (classes * n_class)``.

    The same as scikit-learn's ``compute_class_weight("balanced")``.

    Args:
        labels: integer class of each training slice.
    """
    values, counts = np.unique(np.asarray(labels, dtype=int), return_counts=True)
    return {int(v): float(len(labels) / (len(values) * n)) for v, n in zip(values, counts, strict=True)}

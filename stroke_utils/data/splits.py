"""Which slices are for training, which for validation, which for the test."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from stroke_utils.base.errors import UserError

VALIDATION = 0.2
"""Share of the training part that goes to validation in both classifications, as in the paper."""

VALIDATION_OF_MASKS = 0.1
"""The same in segmentation, as in the paper."""


def split(
    slices: pd.DataFrame,
    by: str | None,
    validation: float,
    seed: int,
    test_part: str | None = None,
    classes: str | None = None,
    test_optional: bool = False,
) -> pd.DataFrame:
    """Return ``slices`` with a ``split`` column: ``train`` and ``validation`` of the training part, ``test``.

    Args:
        slices: rows of a cohort's slices table.
        by: column whose proportions both sides keep (the paper's stratified 80/20), None for a plain random split.
        validation: fraction of the training part that goes to validation, above 0 and below 1.
        seed: the split is a pure function of the slices' ids and this number.
        test_part: part whose slices become ``test``; slices of any other part are left out.
        classes: column of which validation and test must hold every value that training has, for scores need them.
        test_optional: whether a test part that is missing or lacks one of the ``classes`` gives no ``test`` slices
            instead of an error; scores are then of validation alone.

    Raises:
        UserError: validation or test lacks one of the ``classes``; a class of the training part has fewer than two
            slices; or there is nothing to split or to test on.
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
    strata = pool[by] if by else None
    train, chosen = train_test_split(pool.index.to_numpy(), test_size=validation, random_state=seed, stratify=strata)
    if test_part and test_optional:
        here = slices[slices["part"] == test_part]
        if here.empty or (classes and set(here[classes]) != set(pool[classes])):
            test_part = None
    if test_part and not (slices["part"] == test_part).any():
        raise UserError(
            f"No usable slice of {test_part}, which is the test. Its folder is missing, or its slices lack labels or "
            "masks: `stroke-regions check FOLDER` tells which."
        )
    column = pd.Series(None, index=slices.index, dtype=object)
    column[train], column[chosen] = "train", "validation"
    if test_part:
        column[slices.index[slices["part"] == test_part]] = "test"
    slices = slices.assign(split=column).dropna(subset=["split"])
    if classes:
        wanted = set(slices.loc[slices["split"] == "train", classes])
        for name, found in slices.groupby("split")[classes].agg(set).items():
            if found != wanted:
                raise UserError(
                    f"The {name} slices have only {sorted(found)} of {sorted(wanted)} in {classes!r}; scores need all. "
                    "Look at the cohort's classes, or split with another seed or share."
                )
    return slices


def parts(slices: pd.DataFrame, test_part: str) -> dict[str, pd.Series]:
    """Return which slices are scored, by the name of the part: validation, then the test where there is one.

    Args:
        slices: of :func:`split`.
        test_part: name of the test.
    """
    found = {"validation": slices["split"] == "validation", test_part: slices["split"] == "test"}
    return {part: rows for part, rows in found.items() if rows.any()}


def class_weights(labels: pd.Series | np.ndarray) -> dict[int, float]:
    """Return the weight of each class that makes all classes count alike, as Keras takes it.

    Args:
        labels: integer class of each training slice.

    Raises:
        UserError: there is one class only, or none.
    """
    labels = np.asarray(labels, dtype=int)
    values = np.unique(labels)
    if len(values) < 2:
        raise UserError(
            f"Training needs slices of two classes; found {len(labels)} slices of class {values.tolist()} only. Check "
            "the class folders: `stroke-regions check FOLDER` tells what is there."
        )
    weights = compute_class_weight("balanced", classes=values, y=labels)
    return dict(zip(values.tolist(), weights.tolist(), strict=True))

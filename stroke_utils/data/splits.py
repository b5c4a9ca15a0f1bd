"""Which slices are for training, which for validation, which for the test."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from stroke_utils.base.errors import UserError
from stroke_utils.data import duplicates


def split(
    slices: pd.DataFrame,
    by: str | None,
    validation: float,
    seed: int,
    test_part: str | None = None,
    together: tuple[str, ...] = (),
    classes: str | None = None,
) -> pd.DataFrame:
    """Return ``slices`` with a ``split`` column: ``train`` and ``validation`` of the training part, ``test``.

    Args:
        slices: rows of a cohort's slices table.
        by: column whose proportions both sides keep (the paper's stratified 80/20), None for a plain random split.
        validation: fraction of the training part that goes to validation, above 0 and below 1.
        seed: the split is a pure function of the slices' ids and this number.
        test_part: part whose slices become ``test``; slices of any other part are left out.
        together: columns such as ``patient`` or ``near_group``: slices that share a value in any of them stay on one
            side, directly or over a third; missing values share nothing. The paper keeps nothing together. The fraction
            is then met as nearly as the groups allow, as one of ``round(1 / validation)`` parts.

        classes: column of which validation and test must hold every value that training has, for scores need them.

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
    if together:
        folds = StratifiedGroupKFold(max(2, round(1 / validation)), shuffle=True, random_state=seed)
        strata = pool[by] if by else np.zeros(len(pool))
        places = next(folds.split(pool, strata, linked(pool, together)))
        train, chosen = (pool.index[part].to_numpy() for part in places)
    else:
        train, chosen = train_test_split(
            pool.index.to_numpy(), test_size=validation, random_state=seed, stratify=pool[by] if by else None
        )
    if test_part and not (slices["part"] == test_part).any():
        raise UserError(
            f"No usable slice of {test_part}, which is the test. Its folder is missing, or its slices lack labels or "
            "masks: `python -m stroke_utils.data.cohort FOLDER` tells which."
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


def linked(slices: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    """Number the groups of slices that are linked by a common value in any of the columns; int array (n,)."""
    pairs = []
    for column in columns:
        values = slices[column].reset_index(drop=True).dropna()
        first = values.drop_duplicates().reset_index().set_index(column)["index"]
        pairs.append(np.stack([values.index, values.map(first)], axis=1).astype(int))
    return duplicates.chained(pairs, len(slices))


def class_weights(labels: pd.Series | np.ndarray) -> dict[int, float]:
    """Return the weight of each class that makes all classes count alike: ``n / (classes * n_class)``.

    The same as scikit-learn's ``compute_class_weight("balanced")``.

    Args:
        labels: integer class of each training slice.

    Raises:
        UserError: there is one class only, or none.
    """
    values, counts = np.unique(np.asarray(labels, dtype=int), return_counts=True)
    if len(values) < 2:
        raise UserError(
            f"Training needs slices of two classes; found {len(labels)} slices of class {values.tolist()} only. Check "
            "the class folders: `python -m stroke_utils.data.cohort FOLDER` tells what is there."
        )
    return {int(v): float(len(labels) / (len(values) * n)) for v, n in zip(values, counts, strict=True)}

"""What a split by slice flatters: the same network scored on slices whose heads it knows, and on new heads.

Slices of one patient look alike. A split that scatters them over training and validation asks the network about heads
that it has seen. What that is worth in slices of MR: Yagis et al. 2021, doi 10.1038/s41598-021-01681-w.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import metrics

UNITS = ("slice", "near-duplicates", "patient")
"""What a split keeps together: nothing, slices whose pictures are nearly the same, all slices of a patient."""

REPORTED = {"AUC from outside the head": "0.834", "points gained by known heads": "0.8 to 1.3"}
"""What an audit of the real data is reported to have found; the publication was not found, so nobody here read it."""


def units(slices: pd.DataFrame) -> pd.DataFrame:
    """Number what each kind of split keeps together.

    Args:
        slices: rows with ``patient`` and, of :func:`stroke_utils.data.duplicates.add_groups`, ``near_group``.

    Returns:
        int columns ``UNITS`` with the index of ``slices``; without ``patient`` where no patient is known. A slice
        without group or patient is alone.
    """
    found = {"slice": np.arange(len(slices))}
    found["near-duplicates"] = metrics.cluster_codes(len(slices), slices["near_group"].to_numpy(object, na_value=None))
    if slices["patient"].notna().any():
        found["patient"] = metrics.cluster_codes(len(slices), slices["patient"].to_numpy(object, na_value=None))
    return pd.DataFrame(found, slices.index)


def split_by(groups: pd.Series, truth: pd.Series, validation: float, seed: int) -> pd.Series:
    """Split slices so that groups stay whole and both sides keep the classes' shares, as far as groups allow.

    Args:
        groups: group of each slice.
        truth: class of each slice, same index.
        validation: share that goes to validation, a whole part such as a fifth.
        seed: of the split.

    Returns:
        ``train`` or ``validation`` for each slice.

    Raises:
        UserError: too few groups of a class.
    """
    parts = round(1 / validation)
    least = groups.groupby(truth).nunique().min()
    if least < parts:
        raise UserError(f"A split into {parts} parts needs {parts} groups of each class; one class has {least}.")
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    _, chosen = next(folds.split(np.zeros(len(groups)), truth, groups))
    split = np.full(len(groups), "train", object)
    split[chosen] = "validation"
    return pd.Series(split, groups.index)


def by_patient(slices: pd.DataFrame, validation: float, seed: int) -> pd.Series:
    """Divide training and validation anew, so that no patient is in both.

    Args:
        slices: rows with ``split``, ``label``, ``slice_id`` and, where it is known, ``patient``; a slice of an unknown
            patient is a group of its own.
        validation: as for :func:`split_by`; more where a type has so few patients that a part of that size has none.
        seed: of the split.

    Returns:
        The column ``split``; ``test`` stays as it is.

    Raises:
        UserError: too few patients of a type.
    """
    ours = slices[slices["split"] != "test"]
    people = ours["patient"].fillna(ours["slice_id"])
    fewest = people.groupby(ours["label"]).nunique().min()
    share = max(validation, 1 / max(fewest, 2))
    return split_by(people, ours["label"], share, seed).reindex(slices.index).fillna("test")


def known_heads(split: pd.Series, patients: pd.Series) -> float:
    """Return the share of validation slices whose patient is in training too; of those whose patient is known."""
    asked = patients[(split == "validation") & patients.notna()]
    return float(asked.isin(patients[split == "train"].dropna()).mean()) if len(asked) else float("nan")


def sibling_pairs(groups: pd.Series, patients: pd.Series) -> tuple[int, int, int]:
    """Count pairs of slices: of one patient, of those in one group, and in one group but of two patients.

    Args:
        groups: group of each slice, missing for a slice that is alone.
        patients: patient of each slice; slices of unknown patients are left out.
    """
    table = pd.DataFrame({"group": groups, "patient": patients}).dropna(subset="patient")

    def pairs(*names: str) -> int:
        sizes = table.groupby(list(names), dropna=True).size()
        return int((sizes * (sizes - 1) // 2).sum())

    both = pairs("group", "patient")
    return pairs("patient"), both, pairs("group") - both


def compared(answers: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Compare splits by the AUC that their validation slices give, with intervals by patient.

    A patient is drawn with all slices and into all splits and seeds at once, so a difference keeps what two splits have
    in common. The interval is of the patients drawn; the seeds are the mean's.

    Args:
        answers: one row for each split, seed and validation slice: split_by, seed, slice_id, patient, truth,
            probability.
        seed: of the bootstrap.

    Returns:
        One row a split, in the order of ``UNITS``: auc (mean over seeds), low, high, lowest, highest (of a seed),
        inflation (its AUC minus that of the last split), inflation_low, inflation_high, seeds, unit.
    """
    slices = answers.drop_duplicates("slice_id").reset_index(drop=True)
    patients = slices["patient"].to_numpy(object)
    weights = pd.DataFrame(metrics.resamples(slices["truth"].to_numpy(), patients, seed).T, slices["slice_id"])
    values, drawn = {}, {}
    for (unit, each), rows in answers.groupby(["split_by", "seed"]):
        truth, probability = rows["truth"].to_numpy(int), rows["probability"].to_numpy(float)
        values.setdefault(unit, {})[each] = roc_auc_score(truth, probability)
        w = weights.loc[rows["slice_id"]].to_numpy().T
        drawn.setdefault(unit, []).append(metrics.resampled_auc(truth, probability, w))
    mean = {unit: np.mean(found, axis=0) for unit, found in drawn.items()}
    there = [unit for unit in UNITS if unit in values]
    rows, reference = {}, there[-1]
    for unit in there:
        aucs = list(values[unit].values())
        low, high = metrics.percentiles(mean[unit])
        more = np.mean(aucs) - np.mean(list(values[reference].values()))
        least, most = metrics.percentiles(mean[unit] - mean[reference])
        rows[unit] = {"auc": np.mean(aucs), "low": low, "high": high, "lowest": min(aucs), "highest": max(aucs)}
        rows[unit] |= {"inflation": more, "inflation_low": least, "inflation_high": most}
        rows[unit] |= {"seeds": len(aucs), "unit": metrics.unit_of(patients)}
    return pd.DataFrame.from_dict(rows, orient="index")

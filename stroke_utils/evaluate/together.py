"""Scores of reading a scan as a whole: is there a stroke, of which type, where; on slices with and without one.

Each network of a pipeline looks better alone than in its place. A detector's misses are slices that the type classifier
is never asked about, and a U-Net that is tested on lesions only is never blamed for those it invents. Here every error
counts wherever it was made, so that one network and a pipeline of three can be held against each other.
"""

import numpy as np
import pandas as pd

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import LABELS, TYPES
from stroke_utils.evaluate import metrics

MEASURES = {
    "detection_auc": "AUC of the stroke probability, all slices",
    "type_f1": "F1 of each type over all slices, mean of both: a missed stroke is a miss of its type, a false alarm "
    "adds to the type it is given; strokes of unknown type are left out",
    "all_dice": "each slice, lesion against lesion, type ignored; a healthy slice has 1 where nothing is painted, "
    "else 0; mean over slices",
    "stroke_dice": "the same, mean over slices with a stroke: nothing painted is 0",
    "clean": "share of healthy slices on which nothing is painted",
}
"""What each score is, in one sentence. ``all_dice`` is the mean of the two after it, weighted by their slices: painting
nothing at all has the share of healthy slices, which is most of what there is to reach."""


def _type_f1(label: np.ndarray, answer: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the macro F1 of both types (b,) of labels and answers (n,) in resamples (b, n)."""
    found = []
    for name in TYPES:
        right, of_it, called = (label == name) & (answer == name), label == name, answer == name
        total = weights @ (of_it.astype(float) + called)
        found.append(np.divide(2 * (weights @ right), total, out=np.zeros(len(weights)), where=total > 0))
    return np.mean(found, axis=0)


def _mean(values: np.ndarray, of: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean (b,) of some slices' values in resamples (b, n), nan where a resample has none of them."""
    weights = weights[:, of]
    total = weights.sum(axis=1)
    return np.divide(weights @ values[of], total, out=np.full(len(weights), np.nan), where=total > 0)


def _counted(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Tell for each measure which slices count."""
    masked, stroke = table["all_dice"].notna().to_numpy(), (table["truth"] == 1).to_numpy()
    return {
        "detection_auc": np.full(len(table), True),
        "type_f1": table["label"].isin(LABELS).to_numpy(),
        "all_dice": masked,
        "stroke_dice": masked & stroke,
        "clean": masked & ~stroke,
    }


def _values(table: pd.DataFrame, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return each measure (b,) of a table of n slices in resamples (b, n); a measure of no slice is left out."""
    counted, out = _counted(table), {}
    truth, dice = table["truth"].to_numpy(), table["all_dice"].to_numpy(dtype=float)
    if 0 < truth.sum() < len(truth):
        out["detection_auc"] = metrics.resampled_auc(truth, table["probability"].to_numpy(dtype=float), weights)
    of = counted["type_f1"]
    if table.loc[of, "label"].isin(TYPES).any():
        out["type_f1"] = _type_f1(*(table.loc[of, name].to_numpy() for name in ("label", "answer")), weights[:, of])
    return out | {name: _mean(dice, of, weights) for name, of in list(counted.items())[2:] if of.any()}


def _resamples(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Draw patients, or slices where they are unknown, within the labels."""
    return metrics.resamples(table["label"].fillna("stroke").to_numpy(), table["patient"].to_numpy(object), seed)


def _sure(table: pd.DataFrame) -> None:
    if table.empty:
        raise UserError("No slice to score.")


def scores(table: pd.DataFrame, seed: int = 0) -> dict[str, dict]:
    """Score how slices were read, by each of :data:`MEASURES`.

    Args:
        table: of :func:`stroke_utils.learn.joint.read_slices`, one split.
        seed: of the bootstrap.

    Returns:
        Score dictionaries by measure; their 95 % intervals resample patients where they are known. The baseline paints
        nothing; of the types it is the better of calling every slice an ischemia, or a hemorrhage. A measure that no
        slice counts in is left out, as the Dice of a network without masks.

    Raises:
        UserError: there is no slice.
    """
    _sure(table)
    counted, unit = _counted(table), metrics.unit_of(table["patient"].to_numpy(object))
    one, of = np.ones((1, len(table))), counted["type_f1"]
    label = table.loc[of, "label"].to_numpy()
    constant = [_type_f1(label, np.full(len(label), name, dtype=object), one[:, of])[0] for name in TYPES]
    empty = table.assign(all_dice=table["all_dice"].mask(table["all_dice"].notna(), 1.0 - table["truth"]))
    baselines = {name: values[0] for name, values in _values(empty, one).items()}
    baselines |= {"detection_auc": 0.5, "type_f1": max(constant)}
    resampled, out = _values(table, _resamples(table, seed)), {}
    for name, value in _values(table, one).items():
        interval = metrics.percentiles(resampled[name])
        out[name] = metrics.score(value[0], *interval, counted[name].sum(), baselines[name], unit)
    return out


def compared(a: dict[int, pd.DataFrame], b: dict[int, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Compare two ways of reading on the same slices, with the seeds that both have.

    Args:
        a, b: tables of :func:`scores` by seed of the training.
        seed: of the bootstrap, which draws the same patients for both and for all seeds.

    Returns:
        One row a measure: its name, seeds, n, unit, ``a`` and ``b`` (means over seeds), difference ``a - b``, lowest
        and highest (of a seed), low and high (95 % interval of the mean over seeds). ``a`` is worse beyond its interval
        where ``high`` is below 0.

    Raises:
        UserError: no seed in common, no slice, or tables of other slices.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise UserError(f"The two have no seed in common: {sorted(a)} and {sorted(b)}. Train both with one seed.")
    tables = [[side[s].sort_values("slice_id", ignore_index=True) for side in (a, b)] for s in seeds]
    first = tables[0][0]
    _sure(first)
    for table in (table for pair in tables for table in pair):
        if not table["slice_id"].equals(first["slice_id"]):
            other = len(set(table["slice_id"]) ^ set(first["slice_id"]))
            raise UserError(f"Both must have read the same slices; {other} of them were read by one only.")
    weights, one = _resamples(first, seed), np.ones((1, len(first)))
    points = [[_values(table, one) for table in pair] for pair in tables]
    drawn = [[_values(table, weights) for table in pair] for pair in tables]
    counted, unit, rows = _counted(first), metrics.unit_of(first["patient"].to_numpy(object)), []
    for name in (name for name in MEASURES if all(name in side for pair in points for side in pair)):
        each = np.array([[side[name][0] for side in pair] for pair in points])
        difference = each[:, 0] - each[:, 1]
        low, high = metrics.percentiles(np.mean([one[name] - two[name] for one, two in drawn], axis=0))
        rows.append(
            {"measure": name, "seeds": len(seeds), "n": int(counted[name].sum()), "unit": unit}
            | dict(zip("ab", each.mean(axis=0), strict=True))
            | {"difference": difference.mean(), "lowest": difference.min(), "highest": difference.max()}
            | {"low": low, "high": high}
        )
    return pd.DataFrame(rows)

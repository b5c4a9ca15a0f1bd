"""Which of two models is better on the same slices? Tests on pairs, corrected for their number.

Two models that saw the same slices mostly fail on the same ones, so their intervals may overlap although one is surely
better: what counts is the interval of the difference. Seeds are another source of chance: all that two models share
take part, none is picked.
"""

import itertools

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test
from statsmodels.stats.multitest import multipletests

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import metrics


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Return the exact two-sided p of McNemar's test: are two models right on equally many slices?

    Only slices count on which one of them is right and the other wrong. Boolean arrays (n,), slices independent.
    """
    only_a, only_b = np.sum(right_a & ~right_b), np.sum(right_b & ~right_a)
    return float(mcnemar_test([[0, only_a], [only_b, 0]], exact=True).pvalue)


def delong(truth: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Compare two AUCs on the same slices (DeLong et al. 1988, doi 10.2307/2531595).

    The variance comes from each slice's *placement*, the share of the other class on its right side, by mid-ranks
    (Sun & Xu 2014, doi 10.1109/LSP.2014.2337313). Slices are taken for independent.

    Args:
        truth: (n,) 0 or 1.
        a, b: (n,) probabilities of class 1.

    Returns:
        The difference ``a - b``, its standard error, and the two-sided p. Without any spread the error is 0, and p is 1
        for equal AUCs and nan for different ones, which the test has nothing to say about.

    Raises:
        UserError: fewer than two slices of a class.
    """
    positive = np.asarray(truth) == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise UserError(f"DeLong's test needs two slices of each class; found {m} positive and {n} negative.")
    of_positive, of_negative = [], []
    for scores in (np.asarray(a), np.asarray(b)):
        rank = stats.rankdata(scores)
        of_positive.append((rank[positive] - stats.rankdata(scores[positive])) / n)
        of_negative.append(1 - (rank[~positive] - stats.rankdata(scores[~positive])) / m)
    up, down = (np.subtract(*placements) for placements in (of_positive, of_negative))
    difference, error = up.mean(), np.sqrt(up.var(ddof=1) / m + down.var(ddof=1) / n)
    p = 2 * stats.norm.sf(abs(difference) / error) if error > 0 else (1.0 if difference == 0 else np.nan)
    return float(difference), float(error), float(p)


MEASURES = {"accuracy": "McNemar", "AUC": "DeLong", "lesion Dice": "bootstrap"}
"""What pairs are compared by, with the test that goes with it; the paired bootstrap is computed for all."""


def _values(table: pd.DataFrame, measure: str) -> pd.Series:
    """Return what a measure needs of one predictions table, by slice."""
    table = table.set_index("slice_id")
    if measure == "accuracy":
        return (table["predicted"] == table["truth"]).astype(float)
    return table["probability" if measure == "AUC" else "lesion_dice"]


def _compared(a: np.ndarray, b: np.ndarray, truth: np.ndarray, weights: np.ndarray, measure: str) -> tuple:
    """Return, of one seed, the difference, its resampled values (``BOOTSTRAP``,) and the p of the measure's test."""
    if measure == "AUC":
        difference, _, p = delong(truth, a, b)
        resampled = metrics.resampled_auc(truth, a, weights) - metrics.resampled_auc(truth, b, weights)
        return difference, resampled, p
    p = mcnemar(a == 1, b == 1) if measure == "accuracy" else np.nan
    return float(np.mean(a - b)), weights @ (a - b) / weights.sum(axis=1), p


def pairs(tables: dict[str, dict[int, pd.DataFrame]], measure: str, patients: pd.Series, seed: int = 0) -> pd.DataFrame:
    """Compare all pairs of models on the slices of one test split that both have, with the seeds that both have.

    Args:
        tables: predictions of that split by model and seed: slice_id, truth, probability and predicted, or
            slice_id, label and lesion_dice.
        measure: one of :data:`MEASURES`. Slices without a lesion Dice, having no lesion, are left out.
        patients: patient by slice id; the bootstrap resamples patients where they are known, slices elsewhere.
        seed: of the bootstrap.

    Returns:
        One row a pair: measure, a, b, seeds, n, unit, difference ``a - b`` (mean over seeds), lowest and highest
        (of a seed), low and high (95 % bootstrap interval of the mean over seeds), test, p and p_bootstrap, and both
        after Holm's correction for the number of pairs. With several seeds ``p`` is twice their median, which is valid
        however they depend on each other (Vovk & Wang 2020, doi 10.1093/biomet/asaa027). McNemar and DeLong take slices
        for independent: where the unit is patients, believe the bootstrap.
    """
    rows = []
    for a, b in itertools.combinations(tables, 2):
        seeds = sorted(tables[a].keys() & tables[b].keys())
        wide = [_values(tables[m][s], measure).rename((m, s)) for s in seeds for m in (a, b)]
        both = pd.concat(wide, axis=1, join="inner").dropna() if seeds else pd.DataFrame()
        if both.empty:
            continue
        about = tables[a][seeds[0]].set_index("slice_id").loc[both.index]
        strata, names = about["truth" if "truth" in about else "label"].to_numpy(), patients.reindex(both.index)
        weights = metrics.resamples(strata, names.to_numpy(dtype=object), seed)
        columns = [[both[m, s].to_numpy(dtype=float) for m in (a, b)] for s in seeds]
        found = [_compared(*pair, strata, weights, measure) for pair in columns]
        differences, p = [f[0] for f in found], np.median([f[2] for f in found])
        resampled = np.mean([f[1] for f in found], axis=0)
        resampled = resampled[~np.isnan(resampled)]  # a resample may have lost a class
        low, high = np.percentile(resampled, [2.5, 97.5])
        beyond = min((resampled <= 0).sum(), (resampled >= 0).sum()) + 1
        rows.append(
            {"measure": measure, "a": a, "b": b, "seeds": len(seeds), "n": len(both)}
            | {"unit": metrics.unit_of(names), "difference": np.mean(differences)}
            | {"lowest": min(differences), "highest": max(differences), "low": low, "high": high}
            | {"test": MEASURES[measure], "p": min(1.0, p * min(2, len(seeds))) if p == p else np.nan}
            | {"p_bootstrap": min(1.0, 2 * beyond / (len(resampled) + 1))}
        )
    names = ["measure", "a", "b", "seeds", "n", "unit", "difference", "lowest", "highest", "low", "high", "test"]
    out = pd.DataFrame(rows, columns=[*names, "p", "p_bootstrap"])
    for name in ("p", "p_bootstrap"):
        known = out[name].notna()
        corrected = multipletests(out.loc[known, name], method="holm")[1] if known.any() else []
        out.loc[known, f"{name}_holm"] = corrected
    return out


def rankings(
    answers: dict[str, np.ndarray], slices: pd.DataFrame, truth: str, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare how trainings of one network rank the same slices.

    Args:
        answers: (n,) probabilities of class 1 by the name of the training.
        slices: (n) rows with slice_id, patient (missing where unknown) and the column ``truth``.
        truth: name of a column with 0 or 1.
        seed: of the bootstrap.

    Returns:
        One row a training: its AUC with the 95 % interval, ``low`` to ``high``. And :func:`pairs` by AUC.
    """
    tables, rows, known = {}, {}, slices[truth].astype(int).to_numpy()
    for name, probability in answers.items():
        auc = metrics.auc_score(known, probability, seed, slices["patient"])
        rows[name] = {"AUC": auc["value"], "low": auc["low"], "high": auc["high"]}
        found = {"slice_id": slices["slice_id"].to_numpy(), "truth": known, "probability": probability}
        tables[name] = {seed: pd.DataFrame(found)}
    alone = pd.DataFrame.from_dict(rows, orient="index", columns=["AUC", "low", "high"])
    return alone, pairs(tables, "AUC", slices.set_index("slice_id")["patient"], seed)

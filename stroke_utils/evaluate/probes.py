"""Probes for shortcuts: can the label be told from what no reader of the slice would look at?

A probe sees one thing only, such as the picture outside the head, and a plain classifier guesses *stroke* from it,
always on patients that it has not seen. A guess better than chance is a warning: a network could have learned the same.
Shortcuts in images of patients: Zech et al. 2018, doi 10.1371/journal.pmed.1002683; DeGrave et al. 2021, doi
10.1038/s42256-021-00338-7; the word is of Geirhos et al. 2020, doi 10.1038/s42256-020-00257-z.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from stroke_utils.base import progress
from stroke_utils.base.errors import UserError
from stroke_utils.data import pixels, regions, tags
from stroke_utils.data.cohort import Cohort
from stroke_utils.evaluate import metrics

SIDE = 32
"""Side of the small square pictures that probes see. They are cut at ``regions.SIDE``, half a slice's 512; the lengths
below are pixels of that, about 0.9 mm."""

RIM = 8
"""What lies deeper than this below the head's outline is deleted with the brain. It is about 7 mm, less than scalp and
skull together, so that no blood at the skull's inner side is left."""

AWAY = 2
"""Width of the edge around the head that the probe of the outside does not see: the blurred scalp."""

FOLDS = 5
LEAST = 2 * FOLDS
"""Folds of the cross-validation, and the fewest patients of each class for which a probe says anything."""

TREES = 100
"""In a forest."""

LEVEL = 0.05
"""Share of audits in which, at most, an interval of any probe of a shortcut misses its AUC. An alarm is a miss on one
side, so of audits of clean data at most half of this share gives a false one."""

TELLS, CHANCE, UNKNOWN, SUSPECT = "tells the label", "at chance", "cannot tell", "suspect"
"""Verdicts. *Suspect* is an alarm where no patient is named: the probe may have known heads again."""


@dataclass(frozen=True)
class Probe:
    """What a probe sees.

    Attributes:
        sees: in words.
        control: what is known of it beforehand; empty for a probe of a shortcut.
    """

    sees: str
    control: str = ""


PROBES = {
    "outside the head": Probe("the picture with the head painted black"),
    "brain deleted": Probe("scalp and outer skull alone: brain and surroundings painted black"),
    "window width": Probe("the number of grey levels, which is the width of the CT window"),
    "marker": Probe("whether an orientation marker is burnt in"),
    "image size": Probe("width and height of the file in pixels"),
    "slice number": Probe("the number in the file's name"),
    "DICOM tags": Probe("all tags of the DICOM header but ids and names"),
    "whole slice": Probe("the whole picture", "may tell the label: the lesion is in it"),
    "shuffled labels": Probe("the whole picture, each patient with another's label", "must be at chance"),
}
"""What an audit tries. The two controls at the end are no shortcuts: one shows that the classifier can learn, the other
that it cannot cheat."""

AT_ONCE = sum(not each.control for each in PROBES.values())
"""Probes of shortcuts in an audit, for which each interval is widened."""


def views(path: str) -> dict[str, np.ndarray]:
    """Return what the probes of pictures see of a slice, by probe: uint8 squares of ``regions.SIDE``, all
    else black.

    The file is squeezed to a square first. Coloured pixels, as a marker's, are black in all.

    Raises:
        OSError: the file can't be decoded; a cohort's slices can.
    """
    rgb = pixels.read_rgb(path)
    plain = np.where(pixels.coloured(pixels.packed(rgb)), 0, rgb[..., 0]).astype(np.uint8)
    grey = regions.squeezed(plain, regions.SIDE)
    head = regions.head(grey)
    around = regions.depth(~head, cut=False) > AWAY  # up to the picture's edge, where a frame may be
    rim = head & (regions.depth(head, cut=False) <= RIM)  # where the picture cuts the head there is brain, and no skull
    return {
        "outside the head": np.where(around, grey, 0),
        "brain deleted": np.where(rim, grey, 0),
        "whole slice": grey,
    }


def small_pictures(slices: pd.DataFrame, quiet: bool = False) -> dict[str, np.ndarray]:
    """Return what the probes of pictures see of many slices.

    Args:
        slices: rows with ``png``.
        quiet: show no progress.

    Returns:
        float arrays (n, SIDE²) of grey values 0–255, by the names of :func:`views`.
    """

    def small(path: str) -> dict[str, np.ndarray]:
        return {name: regions.squeezed(view, SIDE).ravel() for name, view in views(path).items()}

    found = progress.in_threads(small, list(slices["png"]), "Cutting slices", quiet)
    return {name: np.array([each[name] for each in found], float) for name in (found[0] if found else ())}


def numbers(table: pd.DataFrame) -> np.ndarray:
    """Turn a table into features, float (n, columns): text by the order of its values, what is missing below all."""
    columns = []
    for name in table:
        values = pd.to_numeric(table[name], errors="coerce")
        if (values.isna() & table[name].notna()).any():  # text, or text among numbers
            values = pd.Series(pd.factorize(table[name].astype("string"), sort=True)[0], table.index)
        values = values.astype(float)
        columns.append(values.fillna(values.min() - 1 if values.notna().any() else 0))
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def guesses(x: np.ndarray, truth: np.ndarray, patients: np.ndarray, seed: int = 0) -> np.ndarray:
    """Guess each slice's label from features, by a forest that has seen no slice of its patient.

    With few patients, guesses of what nothing tells fall below chance: of a class that many held-out slices have, the
    others have few. An AUC below 0.5 is no finding.

    Args:
        x: features, float (n, k).
        truth: (n,) 0 or 1.
        patients: (n,) patient of each slice.
        seed: of folds and forest.

    Returns:
        float (n,) from 0 to 1: the place of the slice's probability among those of its fold, by mid-ranks. Forests of
        different folds have different ideas of 0.5, which would blur a score over all.
    """
    out = np.zeros(len(truth))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for known, asked in folds.split(x, truth, patients):
        forest = ExtraTreesClassifier(TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=-1)
        probability = forest.fit(x[known], truth[known]).predict_proba(x[asked])[:, 1]
        out[asked] = (stats.rankdata(probability.round(9)) - 0.5) / len(asked)
    return out


def interval(auc: float, resampled: np.ndarray, probes: int) -> tuple[float, float]:
    """Return the interval of an AUC that is one of several: wide enough that all of them hold in 95 % of audits.

    Args:
        auc: as measured.
        resampled: the AUC of each bootstrap resample.
        probes: how many there are (Bonferroni); a bootstrap has too few resamples for so far a tail, so its standard
            deviation is used.
    """
    wide = stats.norm.isf(LEVEL / 2 / probes) * np.nanstd(resampled)
    return max(0.0, auc - wide), min(1.0, auc + wide)


def probe(
    x: np.ndarray, truth: np.ndarray, patients: np.ndarray | None, probes: int = 1, seed: int = 0
) -> dict[str, object]:
    """Ask whether the label can be told from features.

    Args:
        x: features, float (n, k).
        truth: (n,) 0 or 1.
        patients: (n,) patient of each slice, missing or None where unknown.
        probes: how many probes the verdict is one of.
        seed: of folds, forest and bootstrap.

    Returns:
        auc, low, high, slices, patients, unit and verdict; where no verdict is possible, ``why`` and no numbers.
    """
    truth, clusters = np.asarray(truth, int), metrics.cluster_codes(len(truth), patients)
    heads = min((len(np.unique(clusters[truth == c])) for c in (0, 1)), default=0)
    unit = metrics.unit_of(patients)
    about = {"slices": len(truth), "patients": len(np.unique(clusters)) if unit == "patients" else None, "unit": unit}
    if heads < LEAST:
        return about | {"verdict": UNKNOWN, "why": f"{heads} {unit} of a class; it takes {LEAST}"}
    if x.shape[1] == 0 or (x == x[0]).all():
        return about | {"verdict": CHANCE, "auc": 0.5, "low": 0.5, "high": 0.5, "why": "the same in all slices"}
    guessed = guesses(x, truth, clusters, seed)
    auc = float(roc_auc_score(truth, guessed))
    resampled = metrics.resampled_auc(truth, guessed, metrics.resamples(truth, patients, seed))
    low, high = interval(auc, resampled, probes)
    alarm = TELLS if unit == "patients" else SUSPECT
    return about | {"auc": auc, "low": low, "high": high, "verdict": alarm if low > 0.5 else CHANCE}


def shuffled(truth: np.ndarray, patients: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """Give each patient the label of another: (n,) 0 or 1, that of a patient's first slice for all slices."""
    _, first, own = np.unique(metrics.cluster_codes(len(truth), patients), return_index=True, return_inverse=True)
    return np.random.default_rng(seed).permutation(np.asarray(truth, int)[first])[own]


def audit(cohort: Cohort, seed: int = 0, patients: int = 0, quiet: bool = False) -> pd.DataFrame:
    """Try every probe on the training part of a cohort.

    Where only slices of one class have DICOM files there, their tags are tried on session 1.

    Args:
        cohort: read thoroughly, as :func:`stroke_utils.data.read_cohort` does.
        seed: of everything random.
        patients: look at no more than this many of each class, drawn at random; 0: at all.
        quiet: show no progress.

    Returns:
        One row for each of :data:`PROBES`, in that order and with its name as index: sees, auc, low, high (those
        of all shortcuts together hold in 95 % of audits), slices, patients, unit, verdict, why.

    Raises:
        UserError: the training part lacks a class.
    """
    known = cohort.slices.dropna(subset=["stroke"]).merge(
        cohort.facts[["slice_id", "grey_levels", "marker"]], on="slice_id", how="left"
    )
    slices = fewer(known[known["part"] == "train"], patients, seed)
    if slices["stroke"].nunique() < 2:
        raise UserError(
            "An audit needs slices with and without stroke in the training part. `stroke-regions check` tells what is "
            "there."
        )
    found = {name: (x, slices) for name, x in small_pictures(slices, quiet).items()}
    files = {"window width": ["grey_levels"], "marker": ["marker"], "image size": ["width", "height"]}
    found |= {name: (numbers(slices[columns]), slices) for name, columns in files.items()}
    name = slices["slice_id"].str.extract(r"(\d+)\D*$")[0]
    found["slice number"] = numbers(name.to_frame()), slices
    rows = {}
    for name, about in PROBES.items():
        if name == "DICOM tags":
            row = _tags(slices, known, AT_ONCE, seed, quiet)
        else:
            x, rows_of = found["whole slice" if name == "shuffled labels" else name]
            truth = rows_of["stroke"].to_numpy(int)
            truth = shuffled(truth, rows_of["patient"], seed) if name == "shuffled labels" else truth
            row = probe(x, truth, rows_of["patient"].to_numpy(object), AT_ONCE, seed)
        rows[name] = {"sees": about.sees, **row}
    columns = ["sees", "auc", "low", "high", "slices", "patients", "unit", "verdict", "why"]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return table.assign(why=table["why"].fillna("")).astype({"patients": "Int64"})


def alarms(table: pd.DataFrame) -> list[str]:
    """Return the probes of an audit that tell the label or may; controls are left out."""
    found = table.index[table["verdict"].isin([TELLS, SUSPECT])]
    return [name for name in found if not PROBES[name].control]


def fewer(slices: pd.DataFrame, patients: int, seed: int = 0) -> pd.DataFrame:
    """Keep all slices of so many patients of each class, drawn at random; all with 0. A slice of none counts as one."""
    if not patients:
        return slices
    clusters = pd.Series(metrics.cluster_codes(len(slices), slices["patient"]), slices.index)
    heads = slices.groupby(clusters)["stroke"].max()
    rng, kept = np.random.default_rng(seed), []
    for _, names in heads.groupby(heads):
        kept += rng.permutation(names.index)[:patients].tolist()
    return slices[clusters.isin(kept)]


def with_headers(slices: pd.DataFrame, known: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the slices whose DICOM tags can be asked, and a word on them where they are not simply ``slices``.

    Args:
        slices: of the training part.
        known: all slices with a label.
    """
    share = slices["dicom"].notna().groupby(slices["stroke"]).mean()
    if share.min() > 0:
        return slices.dropna(subset=["dicom"]), "" if share.min() == 1 else f"{share.min():.0%} of a class have a file"
    test = known[(known["part"] == "session1") & known["dicom"].notna()]
    if share.max() == 0 and test.empty:
        return slices[:0], "there are no DICOM files"
    said = "in training only " + ("strokes have DICOM files" if share.idxmax() == 1 else "slices without stroke do")
    return test, f"{said if share.max() else 'in training none has a DICOM file'}; tried on session 1"


def _tags(slices: pd.DataFrame, known: pd.DataFrame, probes: int, seed: int, quiet: bool) -> dict[str, object]:
    rows, said = with_headers(slices, known)
    if rows.empty:
        return {"slices": 0, "unit": "slices", "verdict": UNKNOWN, "why": said}
    x = numbers(tags.table(rows["dicom"], quiet))
    row = probe(x, rows["stroke"].to_numpy(int), rows["patient"].to_numpy(object), probes, seed)
    return row | {"why": "; ".join(filter(None, [said, row.get("why", "")]))}


def tag_by_tag(slices: pd.DataFrame, seed: int = 0, quiet: bool = False) -> pd.DataFrame:
    """Ask each DICOM tag alone.

    Args:
        slices: rows with ``dicom``, ``stroke`` and ``patient``, both classes.
        seed: of everything random.
        quiet: show no progress.

    Returns:
        One row for each tag that not all files have alike, the highest AUC first: auc, low, high (all tags together
        hold in 95 %), verdict.
    """
    table = tags.table(slices["dicom"], quiet)
    truth, patients = slices["stroke"].to_numpy(int), slices["patient"].to_numpy(object)
    rows = {name: probe(numbers(table[[name]]), truth, patients, table.shape[1], seed) for name in table}
    found = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=["auc", "low", "high", "verdict"])
    return found.sort_values("auc", ascending=False)

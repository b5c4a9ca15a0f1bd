"""The paper's tables beside ours, and the ledger of every setting behind them."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pandas.io.formats.style import Styler

from stroke_utils import files, runs
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError
from stroke_utils.masks import read_class_mask
from stroke_utils.vocabulary import MASK_CLASSES, PAPER_TABLES

TABLE_NOTEBOOKS = {"I": "03_phase1_detection", "II": "04_phase2_classification", "III": "05_segmentation"}
"""The notebook whose runs answer each of the paper's tables."""

# Table I's first row is only possible as a macro average over 70 + 130 slices, so that is what ours is set beside.
_OURS = {
    "I": ("session1", {"precision": "macro_precision", "recall": "macro_recall", "f1": "macro_f1"}),
    "II": ("validation", {"precision": "macro_precision", "recall": "macro_recall", "f1": "macro_f1"}),
    "III": ("validation", {"f1": "soft_f1", "iou": "soft_iou"}),
}
CONVENTIONS = {
    "I": "macro average over stroke and none, session 1, threshold chosen on validation",
    "II": "macro average over the two types, validation, threshold 0.5",
    "III": "soft, whole batch, background included, validation; the paper's 0.6554 is its training F1, its validation "
    "peaked at 0.6503",
}
"""How our numbers of each table are computed; the paper does not say how it averages in Tables I and II."""


def shown_score(score: dict) -> str:
    """Return a score with its interval as text: ``0.87 (0.82–0.91)``."""
    return f"{score['value']:.2f} ({score['low']:.2f}–{score['high']:.2f})"


def score_table(scores: dict[str, dict], part: str, metrics: list[str]) -> pd.DataFrame:
    """Lay out the scores of several models, one row a model, each with its 95 % interval; then the baseline and n.

    ``n`` counts the slices behind a score, which differ: a recall counts strokes only, a precision what was called so.

    Args:
        scores: score dictionaries by model, part and metric, as a run record holds them.
        part: ``session1``, ``session2`` or ``validation``.
        metrics: columns.
    """
    parts = {model: found[part] for model, found in scores.items()}
    first = next(iter(parts.values()))
    metrics = [m for m in metrics if m in first]  # a type may be absent
    rows = {model: [shown_score(found[m]) for m in metrics] for model, found in parts.items()}
    rows["trivial baseline"] = [f"{first[m]['baseline']:.2f}" for m in metrics]
    numbers = [sorted({found[m]["n"] for found in parts.values()}) for m in metrics]
    rows["n"] = ["–".join(dict.fromkeys(map(str, (n[0], n[-1])))) for n in numbers]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[m.replace("_", " ") for m in metrics])


def independent_units(scores: dict[str, dict]) -> str:
    """Say what the intervals of some scores take for independent."""
    units = {score["unit"] for parts in scores.values() for named in parts.values() for score in named.values()}
    if units == {"patients"}:
        return "Intervals resample patients with all their slices."
    return "Intervals take slices for independent, because patients are unknown: they are rather too narrow."


def pixel_confusion(slice_ids: pd.Series, references: pd.Series, predicted: Path) -> pd.DataFrame:
    """Count pixels by true and predicted class over several slices.

    Args:
        slice_ids: the slices.
        references: paths of true class masks by slice id.
        predicted: folder of predicted class masks.

    Returns:
        Rows true class, columns share of its pixels called each class, and the number of pixels.
    """
    counts = np.zeros((3, 3), int)
    for slice_id in slice_ids:
        truth, called = read_class_mask(references[slice_id]), read_class_mask(predicted / f"{slice_id}.png")
        counts += np.bincount(truth.ravel() * 3 + called.ravel(), minlength=9).reshape(3, 3)
    called = [f"called {name}" for name in MASK_CLASSES]
    table = pd.DataFrame(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), MASK_CLASSES, called)
    return table.map("{:.1%}".format).assign(pixels=counts.sum(axis=1))


def typical_slices(table: pd.DataFrame) -> dict[str, str]:
    """Pick a good, a median and the worst slice of each type by lesion Dice: slice id by title.

    *Good* is better than nine slices in ten of its type, so that no single lucky slice stands for all.
    """
    picks = {}
    table = table.dropna(subset=["lesion_dice"])
    for label, rows in table.sort_values(["lesion_dice", "slice_id"]).groupby("label"):
        ids = rows["slice_id"].tolist()
        places = {"good": int(0.9 * len(ids)), "median": len(ids) // 2, "worst": 0}
        picks |= {f"{label}, {which}": ids[k] for which, k in places.items()}
    return picks


def run_folder(record: dict) -> Path:
    """Return the folder of a run record."""
    return files.results_root() / record["profile"] / record["notebook"] / record["run_id"]


def latest(scores: pd.DataFrame) -> pd.DataFrame:
    """Keep, of the scores of several runs with one notebook, model and seed, those of the run that finished last.

    Give it the records of :func:`usable` only, which were all made with one set of settings.
    """
    last = scores.groupby(["notebook", "model", "seed"])["run_id"].transform("last")
    return scores[scores["run_id"] == last]


def results(scores: pd.DataFrame) -> pd.DataFrame:
    """Set our scores beside the paper's Tables I to III.

    Args:
        scores: table of :func:`stroke_utils.runs.scores`, oldest run first.

    Returns:
        One row per published number: table, model, metric, paper, ours (median over seeds), low and high (the
        interval of the seed that gives the median), n, seeds, baseline, convention. A model without a run has nan.
    """
    rows = []
    scores = latest(scores)
    for table, models in PAPER_TABLES.items():
        part, names = _OURS[table]
        for model, published in models.items():
            for metric, value in published.items():
                found = scores[
                    (scores["notebook"] == TABLE_NOTEBOOKS[table])
                    & (scores["model"] == model)
                    & (scores["part"] == part)
                    & (scores["metric"] == names[metric])
                ]
                rows.append(
                    {"table": table, "model": model, "metric": metric, "paper": value, **_median_seed(found)}
                    | {"convention": CONVENTIONS[table]}
                )
    return pd.DataFrame(rows)


def _median_seed(found: pd.DataFrame) -> dict:
    """Return the score of the seed in the middle; of an even number of seeds the lower middle one."""
    if found.empty:
        missing = dict.fromkeys(("ours", "low", "high", "n", "baseline"), np.nan)
        return missing | {"seeds": 0}
    row = found.sort_values("value").iloc[(len(found) - 1) // 2]
    return {"ours": row["value"], **row[["low", "high", "n", "baseline"]].to_dict(), "seeds": len(found)}


def annotated_parameters(path: Path) -> pd.DataFrame:
    """Read a flat parameters file with the comment beside each key.

    Returns:
        Columns parameter, value, source (the comment, or an empty text).

    Raises:
        UserError: a line is neither ``key: value  # comment`` nor a comment nor empty.
    """
    text = path.read_text(encoding="utf-8")
    values, rows = yaml.safe_load(text), []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        setting, _, comment = line.partition("  # ")
        key = setting.partition(":")[0]
        if not isinstance(values, dict) or key not in values:
            raise UserError(f"{path.name}, line {number}: expected 'key: value  # comment', found {line!r}.")
        rows.append((key, values[key], comment.strip()))
    return pd.DataFrame(rows, columns=["parameter", "value", "source"])


def ledger(notebook: str, parameters: dict) -> pd.DataFrame:
    """Return the assumptions ledger of one notebook: each setting here, in the paper's profile, and where it is from.

    Args:
        notebook: stem of the notebook.
        parameters: the settings here, of a run (``vars(run.params)``) or of its record.

    Returns:
        Columns parameter, ``here``, ``paper profile``, source (a section of the paper, or that it is ours and why).
    """
    paper = annotated_parameters(runs.parameters_file(notebook, "paper"))
    paper.insert(1, "here", [parameters.get(name, "") for name in paper["parameter"]])
    return paper.rename(columns={"value": "paper profile"})


WAYS = {"profile", "data_dir", "phantom_size", "seed", "reuse"}
"""Parameters that say where, on what and how often something runs, not what is computed."""


def departures(notebook: str, parameters: dict) -> pd.DataFrame:
    """Return the rows of the ledger in which the settings of a run differ from the paper's."""
    table = ledger(notebook, parameters)
    differs = table["here"].astype(str) != table["paper profile"].astype(str)
    return table[differs & ~table["parameter"].isin(WAYS)].reset_index(drop=True)


def full_ledger(records: list[dict], profile: str = "quick") -> pd.DataFrame:
    """Return the ledgers of all notebooks, one below the other, with a first column ``notebook``.

    *Here* is what the notebook's last record was made with, or the profile's file where it has none.
    """
    made = {record["notebook"]: record["parameters"] for record in records}
    tables = []
    for path in sorted(runs.parameters_file("x").parent.glob("*.yaml")):
        file = annotated_parameters(runs.parameters_file(path.stem, profile)).set_index("parameter")["value"]
        here = file.to_dict() | made.get(path.stem, {})
        tables.append(ledger(path.stem, here).assign(notebook=path.stem[:2]))
    return pd.concat(tables)[["notebook", "parameter", "here", "paper profile", "source"]].reset_index(drop=True)


FIXED = (
    ("03", "CNN", "3 × 3 convolutions of 16, 32, 32, 64, 64, 96, 96, 96, each with BatchNorm; global maximum",
     "not stated; ours: the smallest that learned the phantom, see the departures in CONTRIBUTING.md"),
    ("03, 04", "light augmentation", "mirrored, ± 8°, ± 8 % zoom, ± 4 % shift", "amounts not stated; ours"),
    ("03, 04", "strong augmentation", "mirrored, ± 25°, ± 20 % zoom, ± 10 % shift, ± 20 % contrast",
     "amounts not stated; ours"),
    ("04", "CNN", "3 × 3 convolutions of 16, 32, 64, 64; dense 128", "depth and widths not stated; ours"),
    ("03, 04, 05", "rate after a plateau", "× 0.5", "factor not stated; ours"),
    ("03, 04, 05", "a better epoch", "validation loss lower by more than 0.0", "not stated; ours: one rule for all"),
    ("03, 04, 05", "kept weights", "of the epoch of lowest validation loss", "ModelCheckpoint on the best, as in 05"),
    ("all", "intervals", "1000 bootstrap resamples, Wilson for proportions", "the paper gives none; ours"),
)  # fmt: skip
"""Choices that are no parameters: notebooks, choice, value, source. They stand in the code; a test compares."""


def fixed_choices() -> pd.DataFrame:
    """Return :data:`FIXED` as a table."""
    return pd.DataFrame(FIXED, columns=["notebook", "choice", "here and in the paper profile", "source"])


def run_table(records: list[dict], cohort: Cohort) -> pd.DataFrame:
    """List run records: notebook, run, cohort (this one or another), minutes, memory, commit."""
    rows = []
    for record in records:
        same = record["cohort"]["fingerprint"] == cohort.fingerprint
        commit = (record["git"]["commit"] or "unknown")[:7] + ("+" if record["git"]["dirty"] else "")
        minutes, memory = round(record["wall_s"] / 60, 1), round(record["peak_memory_mib"] / 1024, 1)
        rows.append((record["notebook"], record["run_id"], "this" if same else "another", minutes, memory, commit))
    return pd.DataFrame(rows, columns=["notebook", "run", "cohort", "minutes", "memory, GiB", "commit"])


# Runs that differ in these alone are runs of one experiment.
_VARIED = {"seed", "models", "reuse", "profile"}


def usable(records: list[dict], cohort: Cohort) -> tuple[list[dict], list[str]]:
    """Keep the records of one cohort and, of each training notebook, of the settings it was run with last.

    Settings are all parameters but the seed and the models, so that a batch over models and seeds stays together and
    nothing else is mixed into it.

    Args:
        records: of one profile, oldest first.
        cohort: the data they must have been made with.

    Returns:
        The records kept, and one sentence for each notebook whose older settings were left out.

    Raises:
        UserError: none of the training notebooks has a record of the cohort.
    """
    here = [record for record in records if record["cohort"]["fingerprint"] == cohort.fingerprint]
    trained = sorted({record["notebook"] for record in here} & set(TABLE_NOTEBOOKS.values()))
    if not trained:
        raise UserError(
            f"No run record of this cohort yet ({len(records)} of others). Run at least one of "
            f"{', '.join(TABLE_NOTEBOOKS.values())} first, or all of them by `make reproduce`."
        )
    last = {record["notebook"]: _settings(record) for record in here}
    kept = [r for r in here if r["notebook"] not in trained or _settings(r) == last[r["notebook"]]]
    notes = []
    for name in trained:
        others = sum(r["notebook"] == name for r in here) - sum(r["notebook"] == name for r in kept)
        if others:
            notes.append(f"{name}: {others} records of other settings are left out; those of the last run's are shown.")
    return kept, notes


def _settings(record: dict) -> dict:
    return {name: value for name, value in record["parameters"].items() if name not in _VARIED}


def beside(results: pd.DataFrame, table: str) -> Styler:
    """Return one of the paper's tables as text: the paper's value, ours with its interval, n, seeds and baseline."""
    rows = []
    for row in results[results["table"] == table].itertuples():
        ran = not np.isnan(row.ours)
        interval = f" ({row.low:.2f}–{row.high:.2f})" if ran and not np.isnan(row.low) else ""
        ours = f"{row.ours:.2f}{interval}" if ran else "not run"
        rest = (int(row.n), row.seeds, f"{row.baseline:.2f}") if ran else ("", 0, "")
        rows.append((row.model, row.metric, f"{row.paper:.4f}".rstrip("0"), ours, *rest))
    out = pd.DataFrame(rows, columns=["model", "metric", "paper", "here", "n", "seeds", "baseline here"])
    return out.style.hide(axis="index").set_caption(f"here: {CONVENTIONS[table]}")


def scores_of(scores: pd.DataFrame, notebook: str, part: str, metrics: list[str]) -> pd.DataFrame:
    """Return some scores of one notebook's runs with interval, n and baseline, one row a model, metric and seed."""
    rows = scores.query("notebook == @notebook and part == @part and metric in @metrics")
    return rows[["model", "seed", "metric", "value", "low", "high", "n", "baseline"]].round(3).reset_index(drop=True)

"""The paper's tables beside ours, and the ledger of every setting behind them."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pandas.io.formats.style import Styler

from stroke_utils import compare, forensics, metrics, outputs, runs
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError
from stroke_utils.masks import read_class_mask
from stroke_utils.outputs import TABLE_NOTEBOOKS
from stroke_utils.vocabulary import MASK_CLASSES, PAPER_TABLES

# Part and average that the printed digits fit (notebook 7): macro averages of session 1 in Table I, save one row;
# scores of one class, the hemorrhages of a stratified fifth, in Table II.
_COUNTERPARTS = {"I": ("session1", "macro"), "II": ("validation", "positive"), "III": ("validation", "soft")}
_OTHERWISE = {("I", "mobilenetv2"): "weighted"}
CONVENTIONS = {
    "I": "{average} average over stroke and none, session 1, threshold chosen on validation",
    "II": "hemorrhage as the {average} class, validation, threshold 0.5",
    "III": "{average}, whole batch, background included, validation; the paper's 0.6554 is its training F1, its "
    "validation peaked at 0.6503",
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


def latest(scores: pd.DataFrame) -> pd.DataFrame:
    """Keep, of the scores of several runs with one notebook, model and seed, those of the run that finished last.

    Give it the records of :func:`usable` only, which were all made with one set of settings.
    """
    last = scores.groupby(["notebook", "model", "seed"])["run_id"].transform("last")
    return scores[scores["run_id"] == last]


def per_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Find our scores with a counterpart in the paper's Tables I to III.

    Args:
        scores: table of :func:`stroke_utils.runs.scores`, oldest run first.

    Returns:
        The matching rows of ``scores``, one per published number and seed, with table, score (its name in the paper),
        paper and convention. A published number without a run has one row, with nan for what is ours.
    """
    scores, rows = latest(scores), []
    for table, models in PAPER_TABLES.items():
        for model, published in models.items():
            part, usual = _COUNTERPARTS[table]
            average = _OTHERWISE.get((table, model), usual)
            for name, value in published.items():
                wanted = dict(notebook=TABLE_NOTEBOOKS[table], model=model, part=part, metric=f"{average}_{name}")
                found = scores[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1)]
                about = {"table": table, "score": name, "paper": value, **wanted}
                convention = CONVENTIONS[table].format(average=average)
                rows += [{**row, **about, "convention": convention} for row in found.to_dict("records") or [{}]]
    names = ["table", "model", "score", "paper", "value", "low", "high", "n", "baseline", "unit", "convention"]
    return pd.DataFrame(rows).reindex(columns=[*names, "notebook", "run_id", "seed", "part", "metric"])


def as_printed(table: str, scores: dict[str, dict]) -> pd.DataFrame:
    """Set the scores of one run beside the paper's Table I or II, in percent, each row by the average its digits fit.

    Args:
        table: ``I`` or ``II``.
        scores: score dictionaries by model, part and metric, as a run record holds them.
    """
    part, usual = _COUNTERPARTS[table]
    rows = {}
    for model in PAPER_TABLES[table] | scores:
        average = _OTHERWISE.get((table, model), usual)
        paper, here = PAPER_TABLES[table].get(model, {}), scores.get(model, {}).get(part, {})
        here = {name: here.get(f"{average}_{name}", {}).get("value", np.nan) for name in ("precision", "recall", "f1")}
        rows[model] = {f"{who} {n}": 100 * v for who, row in (("paper", paper), ("here", here)) for n, v in row.items()}
        rows[model]["average"] = average
    return pd.DataFrame.from_dict(rows, orient="index").round(2)


def results(seeds: pd.DataFrame, records: list[dict], cohort: Cohort) -> pd.DataFrame:
    """Set our scores beside the paper's, one row per published number, and judge.

    Args:
        seeds: table of :func:`per_seed`.
        records: the run records behind it; their settings decide whether a comparison means anything.
        cohort: the data behind it.

    Returns:
        The columns of ``seeds``, of the median seed (of an even number the lower middle one), with ``ours`` for
        ``value``; then lowest and highest (of a seed), seeds (how many) and verdict. By notebook, run_id, part and
        metric :func:`stroke_utils.outputs.trace` finds where the median comes from.
    """
    departed = {r["notebook"]: departures(r["notebook"], r["parameters"])["parameter"].tolist() for r in records}
    rows = []
    for _, found in seeds.groupby(["table", "model", "score"], sort=False):
        row = _middle(found)
        rows.append(row | {"verdict": verdict(row, departed.get(row["notebook"], []), cohort)})
    return pd.DataFrame(rows).rename(columns={"value": "ours"})


def verdict(row: dict, departed: list[str], cohort: Cohort) -> str:
    """Say whether a published number lies inside our interval, or why that means nothing.

    Args:
        row: paper, low, high and seeds of a row of :func:`results`.
        departed: parameters of our runs that differ from the paper's.
        cohort: the data of our runs.
    """
    departed = [name for name in departed if name != "models"]
    if not row["seeds"]:
        return "not run"
    if cohort.origin.get("phantom"):
        return "not comparable: phantom data"
    if departed:
        return f"not comparable: not the paper's {', '.join(departed[:3])}" + ", …" * (len(departed) > 3)
    if np.isnan(row["low"]):
        return "not comparable: no interval by this convention"
    return "inside the interval" if row["low"] <= row["paper"] <= row["high"] else "outside"


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


WAYS = {"profile", "data_dir", "phantom_size", "seed", "reuse", "experiment_seeds"}
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
    ("03", "augmentation experiment", "the first detector, two thirds of the size, a fifth of the epochs",
     "model, amounts and length not stated; ours: what is affordable"),
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
_VARIED = {"seed", "models", "reuse", "profile", "experiment_seeds"}


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
    """Return one of the paper's tables as text: the paper's value, ours with its interval, what stands behind it."""
    rows = []
    for row in results[results["table"] == table].itertuples():
        interval = f" ({row.low:.2f}–{row.high:.2f})" if not np.isnan(row.low) else ""
        spread = f"{row.lowest:.2f}–{row.highest:.2f} of {row.seeds}" if row.seeds > 1 else f"{row.seeds}"
        ours = (
            (f"{row.ours:.2f}{interval}", spread, int(row.n), f"{row.baseline:.2f}") if row.seeds else ("", "", "", "")
        )
        rows.append((row.model, row.score, f"{row.paper:.4f}".rstrip("0"), *ours, row.verdict))
    columns = ["model", "score", "paper", "here", "seeds", "n", "baseline here", "verdict"]
    said = results.loc[results["table"] == table].groupby("convention", sort=False)["model"].unique().map(", ".join)
    caption = "; ".join(f"{who}: {how}" if len(said) > 1 else how for how, who in said.items())
    return pd.DataFrame(rows, columns=columns).style.hide(axis="index").set_caption(f"here: {caption}")


def scores_of(scores: pd.DataFrame, notebook: str, part: str, metrics: list[str]) -> pd.DataFrame:
    """Return some scores of one notebook's runs, one row a model and metric.

    Returns:
        model, metric, value, low, high (of the median seed, as in :func:`results`), lowest and highest (of a seed),
        seeds, n, baseline, and :data:`stroke_utils.outputs.SOURCE`, of the median seed.
    """
    rows = latest(scores).query("notebook == @notebook and part == @part and metric in @metrics")
    rows = [_middle(found) for _, found in rows.groupby(["model", "metric"], sort=False)]
    names = ["model", "metric", "value", "low", "high", "lowest", "highest", "seeds", "n", "baseline"]
    return pd.DataFrame(rows, columns=[*names, *outputs.SOURCE])


def _middle(found: pd.DataFrame) -> dict:
    """Return the row of the seed in the middle, of an even number the lower middle one, with the spread of all."""
    values = found["value"].dropna()
    row = found.sort_values("value").iloc[max(0, (len(values) - 1) // 2)].to_dict()
    return row | {"lowest": values.min(), "highest": values.max(), "seeds": len(values)}


def optimism(scores: pd.DataFrame, metric: str = "macro_f1") -> pd.DataFrame:
    """Tell what choosing detection's threshold on the test itself adds to the test's score.

    Returns:
        One row a model and seed with a part ``session1_on_test``: notebook, run_id, model, seed, on_validation,
        on_test, optimism.
    """
    found = latest(scores).query(f"notebook == '{TABLE_NOTEBOOKS['I']}' and metric == @metric")
    wide = found.pivot(index=["notebook", "run_id", "model", "seed"], columns="part", values="value")
    wide = wide.reindex(columns=["session1", "session1_on_test"]).set_axis(["on_validation", "on_test"], axis=1)
    return wide.assign(optimism=wide["on_test"] - wide["on_validation"]).dropna().reset_index()


def paper_matrix(table: str, model: str) -> np.ndarray:
    """Return the confusion matrix behind a row of the paper's Table I or II (notebook 7), truth by prediction."""
    sizes, average = {"I": ((70, 130), "macro"), "II": ((219, 226), "positive")}[table]
    row = forensics.solve(PAPER_TABLES[table][model], [sizes], [_OTHERWISE.get((table, model), average)]).iloc[0]
    return np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])


def matrices(tested: dict[str, dict], run: tuple[str, int], table: str, model: str) -> dict[str, np.ndarray]:
    """Return the confusion matrices of a figure by title: ours, where there is one, and the paper's.

    Args:
        tested: predictions of :func:`stroke_utils.outputs.tables`.
        run: of :func:`stroke_utils.outputs.shown_run`.
        table, model: the row of the paper.
    """
    ours = outputs.of(tested, run)
    here = {f"here: {run[0]}, seed {run[1]}": metrics.confusion(ours["truth"], ours["called"])} if len(ours) else {}
    return here | {f"the paper: {model}": paper_matrix(table, model)}


def paired(made: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Compare the models of each training notebook in pairs, on its test pile, by :func:`stroke_utils.compare.pairs`.

    Args:
        made: of :func:`stroke_utils.outputs.listed`.
        cohort: tells the patients.
    """
    patients, found = cohort.slices.set_index("slice_id")["patient"], []
    for table, notebook in TABLE_NOTEBOOKS.items():
        tested = outputs.tables(made, notebook, "predictions.csv", "test")
        for measure in ("lesion Dice",) if table == "III" else ("calls right", "AUC"):
            found.append(compare.pairs(tested, measure, patients).assign(notebook=notebook))
    return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)


def segmented(made: pd.DataFrame, run: tuple[str, int], cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame, Path]:
    """Find what a figure of predicted masks needs: slices of session 2 that have a true and a predicted mask.

    Args:
        made: of :func:`stroke_utils.outputs.listed`.
        run: of :func:`stroke_utils.outputs.shown_run`.
        cohort: of the slices.

    Returns:
        The slices, their scores, and the folder of the predicted masks; no rows where there is no run.
    """
    here = (made["notebook"] == TABLE_NOTEBOOKS["III"]) & (made["model"] == run[0]) & (made["seed"] == run[1])
    folder = next(iter(made.loc[here, "folder"]), Path()) / "masks"
    scores = outputs.of(outputs.tables(made[here], TABLE_NOTEBOOKS["III"], "predictions.csv", "test"), run)
    slices = cohort.slices[cohort.slices["slice_id"].isin(scores["slice_id"])].dropna(subset=["mask"])
    slices = slices[slices["slice_id"].map(lambda name: (folder / f"{name}.png").is_file()).astype(bool)]
    return slices, scores[scores["slice_id"].isin(slices["slice_id"])], folder


def shown_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of :func:`paired` as text, one row each."""
    rows = []
    for row in pairs.itertuples():
        seeds = f"{row.lowest:+.3f} to {row.highest:+.3f} of {row.seeds}" if row.seeds > 1 else f"{row.seeds}"
        p = ["" if v != v else f"{v:.3f}" if v >= 0.0005 else "< 0.001" for v in (row.p_holm, row.p_bootstrap_holm)]
        interval = f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
        rows.append((row.notebook[:2], row.a, row.b, row.measure, interval, seeds, row.n, row.unit, row.test, *p))
    names = ["notebook", "a", "b", "measure", "difference", "seeds", "n", "unit", "test", "p (Holm)"]
    return pd.DataFrame(rows, columns=[*names, "bootstrap p (Holm)"])


def counts(matrices: dict[str, np.ndarray], names: tuple[str, str]) -> pd.DataFrame:
    """Return confusion matrices as one table: matrix, truth, called, slices."""
    rows = [(title, names[t], names[c], int(m[t, c])) for title, m in matrices.items() for t in (0, 1) for c in (0, 1)]
    return pd.DataFrame(rows, columns=["matrix", "truth", "called", "slices"])

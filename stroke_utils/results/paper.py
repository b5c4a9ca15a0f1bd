"""The paper's tables beside ours."""

import numpy as np
import pandas as pd

from stroke_utils.base.vocabulary import PAPER_TABLES, model_title
from stroke_utils.data.cohort import Cohort, DataSet
from stroke_utils.evaluate import compare, forensics, metrics
from stroke_utils.results import outputs, runs
from stroke_utils.results.ledger import departures
from stroke_utils.results.outputs import TABLE_NOTEBOOKS
from stroke_utils.results.select import latest

# Part and average that the printed digits fit (notebook 7): macro averages of session 1 in Table I, save one row;
# scores of one class, the hemorrhages of a stratified fifth, in Table II.
_COUNTERPARTS = {"I": ("session1", "macro"), "II": ("validation", "positive"), "III": ("validation", "soft")}

_OTHERWISE = {("I", "mobilenetv2"): "weighted"}

_POSITIVE = {"I": "stroke", "II": "hemorrhage"}
"""Class 1 of the tables whose scores have two classes."""

HOW_COMPUTED = {
    "I": "{average} average over stroke and none, session 1, threshold chosen on validation",
    "II": "hemorrhage as the {average} class, validation, threshold 0.5",
    "III": "{average}, whole batch, background included, validation; the paper's 0.6554 is its training F1, its "
    "validation peaked at 0.6503",
}
"""How our numbers of each table are computed; the paper does not say how it averages in Tables I and II."""


def per_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Find our scores with a counterpart in the paper's Tables I to III.

    Args:
        scores: table of :func:`stroke_utils.results.runs.scores`, oldest run first.

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
                convention = HOW_COMPUTED[table].format(average=average)
                rows += [{**row, **about, "convention": convention} for row in found.to_dict("records") or [{}]]
    names = ["table", "model", "start", "score", "paper", "value", "low", "high", "n", "baseline", *metrics.ANSWERS]
    names += ["unit", "convention", "notebook", "run_id", "seed", "part", "metric"]
    return pd.DataFrame(rows).reindex(columns=names)


def as_printed(table: str, scores: dict[str, dict]) -> pd.DataFrame:
    """Set the scores of one run beside the paper's Table I or II, in percent, each row by the average its digits fit.

    The last rows are the two trivial answers, by the table's usual average.

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
        title = model_title(model, table)
        rows[title] = {f"{who} {n}": 100 * v for who, row in (("paper", paper), ("here", here)) for n, v in row.items()}
        rows[title]["average"] = average
    first = next((found[part] for found in scores.values() if part in found), {"auc": {}})
    for answer in (answer for answer in metrics.ANSWERS if answer in first["auc"]):
        here = {f"here {name}": 100 * first[f"{usual}_{name}"][answer] for name in ("precision", "recall", "f1")}
        rows[f"{answer} {_POSITIVE[table]}"] = here | {"average": usual}
    return pd.DataFrame.from_dict(rows, orient="index").round(2)


def results(seeds: pd.DataFrame, records: list[dict], cohort: Cohort | DataSet) -> pd.DataFrame:
    """Set our scores beside the paper's, one row per published number, and judge.

    Args:
        seeds: table of :func:`per_seed`.
        records: the run records behind it; their settings decide whether a comparison means anything.
        cohort: the data behind it.

    Returns:
        The columns of ``seeds``, of the median seed (of an even number the lower middle one), with ``ours`` for
        ``value``; then lowest and highest (of a seed), seeds (how many) and verdict. By notebook, run_id, part and
        metric :func:`stroke_utils.results.outputs.trace` finds where the median comes from.
    """
    departed = {r["notebook"]: departures(r["notebook"], r["parameters"])["parameter"].tolist() for r in records}
    rows, run = [], {(r["notebook"], model) for r in records for model in r["metrics"]}
    for _, found in seeds.groupby(["table", "model", "score"], sort=False):
        row = runs.middle_seed(found)
        said = verdict(row, departed.get(row["notebook"], []), cohort)
        if not row["seeds"] and (row["notebook"], row["model"]) in run:
            said = f"no test: these data have no {row['part'].replace('session', 'session ')}"
        rows.append(row | {"verdict": said})
    return pd.DataFrame(rows).rename(columns={"value": "ours"})


def verdict(row: dict, departed: list[str], cohort: Cohort | DataSet) -> str:
    """Say whether a published number is inside our interval, or why that means nothing.

    Args:
        row: paper, low, high and seeds of a row of :func:`results`.
        departed: parameters of our runs that differ from the paper's.
        cohort: the data of our runs.
    """
    if not row["seeds"]:
        return "not run"
    if cohort.origin.get("phantom"):
        return "not comparable: phantom data"
    if departed:
        more = ", …" if len(departed) > 3 else ""
        return f"not comparable: not the paper's {', '.join(departed[:3])}{more}"
    if np.isnan(row["low"]):
        return "not comparable: no interval by this convention"
    return "inside the interval" if row["low"] <= row["paper"] <= row["high"] else "outside"


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
    """Return the confusion matrices of a figure by title: ours, where there is one, and last the paper's.

    Args:
        tested: predictions of :func:`stroke_utils.results.outputs.read_tables`.
        run: of :func:`stroke_utils.results.outputs.shown_run`.
        table, model: the row of the paper.
    """
    ours = outputs.table_of_run(tested, run)
    title = f"here: {model_title(run[0], table)}, seed {run[1]}"
    here = {title: metrics.confusion(ours["truth"], ours["predicted"])} if len(ours) else {}
    return here | {f"the paper: {model_title(model, table)}": paper_matrix(table, model)}


def paired(made: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Compare the models of each training notebook in pairs, on its test split, and correct for their number.

    Args:
        made: of :func:`stroke_utils.results.outputs.inventory`.
        cohort: tells the patients.
    """
    patients, found = cohort.slices.set_index("slice_id")["patient"], []
    for table, notebook in TABLE_NOTEBOOKS.items():
        tested = outputs.read_tables(made, notebook, "predictions.csv", "test")
        for measure in ("lesion Dice",) if table == "III" else ("accuracy", "AUC"):
            found.append(compare.pairs(tested, measure, patients).assign(notebook=notebook))
    return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)

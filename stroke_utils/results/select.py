"""Which of many run records count, and which of their scores are shown."""

from pathlib import Path

import pandas as pd

from stroke_utils.base import paths
from stroke_utils.base.errors import UserError
from stroke_utils.data.cohort import Cohort, DataSet
from stroke_utils.evaluate.metrics import cluster_codes
from stroke_utils.results import outputs, runs
from stroke_utils.results.outputs import TABLE_NOTEBOOKS
from stroke_utils.results.parameters import role


def with_patients(rows: pd.DataFrame, slices: pd.DataFrame) -> pd.DataFrame:
    """Give rows, by their ``slice_id``, the column ``patient`` of a table of slices, missing where unknown."""
    patients = slices.set_index("slice_id").reindex(columns=["patient"])["patient"]
    return rows.assign(patient=rows["slice_id"].map(patients))


def one_a_head(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the first row of each ``patient``, for slices of one head look alike; rows of an unknown one all stay."""
    codes = cluster_codes(len(rows), rows["patient"].to_numpy(dtype=object))
    return rows[~pd.Series(codes, rows.index).duplicated()]


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

    Give it the records of :func:`comparable_records` only, which were all made with one set of settings.
    """
    last = scores.groupby(["notebook", "model", "seed"])["run_id"].transform("last")
    return scores[scores["run_id"] == last]


def comparable_records(records: list[dict], cohort: Cohort | DataSet) -> tuple[list[dict], list[str]]:
    """Keep the records of one cohort and, of each training notebook, of the settings it was run with last.

    Settings are the parameters that say how something is computed, so that a batch over models and seeds stays together
    and nothing else is mixed into it.

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


def finished(profile: str, notebook: str, cohort: Cohort | DataSet, seed: int) -> pd.DataFrame:
    """Find the networks that finished runs of one training notebook left: of each model the newest.

    Args:
        profile: whose runs.
        notebook: stem of a training notebook.
        cohort: the data they must have been made with.
        seed: of the runs; where a model has none of it, that of its lowest seed.

    Returns:
        One row a model, of :func:`stroke_utils.results.outputs.inventory` and with nothing missing; ``size`` is the
        side in pixels of the images that the network takes.

    Raises:
        UserError: there is none.
    """
    records = runs.read_records(profile, notebook)[0]
    here = [record for record in records if record["cohort"]["fingerprint"] == cohort.fingerprint]
    made = outputs.inventory(comparable_records(here, cohort)[0] if here else [])
    made = made[(made["notebook"] == notebook) & (made["missing"] == "")]
    made = made[made["folder"].map(lambda folder: (folder / "best.weights.h5").is_file()).astype(bool)]
    if made.empty:
        others = f" ({len(records)} of other data)" if records else ""
        raise UserError(
            f"There is no finished run of {notebook} on these data under {paths.shown(paths.results_root() / profile)}"
            f"{others}. Run that notebook first, then this one again; `make beyond` does both."
        )
    sizes = {record["run_id"]: record["parameters"]["size"] for record in here}
    made = made.assign(size=made["run_id"].map(sizes), other=made["seed"] != seed)
    return made.sort_values(["other", "seed"]).groupby("model").head(1).sort_index().drop(columns="other")


def answers(made: pd.DataFrame, cohort: Cohort) -> dict[str, pd.DataFrame]:
    """Read the predictions of finished classifiers, with what the table of slices says of each slice.

    Args:
        made: of :func:`finished`.
        cohort: of the slices.

    Returns:
        By model: columns of ``predictions.csv`` and of the table of slices, one row a slice; a slice that is not there
        any more is left out.
    """
    found = {row.model: outputs.read_table(row.folder, "predictions.csv") for row in made.itertuples()}
    return {model: table.merge(cohort.slices, on="slice_id") for model, table in found.items()}


def _settings(record: dict) -> dict:
    return {name: value for name, value in record["parameters"].items() if role(name) == "identifies"}


def scores_of(scores: pd.DataFrame, notebook: str, part: str, metrics: list[str]) -> pd.DataFrame:
    """Return some scores of one notebook's runs, one row a model and metric.

    Returns:
        model, metric, value, low, high (of the median seed, as in :func:`stroke_utils.results.paper.results`), lowest
        and highest (of a seed), seeds, n, baseline, and :data:`stroke_utils.results.outputs.SOURCE`, of the median
        seed.
    """
    rows = latest(scores).query("notebook == @notebook and part == @part and metric in @metrics")
    rows = [runs.middle_seed(found) for _, found in rows.groupby(["model", "metric"], sort=False)]
    names = ["model", "metric", "value", "low", "high", "lowest", "highest", "seeds", "n", "baseline"]
    return pd.DataFrame(rows, columns=[*names, *outputs.SOURCE])


def segmented(made: pd.DataFrame, run: tuple[str, int], cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame, Path]:
    """Find what a figure of predicted masks needs: slices of session 2 that have a true and a predicted mask.

    Args:
        made: of :func:`stroke_utils.results.outputs.inventory`.
        run: of :func:`stroke_utils.results.outputs.shown_run`.
        cohort: of the slices.

    Returns:
        The slices, their scores, and the folder of the predicted masks; no rows where there is no run.
    """
    here = (made["notebook"] == TABLE_NOTEBOOKS["III"]) & (made["model"] == run[0]) & (made["seed"] == run[1])
    folder = next(iter(made.loc[here, "folder"]), Path()) / "masks"
    tested = outputs.read_tables(made[here], TABLE_NOTEBOOKS["III"], "predictions.csv", "test")
    scores = outputs.table_of_run(tested, run)
    slices = cohort.slices[cohort.slices["slice_id"].isin(scores["slice_id"])].dropna(subset=["mask"])
    slices = slices[slices["slice_id"].map(lambda name: (folder / f"{name}.png").is_file()).astype(bool)]
    return slices, scores[scores["slice_id"].isin(slices["slice_id"])], folder

"""What runs left on disk beside their records, which of it a figure shows, and where a number comes from."""

import contextlib
import functools
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import files, paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import PAPER_TABLES
from stroke_utils.results import runs

TABLE_NOTEBOOKS = {task.table: notebook for notebook, task in runs.TASKS.items()}
"""The notebook whose runs answer each of the paper's tables."""


def run_folder(record: dict) -> Path:
    """Return the folder of a run record."""
    return paths.results_root() / record["profile"] / record["notebook"] / record["run_id"]


# Columns of each table; predictions are of a classifier or of a segmentation.
_REQUIRED = {
    "history.csv": [{"epoch", "loss", "val_loss"}],
    "predictions.csv": [{"slice_id", "split", "truth", "predicted"}, {"slice_id", "split", "lesion_dice"}],
}


def inventory(records: list[dict]) -> pd.DataFrame:
    """List what the last run of each training notebook, model and seed left on disk, and which runs of the paper lack.

    Returns:
        notebook, model, seed, run_id, folder (of the model), missing: files that are not there or can't be read, or
        ``no run``. Models of the paper without a run have a row without seed, run_id and folder.
    """
    rows = {}
    for record in records:
        for model in record["parameters"]["models"] if record["notebook"] in TABLE_NOTEBOOKS.values() else ():
            folder = run_folder(record) / model
            missing = [name for name in _REQUIRED if read_table(folder, name) is None]
            missing += ["masks"] if record["notebook"].startswith("05") and not any(folder.glob("masks/*.png")) else []
            key = record["notebook"], model, record["seed"]
            rows[key] = (*key, record["run_id"], folder, ", ".join(missing))
    ran = {key[:2] for key in rows}
    rows = sorted(rows.values(), key=lambda row: row[:3])
    for table, notebook in TABLE_NOTEBOOKS.items():
        rows += [(notebook, m, None, None, None, "no run") for m in PAPER_TABLES[table] if (notebook, m) not in ran]
    out = pd.DataFrame(rows, columns=["notebook", "model", "seed", "run_id", "folder", "missing"])
    return out.astype({"seed": "Int64"})


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """Read a table that a run left, None where it is missing or no such table."""
    try:
        table = pd.read_csv(folder / name, dtype={"slice_id": str})
    except (OSError, ValueError):
        return None
    complete = any(columns <= set(table) for columns in _REQUIRED[name])
    return table if complete and len(table) else None


def read_tables(made: pd.DataFrame, notebook: str, name: str, split: str | None = None) -> dict[str, dict]:
    """Read one kind of table of all models and seeds of a notebook.

    Args:
        made: of :func:`inventory`.
        notebook: stem of a training notebook.
        name: ``history.csv`` or ``predictions.csv``.
        split: keep only the predictions of this split: ``test`` or ``validation``.

    Returns:
        Tables by model and seed; what is missing is not there.
    """
    found = {}
    for row in made[(made["notebook"] == notebook) & made["folder"].notna()].itertuples():
        table = read_table(row.folder, name)
        if table is not None and split:
            table = table[table["split"] == split].reset_index(drop=True)
        if table is not None and len(table):
            found.setdefault(row.model, {})[int(row.seed)] = table
    return found


def shown_run(made: pd.DataFrame, scores: pd.DataFrame, notebook: str, model: str | None = None) -> tuple[str, int]:
    """Choose the run that figures show: (model, seed), or ("", -1) where there is none.

    The model is the given one, else that of the highest median score on *validation*; the seed is the one in the middle
    of its model, never the best. The score is AUC, or lesion Dice.
    """
    rows = made[(made["notebook"] == notebook) & (made["missing"] == "")]
    metric = "lesion_dice" if notebook == TABLE_NOTEBOOKS["III"] else "auc"
    wanted = scores[(scores["part"] == "validation") & (scores["metric"] == metric)]
    found = wanted.merge(rows[["run_id", "model", "folder"]], on=["run_id", "model"])
    if model is None and len(found):
        model = found.groupby("model")["value"].median().idxmax()
    found = found[found["model"] == model]
    return (model, int(runs.middle_seed(found)["seed"])) if len(found) else ("", -1)


def table_of_run(tables: dict[str, dict], run: tuple[str, int]) -> pd.DataFrame:
    """Return the table of the shown run; one without rows, but with all columns, where there is none."""
    columns = ["slice_id", "split", "truth", "probability", "predicted", "outcome", "label", "lesion_dice"]
    return tables.get(run[0], {}).get(run[1], pd.DataFrame(columns=columns))


SOURCE = ["notebook", "run_id", "seed", "part"]
"""Columns that say which run and which part a score belongs to."""


def trace(row: pd.Series, made: pd.DataFrame) -> pd.DataFrame:
    """Say which records on disk a number of notebook 6 comes from, and read it there again.

    Args:
        row: a row of ``paper.results``, of ``paper.per_seed``, of ``runs.scores``, of ``compare.pairs`` with its
            ``notebook``, or of a figure's data: it names the notebook, one or two models, and may name run and metric.
        made: of :func:`inventory`.

    Returns:
        One row a record: run_id, record (path), where (the metric's path in the record, or the file beside it), value
        (in the record, nan for a file).

    Raises:
        UserError: there is no run behind the row, its record or file is gone, or the record says another number by now.
    """
    models = [row[name] for name in ("model", "a", "b") if name in row]
    found = made[(made["notebook"] == row["notebook"]) & made["model"].isin(models) & made["run_id"].notna()]
    found = found[found["run_id"] == row["run_id"]] if "run_id" in row else found
    if len(models) == 2:  # a pair is compared over the seeds that both models have
        both = found.groupby("seed")["model"].nunique()
        found = found[found["seed"].map(both) == 2]
    if found.empty:
        raise UserError(f"No run of {row['notebook']} with {', '.join(models)} stands behind this number: not run.")
    rows = []
    for run in found.itertuples():
        path, where, value = run.folder.parent / "record.json", f"{run.model}/predictions.csv", np.nan
        if not path.is_file():
            raise UserError(
                f"{paths.shown(path)} is gone, so this number has no source any more. Run notebook 6 again."
            )
        if "metric" not in row and not (run.folder / "predictions.csv").is_file():
            raise UserError(f"{paths.shown(run.folder / 'predictions.csv')} is gone. Run its notebook again.")
        if "metric" in row:
            where = f"metrics.{run.model}.{row['part']}.{row['metric']}"
            path = runs.scores_file(path.parent)
            value = functools.reduce(lambda node, key: node[key], where.split("."), files.read_json(path))["value"]
            if value != row.get("ours", row.get("value")):
                raise UserError(f"{paths.shown(path)} says {value} by now. Run notebook 6 again.")
        rows.append((run.run_id, paths.shown(path), where, value))
    return pd.DataFrame(rows, columns=["run_id", "record", "where", "value"])


def removed_runs(seeds: pd.DataFrame, figures: Path) -> list[str]:
    """Name the runs that stood behind the last execution's tables and no longer do.

    Args:
        seeds: table of ``paper.per_seed``.
        figures: folder of the last execution's ``table_*.csv``; it may be missing.
    """
    then = set()
    for path in figures.glob("table_*.csv"):
        with contextlib.suppress(ValueError, KeyError):  # of an older version, or cut short: it names no runs
            then |= set(pd.read_csv(path)["run_id"].dropna())
    lost = sorted(then - set(seeds["run_id"].dropna()))
    return [f"{run} was in the last tables and is not in these: its record was removed or replaced." for run in lost]

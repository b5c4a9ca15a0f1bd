"""The paper's tables beside ours, and the ledger of every setting behind them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from stroke_utils import runs
from stroke_utils.files import UserError
from stroke_utils.vocabulary import PAPER_TABLES

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
    "III": "soft, whole batch, background included, validation",
}
"""How our numbers of each table are computed; the paper does not state its own."""


def latest(scores: pd.DataFrame) -> pd.DataFrame:
    """Keep, of the scores of several runs with one notebook, model and seed, those of the run that finished last."""
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
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+):\s*(.*?)(?:\s+#\s*(.*))?", line)
        if not match:
            raise UserError(f"{path.name}, line {number}: expected 'key: value  # comment', found {line!r}.")
        key, value, comment = match.groups()
        rows.append((key, yaml.safe_load(value), comment or ""))
    return pd.DataFrame(rows, columns=["parameter", "value", "source"])


def ledger(notebook: str, profile: str = "quick") -> pd.DataFrame:
    """Return the assumptions ledger of one notebook: each setting here, in the paper's profile, and where it is from.

    Returns:
        Columns parameter, ``here``, ``paper profile``, source (a section of the paper, or that it is ours and why).
    """
    here = annotated_parameters(runs.parameters_file(notebook, profile)).set_index("parameter")["value"]
    paper = annotated_parameters(runs.parameters_file(notebook, "paper"))
    paper.insert(1, "here", paper["parameter"].map(here))
    return paper.rename(columns={"value": "paper profile"})


def departures(notebook: str, profile: str = "quick") -> pd.DataFrame:
    """Return the rows of the ledger in which a profile differs from the paper's."""
    table = ledger(notebook, profile)
    ways = {"profile", "data_dir", "phantom_size", "reuse"}  # where and how it runs, not what is computed
    differs = [str(a) != str(b) for a, b in zip(table["here"], table["paper profile"], strict=True)]
    return table[differs & ~table["parameter"].isin(ways)].reset_index(drop=True)

"""The assumptions ledger: every setting, here and in the paper, and where it is from."""

from pathlib import Path

import pandas as pd
import yaml

from stroke_utils.base.errors import UserError
from stroke_utils.results.parameters import TABLE, goes_beyond, parameters_file, params_folder, role, settings


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
    paper = annotated_parameters(parameters_file(notebook, "paper"))
    paper.insert(1, "here", [parameters.get(name, "") for name in paper["parameter"]])
    return paper.rename(columns={"value": "paper profile"})


def departures(notebook: str, parameters: dict) -> pd.DataFrame:
    """Return the rows of the ledger in which the recipe of a run differs from the paper's.

    Where and how often something runs, and what is shown, are no part of the recipe.
    """
    table = ledger(notebook, parameters)
    differs = table["here"].astype(str) != table["paper profile"].astype(str)
    return recipe(table[differs]).reset_index(drop=True)


def recipe(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of a ledger that say how something is computed: parameters that ``identifies`` is the role of."""
    return table[table["parameter"].map(role).eq("identifies")]


def full_ledger(records: list[dict], profile: str = "quick") -> pd.DataFrame:
    """Return the ledgers of the paper's notebooks, one below the other, with a first column ``notebook``.

    *Here* is what the notebook's last record was made with, or the profile's file where it has none.
    """
    made = {record["notebook"]: record["parameters"] for record in records}
    tables = []
    for path in sorted(params_folder("paper").glob("*.yaml")):
        if goes_beyond(path.stem):
            continue
        here = vars(settings(path.stem, profile)) | made.get(path.stem, {})
        tables.append(ledger(path.stem, here).assign(notebook=path.stem[:2]))
    return pd.concat(tables)[["notebook", "parameter", "here", "paper profile", "source"]].reset_index(drop=True)


def stated(table: pd.DataFrame) -> pd.DataFrame:
    """Count how much of the recipe the paper states.

    The kit's own knobs, which no paper could state, are left out. A choice that two notebooks make with one value from
    one source counts once, in the first.

    Args:
        table: of :func:`full_ledger`.

    Returns:
        One row a notebook and a last row ``all``; columns ``stated``, ``in part`` (the paper names it, and something
        is ours) and ``not stated``.
    """
    table = recipe(table)
    table = table[[not (name in TABLE and TABLE[name].kit) for name in table["parameter"]]]
    same = table.astype(str).duplicated(["parameter", "paper profile", "source"])
    kinds = table.loc[~same, "source"].map(_how_far).rename("in the paper")
    counts = pd.crosstab(table.loc[~same, "notebook"], kinds).reindex(columns=["stated", "in part", "not stated"])
    counts = counts.fillna(0).astype(int)
    return pd.concat([counts, counts.sum().to_frame("all").T.rename_axis("notebook")])


def _how_far(source: str) -> str:
    """Say from the source of a setting whether the paper states it."""
    if source.startswith("not stated"):
        return "not stated"
    return "in part" if "ours" in source or "not stated" in source else "stated"


FIXED = (
    ("03, 04", "validation", "0.2 of the training part; in 03 with equal shares of strokes", "phase 1 and 2: 80/20"),
    ("05", "validation", "0.1 of the training part", "segmentation: 90/10 split"),
    ("03", "threshold", "of those with a recall of at least 0.88 on validation, the one of highest precision",
     "threshold: recall of at least 88 %; ours: on validation, and the highest precision"),
    ("03, 04", "rate from random weights", "at least 0.001", "not stated; ours: Adam's usual rate"),
    ("03, 04", "rate from ImageNet weights on a cosine", "at least 0.001", "the paper has no cosine; see record 009"),
    ("03", "CNN", "3 × 3 convolutions of 16, 32, 32, 64, 64, 96, 96, 96, each with BatchNorm; global maximum",
     "not stated; ours: the smallest that learned the phantom, see docs/decisions/002"),
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

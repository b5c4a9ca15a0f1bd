"""Studies: one notebook with several seeds and everything that it can compare, and the table that comes of it.

``make study`` runs them. The table of the quick profile on the phantom is tracked, so that a reader has it without the
hours.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from stroke_utils.base import paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import VARIANTS
from stroke_utils.evaluate import together
from stroke_utils.results import runs

NOTEBOOK = "10_one_model"
ONE, THREE = "one network", "pipeline"
"""How the notebook calls the two ways to read a slice; also the names of their folders."""

SEEDS = (0, 1, 2)
"""Of a study where nobody gives others."""

READ = "read.csv"
"""The notebook's table of how slices were read, in the folder of each way."""


def table_path() -> Path:
    """Return where the tracked table is."""
    return paths.home() / "docs" / "studies" / "one_model.csv"


def stored() -> pd.DataFrame | None:
    """Return the tracked table of :func:`one_model`, None where no study was made."""
    return pd.read_csv(table_path()) if table_path().is_file() else None


def one_model(
    profile: str = "quick", seeds: tuple[int, ...] = SEEDS, counts: Callable[[dict], bool] = lambda record: True
) -> pd.DataFrame:
    """Compare one network with the pipeline, and its variants with it, over the seeds of a study.

    Args:
        profile: whose records are read.
        seeds: of the newest run of each of them that made all of ``vocabulary.VARIANTS``.
        counts: tells of a record whether it is of this study, and not of other data or settings.

    Returns:
        One row a comparison and measure, as :func:`stroke_utils.evaluate.together.compared` has them, with ``of`` and
        ``beside`` (what is compared) before ``a`` and ``b`` (their means); then one row for each cost: means, and
        ``ratio``, the mean of ``a / b`` over seeds, with its lowest and highest.

    Raises:
        UserError: a seed has no such run.
    """
    found, _ = runs.read_records(profile, NOTEBOOK)
    whole = (r for r in found if set(r["parameters"].get("variants", ())) == set(VARIANTS))
    newest = {r["seed"]: r for r in whole if counts(r)}
    if lacking := [seed for seed in seeds if seed not in newest]:
        raise UserError(
            f"No run of {NOTEBOOK} with all variants has seed {lacking[0]} in {paths.results_root() / profile}. "
            f"Run the study: make study PROFILE={profile}."
        )
    made = {seed: newest[seed] for seed in seeds}
    read = {name: {seed: _read(record, name) for seed, record in made.items()} for name in (ONE, THREE, *VARIANTS)}
    pairs = [(ONE, THREE), *((name, ONE) for name in VARIANTS)]
    rows = [together.compared(read[a], read[b]).assign(of=a, beside=b) for a, b in pairs]
    costs = [_cost(made, *pair, measure) for pair in pairs for measure in ("minutes", "milliseconds")]
    table = pd.concat([*rows, pd.DataFrame([row for row in costs if row])], ignore_index=True)
    first = ["of", "beside", "measure", "seeds", "n", "unit", "a", "b"]
    return table[[*first, *(name for name in table if name not in first)]]


def _read(record: dict, name: str) -> pd.DataFrame:
    folder = paths.results_root() / record["profile"] / NOTEBOOK / record["run_id"]
    texts = dict.fromkeys(("slice_id", "patient", "label", "answer"), str)
    return pd.read_csv(folder / name / READ, dtype=texts, keep_default_na=False, na_values=[""])


def _cost(made: dict[int, dict], a: str, b: str, measure: str) -> dict | None:
    """Compare what two ways cost; None where it was not measured of both."""
    costs = [record["metrics"]["cost"] for record in made.values()]
    if not all(measure in cost.get(name, {}) for cost in costs for name in (a, b)):
        return None
    pairs = pd.DataFrame([[cost[name][measure] for name in (a, b)] for cost in costs], columns=["a", "b"])
    ratio = pairs["a"] / pairs["b"]
    spread = {"ratio": ratio.mean(), "lowest": ratio.min(), "highest": ratio.max()}
    return {"of": a, "beside": b, "measure": measure, "seeds": len(made)} | pairs.mean().to_dict() | spread

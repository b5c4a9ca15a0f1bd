"""Studies: one notebook with several seeds and everything that it can compare, and the table that comes of it.

``make study`` runs notebook 10 with its variants, ``make recipes`` notebook 05 with each recipe. The tables of the
quick profile on the phantom are tracked, so that a reader has them without the hours. :data:`STUDIES` has both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stroke_utils.base import paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import RECIPES, TYPES, VARIANTS
from stroke_utils.evaluate import compare, together
from stroke_utils.results import parameters, runs

NOTEBOOK = "10_one_model"
ONE, THREE = "one network", "pipeline"
"""How the notebook calls the two ways to read a slice; also the names of their folders."""

UNET = "mask-alone"
"""The variant that is a plain U-Net: beside the pipeline it shows what a U-Net gets from healthy slices alone."""

SEEDS = (0, 1, 2)
"""Of a study where nobody gives others."""

READ = "read.csv"
"""The notebook's table of how slices were read, in the folder of each way."""

SEGMENTATION, ENCODER = "05_segmentation", "resnet50"
"""Notebook and network of the study of recipes."""

START = {"models": "mobilenetv2", "weights": "phantom", "pixels": "imagenet"}
"""The parameters of a network whose encoder has learned before: that of the one U-Net that has a start offline."""

WAYS = {
    **{recipe: {"recipe": recipe, "models": ENCODER} for recipe in RECIPES},
    **{f"{recipe}+start": {"recipe": recipe, **START} for recipe in ("paper", "strong")},
    "strong+start+time": {"recipe": "strong", **START, "epochs": "11"},
}
"""What the study trains, and the parameters of each: the recipes, and two of them with the other start.

The last has more epochs: in quick, which has 6, it takes about the minutes of the paper's recipe. Another profile needs
another number."""

RECIPE_RUNS = "recipes"
"""Folder under ``results/`` of the runs of that study: beside those of the profiles, whose tables it must not enter."""


def table_path(name: str = "one_model") -> Path:
    """Return where the tracked table of one of :data:`STUDIES` is."""
    return paths.home() / "docs" / "studies" / f"{name}.csv"


def stored(name: str = "one_model") -> pd.DataFrame | None:
    """Return the tracked table of one of :data:`STUDIES`, None where no study was made."""
    return pd.read_csv(table_path(name)) if table_path(name).is_file() else None


def one_model(
    profile: str = "quick", seeds: tuple[int, ...] = SEEDS, counts: Callable[[dict], bool] = lambda record: True
) -> pd.DataFrame:
    """Compare one network with the pipeline, its variants with it, and :data:`UNET` with the pipeline, over the seeds.

    Args:
        profile: whose records are read.
        seeds: of the newest run of each of them that made all of ``vocabulary.VARIANTS``.
        counts: tells of a record whether it is of this study, and not of other data or settings.

    Returns:
        One row a comparison and measure, as :func:`stroke_utils.evaluate.together.compared` has them, with ``of`` and
        ``beside`` (what is compared) before ``a`` and ``b`` (their means); then one row for each cost: means, and
        ``ratio``, the mean of ``a / b`` over seeds, with its lowest and highest.

    Raises:
        UserError: a seed has no such run, or the runs of two seeds differ in how something is computed, as in recipe.
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
    if differing := _differing([record["parameters"] for record in made.values()]):
        raise UserError(
            f"The newest runs of {NOTEBOOK} with all variants differ in more than the seed: {', '.join(differing)}. "
            f"Run the study: make study PROFILE={profile}."
        )
    read = {name: {seed: _read(record, name) for seed, record in made.items()} for name in (ONE, THREE, *VARIANTS)}
    pairs = [(ONE, THREE), *((name, ONE) for name in VARIANTS), (UNET, THREE)]
    rows = [together.compared(read[a], read[b]).assign(of=a, beside=b) for a, b in pairs]
    costs = [_cost(made, *pair, measure) for pair in pairs for measure in ("minutes", "milliseconds")]
    table = pd.concat([*rows, pd.DataFrame([row for row in costs if row])], ignore_index=True)
    first = ["of", "beside", "measure", "seeds", "n", "unit", "a", "b"]
    return table[[*first, *(name for name in table if name not in first)]]


def _differing(settings: list[dict]) -> list[str]:
    """Name the parameters that say how something is computed and are not the same in all settings."""
    names = dict.fromkeys(name for each in settings for name in each if parameters.role(name) == "identifies")
    return [name for name in names if len({str(each.get(name)) for each in settings}) > 1]


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


def recipes(
    profile: str = RECIPE_RUNS, seeds: tuple[int, ...] = SEEDS, counts: Callable[[dict], bool] = lambda record: True
) -> pd.DataFrame:
    """Compare each step beyond the paper's recipe, and all of them, with the paper's recipe.

    Plain answers stand beside plain ones; so ``choice`` is what flips, smallest lesion and vote give the paper's
    network, and ``strong`` all steps with that choice. All steps with the other start stand beside that start alone,
    too, so that one network is trained by both recipes. Session 2 is compared, or validation where there is none.

    Args:
        profile: folder of the runs under ``results/``.
        seeds: of the newest run of each of :data:`WAYS`.
        counts: tells of a record whether it is of this study, and not of other data or settings.

    Returns:
        One row a step and kind of slices: ``step``, ``beside`` (what it is compared with), ``slices`` (all, ischemia
        or hemorrhage), ``without`` and ``with`` (mean lesion Dice), ``validation`` (their difference on the slices of
        validation; nan where the two have other slices there; those of ``choice`` were chosen on these slices),
        ``minutes`` (of training, as a ratio, mean over seeds), and of
        :func:`stroke_utils.evaluate.compare.pairs` difference, low, high, lowest, highest, seeds, n and unit.

    Raises:
        UserError: a seed has no run of a recipe, or runs differ in more than the recipe.
    """
    found, _ = runs.read_records(profile, SEGMENTATION)
    newest = {(_way(record["parameters"]), record["seed"]): record for record in found if counts(record)}
    for seed in seeds:
        for way in WAYS:
            if (way, seed) not in newest:
                raise UserError(f"No run of the recipe {way!r} has seed {seed}. Run the study: make recipes.")
    made = [(way, newest[way, seed]["parameters"]) for seed in seeds for way in WAYS]
    names = set().union(*(had for _, had in made)) - {"recipe", "seed", "reuse", *START}  # which the study itself gives
    if any(len({str(had.get(name)) for way, had in made if name not in WAYS[way]}) > 1 for name in names):
        raise UserError(
            "The newest runs of the recipes differ in more than recipe and seed. Run the study: make recipes."
        )
    ways = {way: (way, "predictions_chosen" if way.startswith("strong") else "predictions") for way in WAYS}
    ways["choice"] = ("paper", "predictions_chosen")
    tables = {way: {s: _table(newest[of, s], name) for s in seeds} for way, (of, name) in ways.items()}
    seen = {way: {s: t[t["split"] == "validation"] for s, t in by.items()} for way, by in tables.items()}
    answers = {way: {s: _compared(t) for s, t in by.items()} for way, by in tables.items()}
    spent = {way: [_minutes(newest[way, seed]) for seed in seeds] for way in WAYS}
    rows = []
    for way, beside in [*((way, "paper") for way in ways if way != "paper"), ("strong+start", "paper+start")]:
        ratios = [a / b for a, b in zip(spent[ways[way][0]], spent[beside], strict=True)]
        alike = all(set(seen[way][s]["slice_id"]) == set(seen[beside][s]["slice_id"]) for s in seeds)
        for kind in ("all", *TYPES):
            both = {name: _of_kind(answers[name], kind) for name in (way, beside)}
            held = [_mean(_of_kind(seen[name], kind)) for name in (beside, way)]
            patients = both[beside][seeds[0]].set_index("slice_id")["patient"]
            means = [_mean(both[name]) for name in (beside, way)]
            about = {"step": way, "beside": beside, "slices": kind, "without": means[0], "with": means[1]}
            about["validation"] = held[1] - held[0] if alike else math.nan
            about["minutes"] = sum(ratios) / len(ratios)
            rows.append(about | compare.pairs(both, "lesion Dice", patients).iloc[0].to_dict())
    of = ["step", "beside", "slices", "without", "with", "validation", "minutes"]
    return pd.DataFrame(rows)[[*of, "difference", "low", "high", "lowest", "highest", "seeds", "n", "unit"]]


def _way(parameters: dict) -> str:
    """Return the way that a run was asked for: of those that fit, the one that asks for most; empty: none fits."""
    had = {name: ",".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in parameters.items()}
    fitting = [way for way, asked in WAYS.items() if had.items() >= asked.items()]
    return max(fitting, key=lambda way: len(WAYS[way]), default="")


def _mean(tables: dict[int, pd.DataFrame]) -> float:
    """Return the mean lesion Dice over all seeds' slices."""
    return pd.concat(tables.values())["lesion_dice"].mean()


def _of_kind(tables: dict[int, pd.DataFrame], kind: str) -> dict[int, pd.DataFrame]:
    """Return each seed's slices of a kind."""
    return {s: table if kind == "all" else table[table["label"] == kind] for s, table in tables.items()}


def _folder(record: dict) -> Path:
    run = paths.results_root() / record["profile"] / record["notebook"] / record["run_id"]
    return run / record["parameters"]["models"][0]


def _table(record: dict, name: str) -> pd.DataFrame:
    return pd.read_csv(_folder(record) / f"{name}.csv", dtype=dict.fromkeys(("slice_id", "patient", "label"), str))


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    test = table["split"] == "test"
    return table[test] if test.any() else table


def _minutes(record: dict) -> float:
    return pd.read_csv(_folder(record) / "history.csv")["seconds"].sum() / 60


@dataclass(frozen=True)
class Study:
    """What a study runs, and what it makes of it.

    Attributes:
        notebook: its stem; it has an executed copy for each seed and way.
        ways: the parameters that a copy is given, by the name of the way; an empty name: one copy has all of a seed.
        table: makes the table from the folder of the runs, the seeds, and what tells whether a record counts.
        runs: folder under ``results/`` of the runs; empty: the profile's.
    """

    notebook: str
    ways: dict[str, dict[str, str]]
    table: Callable[[str, tuple[int, ...], Callable[[dict], bool]], pd.DataFrame]
    runs: str = ""


STUDIES = {
    "one_model": Study(NOTEBOOK, {"": {"variants": ",".join(VARIANTS)}}, one_model),
    "recipes": Study(SEGMENTATION, WAYS, recipes, RECIPE_RUNS),
}
"""Every study, by the name of its table."""

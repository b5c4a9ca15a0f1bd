"""Whether a run learned what it should: the records of a profile against its bands of expected scores.

The bands stand in ``tests/expected/<profile>.json``, by notebook and by the path of a number in its run record. A band
has ``min``, ``max`` or both. With ``trivial``, the value of a model that has learned nothing, it also says that the
network learned; without, it only rejects what is broken. ``seeds`` are the values that it was made from
(``tests/expected/make_bands.py``). The tests and ``stroke-regions verify`` share these checks.
"""

import datetime
import math

import numpy as np
import pandas as pd

from stroke_utils.base import files, paths
from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import overlap
from stroke_utils.results import outputs, parameters, runs

SAME = 1e-6
"""Answers that differ by less than this over all slices are one answer: the network does not look at its input."""


def expected(profile: str) -> dict[str, dict[str, dict]]:
    """Read the bands of a profile, by notebook and path in its record.

    Raises:
        UserError: the profile has no bands.
    """
    path = paths.home() / "tests" / "expected" / f"{profile}.json"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.json"))) or "none"
        raise UserError(f"No scores are expected of profile {profile!r}: there is no {path}. Profiles with: {known}.")
    return files.read_json(path)


def verified(profile: str, since: float = 0.0) -> pd.DataFrame:
    """Check the newest records of a profile on the phantom, model by model.

    Args:
        profile: folder of ``params/``, and of the records under the results.
        since: seconds since the epoch; older records do not count.

    Returns:
        One row a check: notebook, metric, value, band, ok (``yes``, or what is wrong).

    Raises:
        UserError: the profile has no bands, or there is no record at all to check.
    """
    bands = expected(profile)
    records = {notebook: usable(profile, notebook, since) for notebook in bands}
    if not any(records.values()):
        raise UserError(
            f"There is nothing to check: {paths.results_root() / profile} has no record of a run on the phantom with "
            f"the settings of profile {profile}. Run the course first: make reproduce PROFILE={profile}."
        )
    rows = []
    for notebook, named in bands.items():
        for metric, band in named.items():
            value, fault = judged(records[notebook], metric, band)
            rows.append((notebook, metric.removeprefix("metrics."), value, in_words(band), fault or "yes"))
        for model in dict.fromkeys(metric.split(".")[1] for metric in named):
            fault = broken(records[notebook], model)
            rows.append((notebook, f"{model}: answers and losses", math.nan, "finite, not constant", fault or "yes"))
    return pd.DataFrame(rows, columns=["notebook", "metric", "value", "band", "ok"])


def usable(profile: str, notebook: str, since: float = 0.0) -> list[dict]:
    """Return a notebook's records on the phantom with the recipe of the profile, newest first; seeds may differ."""
    settings = vars(parameters.settings(notebook, profile))
    wanted = {k: v for k, v in settings.items() if parameters.role(k) == "identifies" or k == "phantom_size"}
    found = []
    for record in runs.read_records(profile, notebook)[0]:
        finished = datetime.datetime.fromisoformat(record["finished"]).timestamp()
        same = all(record["parameters"].get(name) == value for name, value in wanted.items())
        if record["cohort"]["origin"].get("phantom") and same and finished >= math.floor(since):
            found.insert(0, record)
    return found


def of_model(records: list[dict], model: str) -> dict | None:
    """Return the first record in which a model was trained, if any."""
    return next((record for record in records if model in record["metrics"]), None)


def at(record: dict, metric: str) -> object:
    """Return what stands at a dotted path of a record, such as ``metrics.cnn.validation.auc``.

    Raises:
        KeyError: the first key of the path that is not there.
    """
    node = record
    for key in metric.split("."):
        if not isinstance(node, dict) or key not in node:
            raise KeyError(key)
        node = node[key]
    return node


def judged(records: list[dict], metric: str, band: dict) -> tuple[float, str]:
    """Look a number up in the newest record that has its model; return it and what is wrong with it, if anything.

    Args:
        records: of :func:`usable`.
        metric: dotted path in the record, such as ``metrics.cnn.validation.auc``.
        band: what it must lie in.
    """
    model = metric.split(".")[1]
    record = of_model(records, model)
    if record is None:
        return math.nan, f"no record of {model}"
    try:
        node = at(record, metric)
    except KeyError as missing:
        return math.nan, f"no {missing.args[0]!r} in the record {record['run_id']}"
    value, baseline = (node["value"], node.get("baseline")) if isinstance(node, dict) else (node, None)
    if not finite(value):
        return math.nan, "not a finite number"
    if not inside(value, band):
        return value, "outside"
    if "trivial" in band and finite(baseline) and inside(baseline, band):
        return value, f"the trivial baseline {baseline:.3f} lies inside too"
    return value, ""


def broken(records: list[dict], model: str) -> str:
    """Say what shows that a network is broken, whatever it scored: no answers, or none that depend on the slice.

    The answers are those in the ``predictions.csv`` that the newest run with the model left, the losses those in its
    ``history.csv``.
    """
    record = of_model(records, model)
    if record is None:
        return f"no record of {model}"
    folder = outputs.run_folder(record) / model
    for name in ("history.csv", "predictions.csv"):
        if not (folder / name).is_file():
            return f"{name} is missing"
    return broken_tables(pd.read_csv(folder / "history.csv"), pd.read_csv(folder / "predictions.csv"))


def broken_tables(history: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Say what is wrong with a network's losses and answers, if anything.

    Args:
        history: columns ``loss`` and ``val_loss``, one row an epoch.
        predictions: column ``probability``, or a U-Net's sums of probabilities over each slice.
    """
    if history.empty or not np.isfinite(history[["loss", "val_loss"]].to_numpy(float)).all():
        return "a loss is not finite"
    sums = [name for name in overlap.SUMS if name.startswith("soft_predicted")]
    names = ["probability"] if "probability" in predictions else sums
    answers = predictions[names].to_numpy(float)
    if not len(answers) or not np.isfinite(answers).all():
        return "an answer is not finite"
    if (answers < 0).any() or ("probability" in predictions and (answers > 1).any()):
        return "an answer is no probability"
    if np.ptp(answers, axis=0).max() <= SAME * max(1.0, np.abs(answers).max()):
        return "the same answer for every slice"
    return ""


def finite(value: object) -> bool:
    """Tell whether something is a number, and neither infinite nor NaN."""
    return isinstance(value, int | float) and math.isfinite(value)


def inside(value: float, band: dict) -> bool:
    """Tell whether a number lies in a band; an open end is no bound."""
    return finite(value) and band.get("min", -math.inf) <= value <= band.get("max", math.inf)


def in_words(band: dict) -> str:
    """Return a band for reading, such as ``0.2 to 0.9`` or ``at least 0.75``."""
    if {"min", "max"} <= set(band):
        return f"{band['min']} to {band['max']}"
    return f"at least {band['min']}" if "min" in band else f"at most {band['max']}"

"""Run records: what was run, on what, with which result; and the tables made from many of them.

A run is one execution of one notebook with one set of parameters on one cohort. Its folder is
``results/<profile>/<notebook>/<run_id>/`` and its ``record.json`` is written last, so a folder with a
record is a finished run.
"""

import datetime
import json
import time
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pandas as pd

from stroke_utils.base import files, identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.data.cohort import Cohort
from stroke_utils.results import parameters
from stroke_utils.results.provenance import _peak_memory_mib, git_state, hardware, versions

SCHEMA = 2
"""Version of the record's layout; raised whenever a reader of older records would misread them."""

RECORD = files.read_json(Path(__file__).with_name("record.schema.json"))
"""The JSON Schema of run records; its ``$defs`` also say what the convention of each score is."""

# Where the data lies and whether an older run may be used do not change what a run computes.
_NOT_IDENTIFYING = {"data_dir", "reuse", "profile"}


class Run:
    """One run of one notebook: its parameters, its folder and, at its end, its record.

    Attributes:
        notebook: stem of the notebook.
        params: the checked parameters, one attribute each.
        run_id: models, seed and eight hex digits of parameters and cohort; set by :meth:`open`.
        folder: where everything of this run goes; set by :meth:`open`.
        reuse: whether what a finished run of the same identity left may be loaded instead of made again.
    """

    def __init__(self, notebook: str, parameters: dict):
        self.notebook = notebook
        self.params = SimpleNamespace(**parameters)
        self.started = datetime.datetime.now(datetime.UTC)
        self._clock = time.monotonic()
        self.run_id: str | None = None
        self.folder: Path | None = None
        self.reuse = False

    def open(self, cohort: Cohort) -> Path:
        """Give the run its identity on a cohort and return its folder, made if it is missing."""
        parameters = {k: v for k, v in vars(self.params).items() if k not in _NOT_IDENTIFYING}
        code = identity.digest([self.notebook, parameters, cohort.fingerprint])
        models = "+".join(getattr(self.params, "models", []))
        self.run_id = "-".join(filter(None, [models, f"seed{self.params.seed}", code]))
        self.folder = paths.results_root() / self.params.profile / self.notebook / self.run_id
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self.folder / "record.json"
        self.reuse = bool(getattr(self.params, "reuse", False)) and record.is_file()
        if not self.reuse:
            record.unlink(missing_ok=True)  # a run that is made again is not finished before its new record says so
        return self.folder

    def derived(self, cohort: Cohort, kind: str, settings: list) -> Path:
        """Return the folder for data derived from a cohort with some settings; the folder above it exists.

        Runs with the same cohort and settings share it: ``data/derived/<fingerprint>/<kind>/<digest of settings>``.
        """
        folder = paths.derived_root() / cohort.fingerprint / kind / identity.digest(settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(self, cohort: Cohort, metrics: dict) -> Path:
        """Write the record, once it fits ``record.schema.json``, and return its path.

        Args:
            cohort: the data the run worked on.
            metrics: nested dictionaries of numbers; a score is ``{"value", "low", "high", "n", "baseline",
                "unit"}``.

        Raises:
            UserError: the record would not fit its schema, as a score without its n; nothing is written.
        """
        if self.folder is None:
            self.open(cohort)
        record = {
            "schema": SCHEMA,
            "notebook": self.notebook,
            "run_id": self.run_id,
            "profile": self.params.profile,
            "seed": self.params.seed,
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "wall_s": round(time.monotonic() - self._clock, 1),
            "peak_memory_mib": round(_peak_memory_mib()),
            "parameters": {k: v for k, v in vars(self.params).items() if k != "data_dir"},
            "cohort": {
                "fingerprint": cohort.fingerprint,
                "origin": cohort.origin,
                "slices": len(cohort.slices),
                "problems": len(cohort.problems),
            },
            "versions": versions(),
            "hardware": hardware(),
            "git": git_state(),
            "metrics": _finite(metrics),
        }
        record["conventions"] = conventions(record["metrics"])
        if wrong := fault(record):
            raise UserError(f"This run's record would not fit its schema: {wrong}. Correct what `finish` is given.")
        path = files.write_json(self.folder / "record.json", record)
        print(f"Wrote {paths.shown(path)}")
        return path


def start(notebook: str, namespace: dict) -> Run:
    """Check a notebook's parameters and start the clock of its run.

    Args:
        notebook: stem of the notebook, as ``03_phase1_detection``.
        namespace: the notebook's ``globals()``, which holds the parameters.

    Raises:
        UserError: an unknown, missing or mistyped parameter, or one outside its range.
    """
    defaults = vars(parameters.settings(notebook))
    parameters.check_names(parameters._injected_names(), set(defaults), f"Notebook {notebook}")
    missing = [name for name in defaults if name not in namespace]
    if missing:
        raise UserError(f"Run the cell tagged 'parameters' of {notebook} first: {', '.join(missing)} not set.")
    values = {name: parameters.coerce(name, namespace[name], default) for name, default in defaults.items()}
    parameters._check_ranges(values)
    return Run(notebook, values)


def _finite(value: object) -> object:
    """Return nested metrics with plain Python numbers, and None for what is not a number: JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def fault(record: object) -> str | None:
    """Say where a record does not fit its schema, or return None."""
    validator = jsonschema.Draft202012Validator(RECORD)
    error = jsonschema.exceptions.best_match(validator.iter_errors(record))
    return f"{error.json_path}: {error.message[:200]}" if error else None


def conventions(metrics: object) -> dict[str, str]:
    """Return the conventions of all scores in nested metrics, by the first word of their names."""
    known, found = RECORD["$defs"]["conventions"], {}
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        word = name.partition("_")[0]
        if isinstance(value, dict) and "value" in value:
            found |= {word: known[word]} if word in known else {}
        else:
            found |= conventions(value)
    return found


def records(profile: str = "quick", notebook: str | None = None) -> tuple[list[dict], list[str]]:
    """Read every run record of a profile.

    Returns:
        The records, oldest first, and one sentence for each record that could not be used.
    """
    found, refused = [], []
    root = paths.results_root() / profile
    for folder in sorted(root.glob(f"{notebook or '[0-9]*'}/*/")):
        path = folder / "record.json"
        if not path.is_file():
            if any(folder.glob("*/history.csv")):
                refused.append(f"{paths.shown(folder)} has trained models but no record: unfinished, or removed.")
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            schema = record["schema"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            refused.append(f"{paths.shown(path)} is no run record ({error}); it was left out.")
            continue
        if schema != SCHEMA:
            refused.append(
                f"{paths.shown(path)} has schema {schema}, this version reads {SCHEMA}; it was left out. Run it again."
            )
            continue
        if wrong := fault(record):
            refused.append(f"{paths.shown(path)} does not fit its schema ({wrong}); it was left out. Run it again.")
            continue
        found.append(record)
    return sorted(found, key=lambda r: r["finished"]), refused


def scores(found: list[dict]) -> pd.DataFrame:
    """Flatten the scores of many records into one table.

    Returns:
        One row a score: notebook, run_id, seed, model, part, metric, value, low, high, n, baseline, unit.
    """
    rows = []
    for record in found:
        for model, parts in record["metrics"].items():
            for part, named in parts.items() if isinstance(parts, dict) else ():
                for metric, score in named.items() if isinstance(named, dict) else ():
                    if isinstance(score, dict) and "value" in score:
                        where = {k: record[k] for k in ("notebook", "run_id", "seed")}
                        rows.append({**where, "model": model, "part": part, "metric": metric, **score})
    names = ["notebook", "run_id", "seed", "model", "part", "metric", "value", "low", "high", "n", "baseline", "unit"]
    return pd.DataFrame(rows, columns=names)

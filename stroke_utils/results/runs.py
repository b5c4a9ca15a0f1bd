"""Run records: what was run, on what, with which result; and the tables made from many of them.

A run is one execution of one notebook with one set of parameters on one cohort. Its folder is
``results/<profile>/<notebook>/<run_id>/`` and its ``record.json`` is written last, so a folder with a
record is a finished run.
"""

import dataclasses
import datetime
import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pandas as pd

from stroke_utils.base import files, identity, paths, unfinished
from stroke_utils.base.errors import UserError
from stroke_utils.data.cohort import Cohort, DataSet
from stroke_utils.evaluate.metrics import ANSWERS
from stroke_utils.results import parameters
from stroke_utils.results.provenance import git_state, hardware, peak_memory_mib, versions

SCHEMA = 3
"""Version of the record's layout; raised whenever a reader of older records would misread them."""

RECORD = files.read_json(Path(__file__).with_name("record.schema.json"))
"""The JSON Schema of run records; its ``$defs`` also say what the convention of each score is."""

EVALUATION = "evaluation.json"
"""File beside a record: what a later session that reused the run's networks found with them."""


@dataclass(frozen=True)
class Task:
    """What the networks of a training notebook do.

    Attributes:
        title: in words.
        table: the paper's table that its runs answer.
        modules: the modules that its networks come from.
    """

    title: str
    table: str
    modules: tuple[str, ...] = ("data.splits", "learn.models", "learn.training")


TASKS = {
    "03_phase1_detection": Task("detection", "I"),
    "04_phase2_classification": Task("type classification", "II"),
    "05_segmentation": Task(
        "segmentation",
        "III",
        (
            *("data.class_masks", "data.splits", "evaluate.leakage"),
            *("learn.models", "learn.recipes", "learn.tfrecords", "learn.training"),
        ),
    ),
}
"""The notebooks that train the paper's networks."""

WORKSHOP = (
    *("data.class_masks", "data.splits", "evaluate.leakage"),
    *("learn.joint", "learn.recipes", "learn.tfrecords", "learn.training", "learn.trials"),
)
"""What the notebooks beyond the paper train through, in their cells tagged ``training``."""


def training_cells(notebook: str) -> list[str]:
    """Return the code of a notebook's cells tagged ``training``: with the package they decide what a network learns.

    The file counts, as it is saved; a notebook that is not there has none. Comments do not count.
    """
    path = paths.home() / "notebooks" / f"{notebook}.ipynb"
    if not path.is_file():
        return []
    cells = files.read_json(path)["cells"]
    sources = ["".join(cell["source"]) for cell in cells if "training" in cell["metadata"].get("tags", [])]
    return [identity.bare(source) for source in sources]


def network_identity(
    notebook: str, model: str, settings: dict, fingerprint: str, inputs: dict | None = None
) -> identity.Identity:
    """Return what a trained network is made of.

    Args:
        notebook: stem of a training notebook.
        model: name of the network among the notebook's ``models``.
        settings: the notebook's parameters by name; those that change no network are left out.
        fingerprint: of the cohort.
        inputs: what else it was made from, such as another network's digest.
    """
    kept = _by_content(parameters.of_network(settings, model))
    return identity.Identity(
        "networks",
        TASKS[notebook].modules,
        {"cohort": fingerprint, **(inputs or {})},
        {"notebook": notebook, "model": model, "cells": identity.digest(training_cells(notebook)), **kept},
    )


def _by_content(settings: dict) -> dict:
    """Replace the path of a file or folder of weights by a digest of what is in it: where it lies does not count."""
    return settings | {name: _content(settings[name]) for name in parameters.WEIGHTS if name in settings}


def _content(given: str | list[str]) -> str | list[str]:
    if isinstance(given, list):
        return [_content(each) for each in given]
    path = identity.PACKAGE / "learn" / "weights" if given == "phantom" else Path(given).expanduser()
    if not given or not path.exists():
        return given
    found = sorted(path.glob("*.h5")) if path.is_dir() else [path]
    return identity.digest([identity.sha256(file) for file in found], 12)


class Run:
    """One run of one notebook: its parameters, its folder and, at its end, its record.

    Attributes:
        notebook: stem of the notebook.
        params: the checked parameters, one attribute each.
        run_id: models, seed and eight hex digits of all that the run is made of; set by :meth:`open`.
        folder: where everything of this run goes; set by :meth:`open`.
        reuse: whether what a finished run of the same identity left may be loaded instead of made again.
        earlier: the record of that run, None where nothing is reused.
        networks, inputs: digests of the networks, and of what they start from, by name; set by :meth:`open`.
    """

    def __init__(self, notebook: str, params: dict):
        self.notebook = notebook
        self.params = SimpleNamespace(**params)
        self.started = datetime.datetime.now(datetime.UTC)
        self._clock = time.monotonic()
        self.run_id: str | None = None
        self.folder: Path | None = None
        self.reuse = False
        self.networks: dict[str, str] = {}
        self.inputs: dict[str, str] = {}
        self.earlier: dict | None = None

    def of(self, network: str) -> SimpleNamespace:
        """Return the settings that a network is trained with: the run's, or its own where ``own`` names some."""
        return SimpleNamespace(**parameters.of_network(vars(self.params), network))

    def open(self, cohort: Cohort | DataSet, **inputs: dict[str, str]) -> Path:
        """Give the run its identity on a cohort and return its folder, made if it is missing.

        Args:
            cohort: the data it works on.
            inputs: by model, digests of what else it is made from, by name.

        Raises:
            UserError: the folder cannot be made or written, or another process trains this run's networks.
        """
        settings, models = parameters.of_run(vars(self.params)), getattr(self.params, "models", [])
        self.inputs = {f"{model}.{name}": found for model, its in inputs.items() for name, found in its.items()}
        if self.notebook in TASKS:
            about = self.notebook, settings, cohort.fingerprint
            made = {m: network_identity(about[0], m, *about[1:], inputs.get(m)) for m in models}
            self.networks = {model: its.digest for model, its in made.items()}
        about = [self.notebook, _by_content(settings), cohort.fingerprint, self.inputs, self.networks]
        trains, cells = self.notebook in TASKS, training_cells(self.notebook)
        if cells and not trains:  # beyond the paper: networks without a digest of their own
            trains, about = True, [*about, cells, identity.code_version(*WORKSHOP)]
        code = identity.digest(about)
        self.run_id = "-".join(filter(None, ["+".join(models), f"seed{self.params.seed}", code]))
        self.folder = paths.results_root() / self.params.profile / self.notebook / self.run_id
        record = self.folder / "record.json"
        with files.explained(record):
            self.folder.mkdir(parents=True, exist_ok=True)
        left = [self.folder / model / name for model in self.networks for name in ("best.weights.h5", "history.csv")]
        self.reuse = bool(getattr(self.params, "reuse", False)) and all(path.is_file() for path in left)
        self.earlier = read(record)[0] if self.reuse and record.is_file() else None
        self.reuse = self.earlier is not None
        if trains:
            files.claim(self.folder, f"the run {self.run_id}", shared=self.reuse)
        if not self.reuse:  # a run that is made again is not finished before its new record says so
            if record.is_file():  # one that was stopped before its record goes on from where it was
                unfinished.forget(self.folder)
            with files.explained(record):
                for old in (record, self.folder / EVALUATION):
                    old.unlink(missing_ok=True)
        return self.folder

    def finish(self, cohort: Cohort | DataSet, metrics: dict, starts: dict[str, str] | None = None) -> Path:
        """Write the record, once it fits ``record.schema.json``, and return its path.

        A run that reused networks keeps the record of the session that trained them: that one says with which code and
        software. What this session found goes beside it, as ``evaluation.json``.

        Args:
            cohort: the data the run worked on.
            metrics: nested dictionaries of numbers; a score is ``{"value", "low", "high", "n", "baseline",
                "unit"}``.
            starts: by model, what its training started from, as :func:`stroke_utils.learn.models.start_words` says it.

        Raises:
            UserError: the record would not fit its schema, as a score without its n; nothing is written.
        """
        if self.folder is None:
            self.open(cohort)
        spent = time.monotonic() - self._clock
        # By the date a run may end before it began: a clock may have been set back meanwhile.
        finished = max(datetime.datetime.now(datetime.UTC), self.started + datetime.timedelta(seconds=spent))
        record = {
            "schema": SCHEMA,
            "notebook": self.notebook,
            "run_id": self.run_id,
            "profile": self.params.profile,
            "seed": self.params.seed,
            "started": self.started.isoformat(timespec="seconds"),
            "finished": finished.isoformat(timespec="seconds"),
            "wall_s": round(spent, 1),
            "peak_memory_mib": round(peak_memory_mib()),
            "parameters": {k: v for k, v in vars(self.params).items() if k != "data_dir"},
            "cohort": dataclasses.asdict(cohort.data_set if isinstance(cohort, Cohort) else cohort),
            "inputs": self.inputs,
            "networks": self.networks,
            "starts": starts or {},
            "versions": versions(),
            "hardware": hardware(),
            "git": git_state(),
            "metrics": _finite(metrics),
        }
        record["conventions"] = score_definitions(record["metrics"])
        if wrong := fault(record):
            raise UserError(f"This run's record would not fit its schema: {wrong}. Correct what `finish` is given.")
        path = files.write_json(self.folder / (EVALUATION if self.reuse else "record.json"), record)
        unfinished.forget(self.folder)
        files.release(self.folder)
        print(f"Wrote {paths.shown(path)}")
        return path


def start(notebook: str, namespace: dict) -> Run:
    """Check a notebook's parameters and start the clock of its run.

    Args:
        notebook: stem of the notebook, as ``03_phase1_detection``.
        namespace: the notebook's ``globals()``, which holds the parameters.

    Raises:
        UserError: names every unknown, missing or mistyped parameter and every value that the table does not allow.
    """
    return Run(notebook, parameters.of_notebook(notebook, namespace))


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


def score_definitions(metrics: object) -> dict[str, str]:
    """Say what each score in nested metrics is, by the first word of their names."""
    known, found = RECORD["$defs"]["score_definitions"], {}
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        word = name.partition("_")[0]
        if isinstance(value, dict) and "value" in value:
            found |= {word: known[word]} if word in known else {}
        else:
            found |= score_definitions(value)
    return found


def read(path: Path) -> tuple[dict | None, str]:
    """Read a record or an evaluation.

    Returns:
        It, with the parameters by today's names, and an empty text; or None and one sentence that says why it cannot
        be used.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        schema = record["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"{paths.shown(path)} is no run record ({error}); it was left out."
    if schema != SCHEMA:
        found = f"{paths.shown(path)} has schema {schema}, this version reads {SCHEMA}"
        return None, f"{found}; it was left out. Run it again."
    if wrong := fault(record):
        return None, f"{paths.shown(path)} does not fit its schema ({wrong}); it was left out. Run it again."
    return record | {"parameters": parameters.of_today(record["parameters"])}, ""


def records_digest(profile: str) -> str:
    """Return a digest of all records and evaluations of a profile's training notebooks, for what is made of them."""
    root = paths.results_root() / profile
    found = [path for notebook in TASKS for path in sorted((root / notebook).glob("*/*.json"))]
    return identity.digest([[path.parent.name, identity.sha256(path)] for path in found], 12)


def scores_file(folder: Path) -> Path:
    """Return the file with a run's last scores: its last evaluation where there is a usable one, else its record."""
    later = folder / EVALUATION
    return later if later.is_file() and read(later)[0] else folder / "record.json"


def evaluated(folder: Path) -> tuple[dict | None, list[str]]:
    """Read what is known of the run in a folder: its record, with the scores of the last session that evaluated it.

    Returns:
        The record, None where there is no usable one, and a sentence for each file that was left out. Where a later
        session reused its networks, metrics, conventions and ``finished`` are that session's, and ``evaluated`` holds
        its commit, versions and time; all else is of the session that trained.
    """
    record, said = read(folder / "record.json")
    if record is None:
        return None, [said]
    if not (folder / EVALUATION).is_file():
        return record, []
    later, said = read(folder / EVALUATION)
    if later is None:
        return record, [said]
    found = {name: later[name] for name in ("metrics", "conventions", "finished")}
    about = {name: later[name] for name in ("started", "finished", "versions", "git", "hardware")}
    return record | found | {"trained": record["finished"], "evaluated": about}, []


def read_records(profile: str = "quick", notebook: str | None = None) -> tuple[list[dict], list[str]]:
    """Read every run record of a profile, each with its last evaluation (:func:`evaluated`).

    Returns:
        The records, oldest first, and one sentence for each record that could not be used or is dated later than now:
        a clock was wrong when it was written, so it counts as the oldest.
    """
    found, refused = [], []
    # An hour, for clocks of several machines differ.
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat(timespec="seconds")
    root = paths.results_root() / profile
    for folder in sorted(root.glob(f"{notebook or '[0-9]*'}/*/")):
        if not (folder / "record.json").is_file():
            if any(folder.glob("*/history.csv")):
                refused.append(f"{paths.shown(folder)} has trained models but no record: unfinished, or removed.")
            continue
        record, said = evaluated(folder)
        refused += said
        found += [record] if record else []
        if record and record["finished"] > soon:
            date = f"{paths.shown(folder)} is dated {record['finished']}, later than now: a clock was wrong"
            refused.append(f"{date}, and it counts as the oldest run. Run it again to date it anew.")
    return sorted(found, key=lambda r: (r["finished"] <= soon, r["finished"])), refused


def scores(found: list[dict]) -> pd.DataFrame:
    """Flatten the scores of many records into one table.

    Returns:
        One row a score: notebook, run_id, seed, model, start (what its training started from), part, metric, value,
        low, high, n, baseline, always, never (the trivial answers of two classes, nan elsewhere), unit.
    """
    rows = []
    for record in found:
        for model, parts in record["metrics"].items():
            for part, named in parts.items() if isinstance(parts, dict) else ():
                for metric, score in named.items() if isinstance(named, dict) else ():
                    if isinstance(score, dict) and "value" in score:
                        where = {k: record[k] for k in ("notebook", "run_id", "seed")}
                        about = {"model": model, "start": record.get("starts", {}).get(model, "")}
                        rows.append({**where, **about, "part": part, "metric": metric, **score})
    names = ["notebook", "run_id", "seed", "model", "start", "part", "metric", "value", "low", "high", "n", "baseline"]
    return pd.DataFrame(rows, columns=[*names, *ANSWERS, "unit"])


def middle_seed(found: pd.DataFrame) -> dict:
    """Return one score's row of the seed in the middle, with the spread of all seeds.

    Of an even number it is the lower middle one, so that every number shown is one that was measured. A seed without a
    value counts only where none has one.

    Args:
        found: rows of :func:`scores` of one metric, one a seed.

    Returns:
        The row, with lowest and highest (of a seed, nan without any value) and seeds (how many have a value).
    """
    values = found["value"].dropna()
    row = found.sort_values("value").iloc[max(0, (len(values) - 1) // 2)].to_dict()
    return row | {"lowest": values.min(), "highest": values.max(), "seeds": len(values)}

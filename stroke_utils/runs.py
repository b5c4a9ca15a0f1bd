"""Run records: what was run, on what, with which result; and the tables made from many of them.

A run is one execution of one notebook with one set of parameters on one cohort. Its folder is
``results/<profile>/<notebook>/<run_id>/`` and its ``record.json`` is written last, so a folder with a
record is a finished run.
"""

import ast
import datetime
import difflib
import functools
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pandas as pd
import yaml

from stroke_utils import files
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError

SCHEMA = 2
"""Version of the record's layout; raised whenever a reader of older records would misread them."""

PACKAGES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "scikit-image", "statsmodels", "pillow", "imagecodecs", "pydicom"),
    *("tensorflow", "keras", "segmentation-models", "papermill"),
)
"""Packages whose versions a record keeps: those that can change a number."""

# Where the data lies and whether an older run may be used do not change what a run computes.
_NOT_IDENTIFYING = {"data_dir", "reuse", "profile"}


def parameters_file(notebook: str, profile: str = "quick") -> Path:
    """Return the path of the parameters file of a notebook in a profile.

    Raises:
        UserError: no such profile.
    """
    folder = Path(__file__).resolve().parents[1] / "params"
    if not (folder / profile).is_dir():
        known = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        raise UserError(f"There is no profile {profile!r} under params/. Known: {known}. Copy one to make your own.")
    return folder / profile / f"{notebook}.yaml"


def settings(notebook: str, profile: str = "quick") -> SimpleNamespace:
    """Return the values of a notebook's parameters file, one attribute each.

    Raises:
        UserError: no such profile.
    """
    return SimpleNamespace(**yaml.safe_load(parameters_file(notebook, profile).read_text(encoding="utf-8")))


def coerce(name: str, value: object, default: object) -> object:
    """Return ``value`` in the type of ``default``; lists may come as comma-separated text.

    Raises:
        UserError: the value cannot be read as that type.
    """
    if isinstance(default, list):
        items = [v.strip() for v in value.split(",") if v.strip()] if isinstance(value, str) else value
        items = list(items) if isinstance(items, list | tuple) else [items]
        return [coerce(name, item, default[0]) for item in items] if default else items
    wrong = UserError(
        f"Parameter {name!r} is {value!r}, a {type(value).__name__}; expected a {type(default).__name__} such as "
        f"{default!r}. Correct it in the parameters cell, the parameters file or the -p option."
    )
    if isinstance(default, bool) or isinstance(value, bool):
        if isinstance(value, bool) and isinstance(default, bool):
            return value
        raise wrong
    if isinstance(default, str):
        # papermill turns `-p data_dir 2021` into a number: give the text back.
        return str(value)
    try:
        number = type(default)(value)
    except (TypeError, ValueError):
        raise wrong from None
    if number != float(value):
        raise wrong
    return number


def _injected_names() -> set[str]:
    """Return the names that papermill assigned in this kernel, empty when a person runs the notebook."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    names = set()
    for source in shell.user_ns.get("In", []) if shell else []:
        if source.lstrip().startswith("# Parameters\n"):
            targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names


def check_names(given: set[str], known: set[str], where: str) -> None:
    """Refuse parameter names that a notebook does not have.

    Raises:
        UserError: names the unknown keys, the nearest known one and all known ones.
    """
    for name in sorted(given - known):
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{where} has no parameter {name!r}.{hint} It knows: {', '.join(sorted(known))}.")


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
        code = files.digest([self.notebook, parameters, cohort.fingerprint])
        models = "+".join(getattr(self.params, "models", []))
        self.run_id = "-".join(filter(None, [models, f"seed{self.params.seed}", code]))
        self.folder = files.results_root() / self.params.profile / self.notebook / self.run_id
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
        folder = files.derived_root() / cohort.fingerprint / kind / files.digest(settings)
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
        print(f"Wrote {files.shown(path)}")
        return path


def start(notebook: str, namespace: dict) -> Run:
    """Check a notebook's parameters and start the clock of its run.

    Args:
        notebook: stem of the notebook, as ``03_phase1_detection``.
        namespace: the notebook's ``globals()``, which holds the parameters.

    Raises:
        UserError: an unknown, missing or mistyped parameter, or one outside its range.
    """
    defaults = vars(settings(notebook))
    check_names(_injected_names(), set(defaults), f"Notebook {notebook}")
    missing = [name for name in defaults if name not in namespace]
    if missing:
        raise UserError(f"Run the cell tagged 'parameters' of {notebook} first: {', '.join(missing)} not set.")
    parameters = {name: coerce(name, namespace[name], default) for name, default in defaults.items()}
    _check_ranges(parameters)
    return Run(notebook, parameters)


RANGES = {
    "size": (8, 4096),
    "batch": (1, 4096),
    "epochs": (1, 10_000),
    "epochs_cnn": (1, 10_000),
    "validation": (0.01, 0.99),
    "learning_rate": (1e-9, 10),
    "reduce_after": (1, 10_000),
    "stop_after": (0, 10_000),
    "dropout": (0, 0.99),
    "batchnorm_momentum": (0, 0.9999),
    "recall": (0.01, 1),
}
"""Sensible values of parameters that several notebooks have, both ends included."""


def _check_ranges(parameters: dict) -> None:
    for name, (low, high) in RANGES.items():
        value = parameters.get(name)
        if value is not None and not low <= value <= high:
            raise UserError(
                f"Parameter {name!r} is {value}; expected {low} to {high}. Correct it before anything runs."
            )


def check_choices(params: SimpleNamespace, **known: Iterable[str]) -> None:
    """Refuse values that are not among the known ones, before anything long starts.

    Args:
        params: the parameters of a run.
        known: by parameter name, the values it may take; of a list each item.

    Raises:
        UserError: names the parameter, the value and the known ones.
    """
    for name, choices in known.items():
        value = getattr(params, name)
        given = value if isinstance(value, list) else [value]
        if not given:
            raise UserError(f"Parameter {name!r} is empty. Name at least one of: {', '.join(choices)}.")
        for item in given:
            if item not in choices:
                raise UserError(f"Parameter {name!r} has {item!r}. Known: {', '.join(choices)}.")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware() -> dict[str, object]:
    """Return the processor, the cores this process may use, the memory, and the GPUs where TensorFlow is loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # macOS
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    tensorflow = sys.modules.get("tensorflow")
    gpus = tensorflow.config.list_physical_devices("GPU") if tensorflow else []
    details = tensorflow.config.experimental.get_device_details if tensorflow else None
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": model or platform.processor() or "unknown",
        "cores": files.cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [details(gpu).get("device_name", gpu.name) for gpu in gpus] if tensorflow else None,
    }


def git_state() -> dict[str, object]:
    """Return the checkout's commit and whether files differ from it; both None outside a git checkout."""
    root = Path(__file__).resolve().parents[1]
    try:
        commit = subprocess.run(
            ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=20
        )
        status = subprocess.run(
            ["git", "-C", root, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def _peak_memory_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _finite(value: object) -> object:
    """Return nested metrics with plain Python numbers, and None for what is not a number: JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


@functools.cache
def schema() -> dict:
    """Return the JSON Schema of run records; its ``$defs`` also say what each metric's convention is."""
    return files.read_json(Path(__file__).with_name("record.schema.json"))


def fault(record: object) -> str | None:
    """Say where a record does not fit its schema, or return None."""
    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(record))
    return f"{error.json_path}: {error.message[:200]}" if error else None


def conventions(metrics: object) -> dict[str, str]:
    """Return the conventions of all scores in nested metrics, by the first word of their names."""
    known, found = schema()["$defs"]["conventions"], {}
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
    root = files.results_root() / profile
    for folder in sorted(root.glob(f"{notebook or '[0-9]*'}/*/")):
        path = folder / "record.json"
        if not path.is_file():
            if any(folder.glob("*/history.csv")):
                refused.append(f"{files.shown(folder)} has trained models but no record: unfinished, or removed.")
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            schema = record["schema"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            refused.append(f"{files.shown(path)} is no run record ({error}); it was left out.")
            continue
        if schema != SCHEMA:
            refused.append(
                f"{files.shown(path)} has schema {schema}, this version reads {SCHEMA}; it was left out. Run it again."
            )
            continue
        if wrong := fault(record):
            refused.append(f"{files.shown(path)} does not fit its schema ({wrong}); it was left out. Run it again.")
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

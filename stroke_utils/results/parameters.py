"""Parameters of notebooks: their files, types, ranges and choices."""

import ast
import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import yaml

from stroke_utils.base.errors import UserError


def parameters_file(notebook: str, profile: str = "quick") -> Path:
    """Return the path of the parameters file of a notebook in a profile.

    Raises:
        UserError: no such profile.
    """
    folder = Path(__file__).resolve().parents[2] / "params"
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

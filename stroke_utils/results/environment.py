"""What a notebook runs in, and what to do where something is missing: ``environment.check()``."""

import importlib.metadata
import platform
import shutil

import pandas as pd
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from stroke_utils.base import paths
from stroke_utils.data.opening import data_at_hand
from stroke_utils.results.provenance import PACKAGES, hardware, versions

PROJECT = "stroke-regions"

ANEW = "Run `make env` in the project's folder and choose the kernel of its .venv."

MEMORY, DISK = 4, 4
"""GiB of memory that notebook 05 takes, and of disk that environment, phantom and results take together."""


def check() -> pd.DataFrame:
    """Compare this machine and its packages with what the course needs; nothing large is imported.

    Returns:
        one row a thing: ``what``, ``found``, and ``to do``, which is empty where nothing is.
    """
    wanted, python = _wanted()
    found = versions()
    rows = [
        ("Python", found["python"], "" if python.contains(platform.python_version()) else f"Needs {python}. {ANEW}")
    ]
    rows += [(name, found[name], _of_package(found[name], wanted.get(name, SpecifierSet()))) for name in PACKAGES]
    machine = hardware()
    cores, memory = machine["cores"], machine["memory_gib"]
    rows.append(("cores", str(cores), "" if cores > 1 else "Minutes are stated for 2 cores: expect twice as many."))
    close = f"Notebook 05 takes {MEMORY} GiB: close other programs before it runs."
    rows.append(("memory", f"{memory} GiB", "" if memory >= MEMORY else close))
    free = shutil.disk_usage(paths.home()).free / 2**30
    rows.append(("free disk", f"{free:.0f} GiB", "" if free >= DISK else f"The course takes {DISK} GiB: free some."))
    rows.append(("data", *data_at_hand()))
    return pd.DataFrame(rows, columns=["what", "found", "to do"])


def _wanted() -> tuple[dict[str, SpecifierSet], SpecifierSet]:
    """Return the bounds of the project's packages by name, and that of Python; none where it is not installed."""
    try:
        about = importlib.metadata.distribution(PROJECT)
    except importlib.metadata.PackageNotFoundError:
        return {}, SpecifierSet()
    needs = [Requirement(text) for text in about.requires or []]
    plain = {need.name: need.specifier for need in needs if need.marker is None}
    return plain, SpecifierSet(about.metadata["Requires-Python"] or "")


def _of_package(version: str, bound: SpecifierSet) -> str:
    """Say what to do about a package's version; empty where it is within its bound."""
    if version == "not installed":
        return ANEW
    return "" if bound.contains(version, prereleases=True) else f"Needs {bound}. {ANEW}"

"""Where things are: the project, its data, its results, what is derived from data."""

import contextlib
import os
from pathlib import Path

from stroke_utils.base.errors import UserError


def home(folder: str | os.PathLike | None = None) -> Path:
    """Return the root folder of the project: the argument, else ``STROKE_HOME``, else this checkout.

    Raises:
        UserError: no such folder, or the package was installed outside a checkout.
    """
    chosen = folder or os.environ.get("STROKE_HOME")
    if chosen:
        path = Path(chosen).expanduser().resolve()
        if not path.is_dir():
            raise UserError(f"The project folder {path} does not exist. Set STROKE_HOME to an existing folder.")
        return path
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout
    raise UserError(
        f"stroke_utils is installed at {checkout}, which is no checkout of the project (no notebooks/ there). "
        "Set STROKE_HOME to a folder with the project's notebooks/ and params/; data and results go there too."
    )


def data_root() -> Path:
    """Return the folder for generated data, ``<home>/data``."""
    return home() / "data"


def results_root() -> Path:
    """Return the folder of all run records: ``STROKE_RESULTS``, else ``<home>/results``."""
    return Path(os.environ.get("STROKE_RESULTS") or home() / "results").expanduser().resolve()


def derived_root() -> Path:
    """Return the folder for what is computed from data: ``STROKE_DERIVED``, else ``<home>/data/derived``."""
    return Path(os.environ.get("STROKE_DERIVED") or data_root() / "derived").expanduser().resolve()


def variable(path: str | os.PathLike) -> str:
    """Return the name of the environment variable that moves the folder ``path`` lies in, empty where none does."""
    path = Path(path).resolve()
    for root, name in ((derived_root, "STROKE_DERIVED"), (results_root, "STROKE_RESULTS")):
        with contextlib.suppress(UserError):  # no project, no such folder
            if path.is_relative_to(root()):
                return name
    return ""


def shown(path: str | os.PathLike) -> str:
    """Return ``path`` for printing: relative to the project's root where it is inside, else its last three parts.

    Committed notebooks must not hold a path of the machine that ran them.
    """
    path = Path(path).resolve()
    for root, name in ((derived_root(), "data/derived"), (results_root(), "results"), (home(), "")):
        if path.is_relative_to(root):
            return str(Path(name) / path.relative_to(root))
    return str(Path("…", *path.parts[-3:]))

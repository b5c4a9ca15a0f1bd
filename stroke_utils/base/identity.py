"""What a derived thing is named by: a digest of everything that made it.

That is its inputs (by their own fingerprints), its settings, and a version of the code that computes it. One class does
this for all: class masks, resized slices, TFRecords, trained networks, executed notebooks. What is named otherwise is
another thing, so nothing outdated is ever used, and nothing current is ever overwritten.
"""

import ast
import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stroke_utils.base import files, paths
from stroke_utils.base.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]


NOT_MAKING = ("base.errors", "base.files", "base.identity", "base.paths", "base.progress")
"""Modules that code versions leave out: they say where and when something is written, not what."""

GIVEN = ("data.cohort",)
"""Modules whose work, the table of slices, enters a derived thing as an input with a fingerprint of its own."""

NOTE = "identity.json"
"""File in every derived folder that says what made it."""


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: object, length: int = 8) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def sources(code: str, module: str = "", through: Callable[[Path], bool] = lambda path: True) -> list[Path]:
    """Return the package's files that some code goes through: what it imports, directly or through each other.

    Imports count wherever they stand, relative ones too. The ``__init__`` of every package on the way counts, for
    Python runs it.

    Args:
        code: Python source.
        module: dotted name of the module it is of, for its relative imports; empty for a notebook's.
        through: tells whether a file counts, and what it imports with it.
    """
    found, waiting = set(), _imported(code, module)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path not in found and through(path):
            found.add(path)
            inside = f"{name}.__init__" if path.name == "__init__.py" else name
            waiting |= _imported(path.read_text(encoding="utf-8"), inside)
    return sorted(found)


def modules_of(code: str) -> tuple[str, ...]:
    """Return the modules and wings that some code imports itself, named below the package."""
    return tuple(sorted(filter(None, (name.partition(".")[2] for name in _imported(code, "")))))


def _imported(code: str, module: str) -> set[str]:
    """Return the dotted names of the package's modules and packages that ``code`` imports itself."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            names |= {start} | {f"{start}.{alias.name}" for alias in node.names}
    own = (name.split(".") for name in names if name.split(".")[0] == PACKAGE.name)
    along = {".".join(parts[:k]) for parts in own for k in range(1, len(parts) + 1)}
    return {name for name in along if _file(name).is_file()}


@functools.cache
def _file(name: str) -> Path:
    """Return the file of a dotted name in the package: a module's, or a package's ``__init__``."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@functools.cache
def code_version(*modules: str, given: tuple[str, ...] = GIVEN, wings: bool = False) -> str:
    """Return a digest of the code that modules and what they import consist of.

    Comments, blank lines and docstrings do not count: a better explanation computes nothing anew.

    Args:
        modules: names below the package, such as ``data.masks``.
        given: modules that are left out because their work is an input.
        wings: whether a wing's ``__init__`` counts with all that it hands on, for code that imports from wings. The
            package's own modules never do: they name the module that they mean.
    """
    code = "\n".join(f"import {PACKAGE.name}.{module}" for module in modules)
    left_out = {PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in (*NOT_MAKING, *given)}
    found = sources(code, through=lambda path: path not in left_out and (wings or path.name != "__init__.py"))
    return digest([[str(path.relative_to(PACKAGE)), _bare(path)] for path in found], 12)


@functools.cache
def _bare(path: Path) -> str:
    return bare(path.read_text(encoding="utf-8"))


def bare(code: str) -> str:
    """Return code without comments and docstrings, in one form whatever its layout."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" else []))
    return ast.unparse(tree)


@dataclass(frozen=True)
class Identity:
    """What a derived thing is made of.

    Attributes:
        kind: what it is, as a folder's name: ``class-masks``.
        modules: the modules that compute it, named below the package.
        inputs: fingerprints of what it is made from, by name.
        settings: what else decides how it comes out, by name.
        given, wings: as for :func:`code_version`.
    """

    kind: str
    modules: tuple[str, ...]
    inputs: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    given: tuple[str, ...] = GIVEN
    wings: bool = False

    @property
    def about(self) -> dict:
        """All of it, with the version of the code, as JSON knows it."""
        how = {"given": self.given, "wings": self.wings}
        code = {"modules": self.modules, **how, "version": code_version(*self.modules, **how)}
        about = {"kind": self.kind, "inputs": self.inputs, "settings": self.settings, "code": code}
        return json.loads(json.dumps(about, default=str))

    @property
    def digest(self) -> str:
        """Twelve hex digits that name the thing."""
        return digest(self.about, 12)

    @property
    def path(self) -> Path:
        """Where the thing is or would be: ``<derived>/<kind>/<digest>``."""
        return paths.derived_root() / self.kind / self.digest

    def folder(self) -> Path:
        """Return the thing's folder, made with its note where it is missing.

        Raises:
            UserError: the folder is torn or not ours, or cannot be written.
        """
        if not self.path.exists():
            with files.lock(self.path, paths.shown(self.path)):
                if not self.path.exists():
                    with files.atomic_folder(self.path) as temporary:
                        self.note(temporary)
        self.refuse_others()
        return self.path

    def refuse_others(self) -> None:
        """Refuse a folder at this place that was made by something else.

        Raises:
            UserError: its note is missing, torn, or tells of another thing.
        """
        if wrong := self.fault(self.path):
            raise UserError(f"{self.path} {wrong}. Run `make clean-derived`, or remove it: it is then made anew.")

    def note(self, folder: str | os.PathLike) -> None:
        """Write into a folder what made it."""
        files.write_json(Path(folder, NOTE), self.about)

    def fault(self, folder: str | os.PathLike) -> str | None:
        """Say why a folder is not the whole thing of this identity, or return None."""
        found = read_note(folder)
        if found is None:
            return f"has no readable {NOTE}: it is torn, or not ours"
        if found != self.about:
            return f"is not what its name says: its {NOTE} tells of another {found.get('kind', 'thing')}"
        return None


def read_note(folder: str | os.PathLike) -> dict | None:
    """Return what a derived folder says of itself, None where it says nothing readable."""
    try:
        found = json.loads(Path(folder, NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None

"""What a derived thing is named by: digests of values, of files, and of the code that computes it."""

import ast
import functools
import hashlib
import json
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: object, length: int = 8) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def sources(code: str, module: str = "") -> list[Path]:
    """Return the package's files that some code goes through: what it imports, directly or through each other.

    Imports count wherever they stand, relative ones too. The ``__init__`` of every package on the way counts, for
    Python runs it.

    Args:
        code: Python source.
        module: dotted name of the module it is of, for its relative imports; empty for a notebook's.
    """
    found, waiting = set(), _imported(code, module)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path not in found:
            found.add(path)
            inside = f"{name}.__init__" if path.name == "__init__.py" else name
            waiting |= _imported(path.read_text(encoding="utf-8"), inside)
    return sorted(found)


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

"""The wings of the package: which imports which, what each says of itself, and that their tests are all collected."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "stroke_utils"

# In the order data walks through them: a wing imports from those before it only.
ORDER = ["base", "phantom", "data", "evaluate", "learn", "results", "figures", "reading", "course"]
LEAVES = {"phantom": {"data.opening", "learn.pretrain", "figures", "course"}}  # and who alone may import each
FRAMEWORKS = {"tensorflow", "keras", "segmentation_models", "classification_models", "efficientnet"}


def modules(package):
    """Return the dotted name below the package and the syntax tree of each module; a wing's __init__ has its name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name, tree, known, is_package):
    """Return the dotted names below the package that a module imports anywhere in it, relative imports resolved."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = ["stroke_utils", *filter(None, name.split("."))]
            above = here[: len(here) - node.level + is_package] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        for full in (n.partition(".")[2] for n in names if n.split(".")[0] == "stroke_utils"):
            while full and full not in known:  # a function is of its module
                full = full.rpartition(".")[0]
            found.add(full)
    return found - {"", name}


def faults(package):
    """Return every arrow that goes up or to a leaf it may not know, and every cycle of modules, as text."""
    trees = modules(package)
    arrows = {
        name: imports(name, tree, trees, (package / name.replace(".", "/")).is_dir()) for name, tree in trees.items()
    }
    said = []
    for name, targets in arrows.items():
        wing = name.split(".")[0]
        for target in sorted(targets):
            other = target.split(".")[0]
            if target == wing and name != wing:
                said.append(f"{name} -> {target}, its own wing")
            if wing and wing not in ORDER:
                said.append(f"{wing} is no wing")
            elif wing and other != wing and ORDER.index(other) > ORDER.index(wing):
                said.append(f"{name} -> {target} goes up")
            elif other in LEAVES and other != wing and not {name, wing} & LEAVES[other]:
                said.append(f"{name} -> {target}, a leaf")
    # What a wing's __init__ exports is no way back for the modules it is made of.
    below = {name: {t for t in targets if t in arrows and t not in ORDER} for name, targets in arrows.items()}
    done = set()

    def walk(name, above):
        if name in above:
            said.append("cycle: " + " -> ".join([*above[above.index(name) :], name]))
        elif name not in done:
            for target in sorted(below.get(name, ())):
                walk(target, [*above, name])
            done.add(name)

    for name in sorted(arrows):
        walk(name, [])
    return said


def test_no_arrow_goes_up_and_there_is_no_cycle():
    assert faults(PACKAGE) == []


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("base/files.py", "from stroke_utils.data import cohort", "base.files -> data.cohort goes up"),
        ("base/files.py", "def f():\n    import stroke_utils.results.runs", "base.files -> results.runs goes up"),
        ("data/pixels.py", "from ..learn import models", "data.pixels -> learn.models goes up"),
        ("phantom/spec.py", "from . import writer", "cycle: phantom.spec -> phantom.writer -> phantom.spec"),
        ("phantom/spec.py", "from ..data import Cohort", "phantom.spec -> data goes up"),
        ("learn/models.py", "from stroke_utils import phantom", "learn.models -> phantom, a leaf"),
        ("results/parameters.py", "from stroke_utils.results.ledger import recipe", "cycle: results.ledger -> "),
        ("data/masks.py", "from stroke_utils.data.class_masks import true_mask", "cycle: data."),
        ("data/layouts.py", "from stroke_utils.data import read_cohort", "data.layouts -> data, its own wing"),
        ("extra/__init__.py", "from stroke_utils.base import files", "extra is no wing"),
    ],
)
def test_each_kind_of_wrong_arrow_is_seen(tmp_path, where, code, said):
    package = tmp_path / "stroke_utils"
    for path in PACKAGE.rglob("*.py"):
        target = package / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (package / where).parent.mkdir(exist_ok=True)
    old = (package / where).read_text(encoding="utf-8") if (package / where).exists() else ""
    (package / where).write_text(f"{old}\n{code}\n", encoding="utf-8")
    assert any(fault.startswith(said) for fault in faults(package)), faults(package)


def test_at_most_ten_wings_and_each_says_what_lives_there():
    wings = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    assert wings == sorted(ORDER) and len(wings) <= 10
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py"}, "a module belongs to a wing"
    for wing in wings:
        module = importlib.import_module(f"stroke_utils.{wing}")
        lines = [line for line in module.__doc__.splitlines() if line.strip()]
        assert 2 <= len(lines) <= 7, f"{wing} says too little or too much"
        inside = {path.stem for path in (PACKAGE / wing).glob("*.py")} - {"__init__"}
        if wing not in ("phantom", "figures"):  # these two export functions
            assert inside <= set(module.__all__), f"{wing} hides {inside - set(module.__all__)}"


@pytest.mark.parametrize("wing", ORDER)
def test_every_public_name_is_there(wing):
    found = {}
    exec(f"from stroke_utils.{wing} import *", found)
    assert set(getattr(importlib.import_module(f"stroke_utils.{wing}"), "__all__", ())) <= set(found)


def test_the_frameworks_are_imported_in_one_place():
    found = {}
    for name, tree in modules(PACKAGE).items():
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if {n.split(".")[0] for n in names} & FRAMEWORKS:
                found.setdefault(name, []).extend(names)
    # Pretraining also runs where there is no TensorFlow, on another backend of Keras; else it takes Keras from backend.
    assert found == {"learn.backend": found["learn.backend"], "learn.starts": ["keras"]}, found


def test_exploring_loads_no_tensorflow():
    code = (
        "import sys; from stroke_utils import data, evaluate, figures, phantom; from stroke_utils.data import "
        "class_masks, describe, duplicates, masks, splits; from stroke_utils.results import runs; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_running_notebooks_builds_no_grammar_of_addresses():
    code = "import sys; from stroke_utils.course import headless; import papermill; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tests_in_folders_that_are_called_like_generated_ones_are_collected():
    """Wings and their tests are called data, results and figures, as the root's folders of generated files are."""
    folders = [f"tests/{name}" for name in ("data", "figures", "results")]
    call = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *folders]
    said = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=False).stdout
    collected = {ROOT / line.partition("::")[0] for line in said.splitlines() if "::" in line}
    assert collected == {path for folder in folders for path in (ROOT / folder).rglob("test_*.py")}


def test_ruff_checks_every_wing():
    call = [sys.executable, "-m", "ruff", "check", "--show-files"]
    said = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    shown = {Path(line) for line in said.splitlines()}
    assert set(PACKAGE.rglob("*.py")) | set((ROOT / "tests").rglob("*.py")) <= shown


def test_the_wheel_has_what_is_no_module():
    """Templates and the schema of records are read at run time: setuptools must take them along."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    given = tomllib.loads(text)["tool"]["setuptools"]["package-data"]
    others = {p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    for path in others:
        wing = path.relative_to(PACKAGE).parts[0]
        assert any(path in set((PACKAGE / wing).glob(each)) for each in given.get(f"stroke_utils.{wing}", [])), path

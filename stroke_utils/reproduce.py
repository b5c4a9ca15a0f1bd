"""Run the whole course: ``python -m stroke_utils.reproduce --profile quick`` (what ``make reproduce`` calls).

Checks everything a person can mistype before the first notebook starts, then lets Snakemake run what is missing or out
of date, then shows the results and binds them into a book. The Snakefile builds its rules from the same :class:`Plan`.
"""

import argparse
import ast
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from stroke_utils import files
from stroke_utils.files import UserError
from stroke_utils.headless import clock, end_with_parent, near
from stroke_utils.notebook_files import check_parameters, parameters, read_notebook, read_parameters

PER_SEED = ("03_phase1_detection", "04_phase2_classification", "05_segmentation")
"""Notebooks that train: run once per seed, on all cores, so that two never share a small machine."""

LAST = "06_results_figures"
"""The notebook that reads the records of those before it."""

AFTER = {"04_phase2_classification": ("03_phase1_detection",), "05_segmentation": ("02_mask_extraction",)}
"""Notebooks that use what another leaves on disk. Each could make it itself; in this order it is made once."""

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Plan:
    """What one ``make reproduce`` runs: profile, data folder (empty: the phantom), seeds and models (empty: all)."""

    profile: str
    data: str
    seeds: tuple[int, ...]
    models: tuple[str, ...] = ()

    @property
    def notebooks(self) -> list[str]:
        """Stems of all notebooks in reading order; those that train none of the wanted models are left out."""
        stems = sorted(path.stem for path in (files.home() / "notebooks").glob("*.ipynb"))
        return [stem for stem in stems if not self.models or stem not in PER_SEED or self.wanted(stem)]

    def wanted(self, notebook: str) -> list[str]:
        """Those of a training notebook's models that are wanted."""
        return [name for name in read_parameters(self.parameters(notebook)).get("models", []) if name in self.models]

    @property
    def executed(self) -> Path:
        """Folder of the executed copies."""
        return files.results_root() / self.profile / "executed"

    def parameters(self, notebook: str) -> Path:
        """Parameters file of a notebook in this profile."""
        return files.home() / "params" / self.profile / f"{notebook}.yaml"

    def output(self, notebook: str, folder: str = "") -> str:
        """Path of the executed copy, with Snakemake's ``{seed}`` where there is one per seed."""
        return str(self.executed / folder / (notebook + "-seed{seed}" * (notebook in PER_SEED) + ".ipynb"))

    def outputs(self, notebook: str) -> list[str]:
        """Paths of all executed copies of a notebook."""
        return sorted({self.output(notebook).replace("{seed}", str(seed)) for seed in self.seeds})

    def reads_data(self, notebook: str) -> bool:
        """Whether a notebook works on slices, and so takes the data folder."""
        return "data_dir" in parameters(files.home() / "notebooks" / f"{notebook}.ipynb")

    def before(self, notebook: str) -> list[str]:
        """Notebooks whose copies must exist before this one runs."""
        return [n for n in self.notebooks if (n < LAST if notebook == LAST else n in AFTER.get(notebook, ()))]


def make_plan(profile: str = "", data: str = "", seeds: str = "", models: str = "") -> Plan:
    """Check a request and every parameters file, and return the plan.

    ``data`` falls back to ``STROKE_DATA``; ``seeds`` (as ``0,1,2``) and ``models`` (as ``cnn,resnet18``) to the
    parameters files' own.

    Raises:
        UserError: unknown profile, no such data folder, ill seeds, unknown models, or an ill parameters file.
    """
    params, profile = files.home() / "params", profile or "quick"
    profiles = sorted(path.name for path in params.glob("*") if path.is_dir())
    if profile not in profiles:
        raise UserError(f"There is no profile {profile!r}; PROFILE can be {' or '.join(profiles) or '… (none found)'}.")
    data = str(data or os.environ.get("STROKE_DATA", ""))
    if data:
        folder = Path(data).expanduser().resolve()
        if not folder.is_dir() or not any(folder.iterdir()):
            what = "is empty" if folder.is_dir() else "does not exist"
            raise UserError(f"The data folder {folder} {what}. Give the unpacked data set: DATA=/path/to/folder.")
        data = str(folder)
    elif profile != "quick":
        raise UserError(
            f"PROFILE={profile} works on the real data; give its folder: "
            f"make reproduce PROFILE={profile} DATA=/path/to/data (or set STROKE_DATA). See data/README.md."
        )
    words = str(seeds).replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise UserError(f"SEEDS={seeds} is no list of whole numbers. Write for instance SEEDS=0,1,2.")
    plan = Plan(profile, data, tuple(sorted({int(word) for word in words})))
    _check_files(plan, profiles)
    if not words:
        plan = replace(plan, seeds=(read_parameters(plan.parameters(plan.notebooks[0])).get("seed", 0),))
    names = tuple(str(models).replace(",", " ").split())
    training = [notebook for notebook in plan.notebooks if notebook in PER_SEED]
    known = list(
        dict.fromkeys(n for notebook in training for n in read_parameters(plan.parameters(notebook)).get("models", []))
    )
    if strangers := [name for name in names if name not in known]:
        raise UserError(
            f"MODELS={models}: no notebook of this profile trains {strangers[0]}. Known: {', '.join(known)}."
        )
    return replace(plan, models=names)


def _check_files(plan: Plan, profiles: list[str]) -> None:
    """Compare the parameters files of all profiles with the notebooks; report every problem at once."""
    if not plan.notebooks:
        raise UserError(f"There are no notebooks in {files.home() / 'notebooks'}. Restore them from git.")
    problems = []
    known = {notebook: parameters(files.home() / "notebooks" / f"{notebook}.ipynb") for notebook in plan.notebooks}
    for profile in profiles:
        here = Plan(profile, "", ())
        strays = {path.stem for path in here.parameters("").parent.glob("*.y*ml")} - set(known)
        problems += [f"params/{profile}/{stem}.yaml belongs to no notebook." for stem in sorted(strays)]
        for notebook in plan.notebooks:
            name = f"params/{profile}/{notebook}.yaml"
            try:
                values = check_parameters(read_parameters(here.parameters(notebook)), known[notebook], name)
                if values.get("profile", profile) != profile:
                    problems.append(f"{name} says profile: {values['profile']}; expected {profile}.")
            except UserError as error:
                problems.append(str(error) if name in str(error) else f"{name}: {error}")
    if problems:
        raise UserError("\n".join(problems))


def sources(notebook: str | os.PathLike) -> list[str]:
    """Return the package's files that a notebook imports, directly or through each other."""
    code = [cell.source for cell in read_notebook(notebook).cells if cell.cell_type == "code"]
    plain = "\n".join(line for cell in code for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))
    found, waiting = set(), _imports(plain)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _imports(path.read_text(encoding="utf-8"))
    return sorted(map(str, found))


def _imports(code: str) -> set[Path]:
    """Return the files of the package that ``code`` imports anywhere in it; a sub-package counts whole."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    stems = {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE.name}.")}
    found = set()
    for stem in stems:
        found |= {PACKAGE / f"{stem}.py"} if (PACKAGE / f"{stem}.py").is_file() else set((PACKAGE / stem).glob("*.py"))
    return found


def summary(plan: Plan) -> str:
    """Return the results table that the last notebook wrote, if any, and where everything lies."""
    root = files.results_root() / plan.profile
    tables = sorted((root / LAST).glob("*/tables/results.csv"), key=lambda path: path.stat().st_mtime)
    copies = [Path(output) for notebook in plan.notebooks for output in plan.outputs(notebook)]
    if tables:
        table = pd.read_csv(tables[-1], dtype=str, keep_default_na=False).to_string(index=False)
        places = [f"Figures and tables:  {near(tables[-1].parents[1])}"]
    else:
        table = "\n".join(f"  {near(copy)}" for copy in copies)
        places = []
    places += [f"Executed notebooks:  {near(plan.executed)}", f"Run records:         {near(root)}/<notebook>/<run>"]
    origin = plan.data or "the phantom, a made-up cohort: these scores say nothing about patients"
    return "\n".join(["", table, "", f"Data:                {origin}", *places])


def main(arguments: list[str] | None = None) -> int:
    """Run the course from the command line; further arguments go to Snakemake. Return an exit status."""
    parser = argparse.ArgumentParser(prog="python -m stroke_utils.reproduce", description="Run the whole course.")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data", default="", help="data folder (default: STROKE_DATA, else the phantom)")
    parser.add_argument("--seeds", default="", help="for instance 0,1,2 (default: the parameters files' seed)")
    parser.add_argument("--models", default="", help="for instance cnn,resnet18 (default: the parameters files')")
    parser.add_argument("--cores", default="", help="how many cores to use (default: all)")
    given, further = parser.parse_known_args(arguments)
    # When make is killed this process, and with it every notebook at work, must end too.
    end_with_parent(lambda: os._exit(1))
    start, home, stopped = time.monotonic(), files.home(), []
    # Snakemake answers Ctrl-C as it does a failure; only after a failure is there something to bind.
    signal.signal(signal.SIGINT, lambda *given: (stopped.append(True), signal.default_int_handler(*given)))
    try:
        if given.cores and not given.cores.isdigit():
            raise UserError(f"CORES={given.cores} is no whole number. Write for instance CORES=2.")
        plan = make_plan(given.profile, given.data, given.seeds, given.models)
        # Snakemake's own lock outlives a killed run; this one the kernel frees, so the same command starts again.
        with files.lock(home / ".snakemake" / "reproduce", "results in this folder"):
            done = _snakemake(plan, given.cores or "all", further)
            if done:
                print(summary(plan))
            if not stopped:
                print(_bound(plan))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if not done:
        print("Stopped; what is finished stays. The same command goes on from there.", file=sys.stderr)
        return 1
    print(f"Done in {clock(time.monotonic() - start)}.")
    return 0


def _bound(plan: Plan) -> str:
    """Bind the book of what has been executed; say where it lies, or why there is none."""
    from stroke_utils import book

    try:
        return book.announced(*book.bind(plan.profile, plan.seeds))
    except UserError as error:
        return f"No book: {error}"


def _snakemake(plan: Plan, cores: str, further: list[str]) -> bool:
    """Let Snakemake run what is missing or out of date; tell whether all is there."""
    from snakemake.cli import main as snakemake

    home = files.home()
    config = {"profile": plan.profile, "seeds": ",".join(map(str, plan.seeds)), "data": plan.data}
    config |= {"models": ",".join(plan.models)} if plan.models else {}
    config = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in config.items()]  # JSON is YAML
    command = ["--snakefile", str(home / "Snakefile"), "--directory", str(home), "--cores", cores, "--nolock"]
    command += ["--rerun-incomplete", "--keep-going", "--quiet", "all", *further, "--config", *config]
    try:
        snakemake(command)
    except SystemExit as end:
        return not end.code
    return True


if __name__ == "__main__":
    sys.exit(main())

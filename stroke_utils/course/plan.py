"""What one run of the course consists of: notebooks, their order, their parameters files and their sources."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course.notebook_files import check_parameters, defaults, read_notebook, read_parameters

PER_SEED = ("03_phase1_detection", "04_phase2_classification", "05_segmentation")
"""Notebooks that train: run once per seed, on all cores, so that two never share a small machine."""

LAST = "06_results_figures"
"""The notebook that reads the records of those before it."""

AFTER = {"04_phase2_classification": ("03_phase1_detection",), "05_segmentation": ("02_mask_extraction",)}
"""Notebooks that use what another leaves on disk. Each could make it itself; in this order it is made once."""


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
        stems = sorted(path.stem for path in (paths.home() / "notebooks").glob("*.ipynb"))
        return [stem for stem in stems if not self.models or stem not in PER_SEED or self.wanted(stem)]

    def wanted(self, notebook: str) -> list[str]:
        """Those of a training notebook's models that are wanted."""
        return [name for name in read_parameters(self.parameters(notebook)).get("models", []) if name in self.models]

    @property
    def executed(self) -> Path:
        """Folder of the executed copies."""
        return paths.results_root() / self.profile / "executed"

    def parameters(self, notebook: str) -> Path:
        """Parameters file of a notebook in this profile."""
        return paths.home() / "params" / self.profile / f"{notebook}.yaml"

    def output(self, notebook: str, folder: str = "") -> str:
        """Path of the executed copy, with Snakemake's ``{seed}`` where there is one per seed."""
        return str(self.executed / folder / (notebook + "-seed{seed}" * (notebook in PER_SEED) + ".ipynb"))

    def outputs(self, notebook: str) -> list[str]:
        """Paths of all executed copies of a notebook."""
        return sorted({self.output(notebook).replace("{seed}", str(seed)) for seed in self.seeds})

    def reads_data(self, notebook: str) -> bool:
        """Whether a notebook works on slices, and so takes the data folder."""
        return "data_dir" in defaults(paths.home() / "notebooks" / f"{notebook}.ipynb")

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
    params, profile = paths.home() / "params", profile or "quick"
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
        raise UserError(f"There are no notebooks in {paths.home() / 'notebooks'}. Restore them from git.")
    problems = []
    known = {notebook: defaults(paths.home() / "notebooks" / f"{notebook}.ipynb") for notebook in plan.notebooks}
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
    return [str(path) for path in identity.sources(plain)]

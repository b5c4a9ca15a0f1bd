"""What one run of the course consists of: notebooks, their order, their parameters files and their sources."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from stroke_utils.base import files, identity, paths
from stroke_utils.base.errors import UserError, check_known
from stroke_utils.base.identity import Identity
from stroke_utils.base.vocabulary import STARTING_WEIGHTS, TYPES
from stroke_utils.course.notebook_files import defaults, read_notebook
from stroke_utils.data.cohort import Cohort, read_cohort
from stroke_utils.results import parameters, studies
from stroke_utils.results.parameters import goes_beyond, read_parameters
from stroke_utils.results.runs import TASKS

PER_SEED = tuple(TASKS)
"""Notebooks that train: run once per seed, on all cores, so that two never share a small machine."""

LAST = "06_results_figures"
"""The notebook that reads the records of those before it."""

AFTER = {
    "04_phase2_classification": ("03_phase1_detection",),
    "05_segmentation": ("02_mask_extraction",),
    "09_trust": ("02_mask_extraction", "03_phase1_detection"),
    "10_one_model": ("02_mask_extraction",),
    "11_read_a_scan": ("03_phase1_detection", "04_phase2_classification", "05_segmentation"),
}
"""Notebooks that use what another leaves on disk. Each could make it itself, save the networks that 09 and 11 look at;
in this order it is made once."""

UNETS = "05_segmentation", "10_one_model"

STARTS = {
    "04_phase2_classification": ("03_phase1_detection",),
    "09_trust": ("03_phase1_detection",),
    "11_read_a_scan": AFTER["11_read_a_scan"],
}
"""Of these, the notebooks whose networks another starts from or looks at: it runs again when they do."""

STARTED = "resnet18"
"""The network that starts from its namesake in another notebook."""

MODELS = "models"
"""How a plan says that each network of a seed has a job of its own."""

EMPTY = ","
"""An empty list as a word of a command line; Snakemake's quoting drops words without letters."""

ONCE = {
    "03_phase1_detection": {
        "experiment_seeds": (),
        "other_starts": ("mobilenetv2", "efficientnetb0", "efficientnetv2b0", "resnet50", "resnet18"),
    }
}
"""Experiments that a notebook makes with one of its networks: with the first of these that is wanted, or with the first
of all. Where each network has a job of its own, the other jobs leave them out, or they would be made once for each. The
second row goes from the smallest network to the largest; ResNet-18 is last because in quick it has no start to compare.
"""


def trains(notebook: str) -> bool:
    """Tell whether a notebook trains or runs networks for minutes, and so takes all cores of a small machine."""
    return notebook in PER_SEED or goes_beyond(notebook)


@dataclass(frozen=True)
class Plan:
    """What one ``make reproduce``, ``make beyond``, ``make study`` or ``make recipes`` runs.

    A study's notebook has ways where others have networks: each is a job of its own, by ``model``, at any ``split``.

    Attributes:
        profile: folder of ``params/``.
        data: data folder; empty: the phantom.
        seeds: of the notebooks that train.
        models: empty: all.
        weights: what networks start from, as the notebooks' parameter ``weights``; empty: the profile's.
        left_out: notebooks that the data folder is not enough for, with the reasons.
        split: ``models``: one executed copy for each network and seed; empty: one for each seed.
        beyond: whether the notebooks beyond the paper are run, and of the others what these need.
        study: name of one of ``studies.STUDIES``: its notebook alone, with each seed and way; empty: no study.
    """

    profile: str
    data: str
    seeds: tuple[int, ...]
    models: tuple[str, ...] = ()
    weights: str = ""
    left_out: tuple[tuple[str, str], ...] = ()
    split: str = ""
    beyond: bool = False
    study: str = ""
    _known: dict = field(default_factory=dict, compare=False, repr=False)  # what is asked for many times

    @property
    def notebooks(self) -> list[str]:
        """Stems of all notebooks in reading order.

        Those that train none of the wanted models are left out, those that the data are not enough for, and, unless
        they are asked for, those beyond the paper.
        """
        impossible = dict(self.left_out)
        found = (path.stem for path in (paths.home() / "notebooks").glob("*.ipynb"))
        found = (stem for stem in found if self.beyond or not goes_beyond(stem))
        stems = sorted(stem for stem in found if stem not in impossible)
        return [stem for stem in stems if not self.models or stem not in PER_SEED or self.wanted(stem)]

    @property
    def first_reader(self) -> str:
        """The first notebook that works on slices, else the first of all: it says size of the phantom and seed."""
        return next(filter(self.reads_data, self.notebooks), self.notebooks[0])

    @property
    def targets(self) -> list[str]:
        """Stems of the notebooks that are run for their own sake; others only where one of these needs them."""
        if self.study:
            return [stem for stem in self.notebooks if self.studied(stem)]
        return [stem for stem in self.notebooks if goes_beyond(stem) == self.beyond]

    def studied(self, notebook: str) -> studies.Study | None:
        """The study that a notebook is run for; None where it is run for none."""
        study = studies.STUDIES.get(self.study)
        return study if study and study.notebook == notebook else None

    @property
    def runs(self) -> str:
        """Folder under ``results/`` of what its notebooks leave: the profile's, or the study's own."""
        return (studies.STUDIES[self.study].runs if self.study else "") or self.profile

    def made(self, record: dict) -> bool:
        """Whether a run's record has this plan's settings and, where the plan names no data, the phantom's slices.

        What is up to date is not made again, so the newest record of a profile may be of another plan.
        """
        notebook, found = record["notebook"], record["parameters"]
        drawn, own = (record["cohort"]["origin"] or {}).get("phantom"), self.values(notebook)

        def fits(part: str) -> bool:
            changed = self.changes(notebook, record["seed"], part)
            wanted = own | {name: parameters.TABLE[name].read(text, notebook) for name, text in changed.items()}
            return all(found.get(name) == wanted[name] for name in wanted if parameters.role(name) == "identifies")

        return bool(self.data or drawn) and any(fits(part) for part in self.parts(notebook))

    def per_seed(self, notebook: str) -> bool:
        """Whether a notebook has an executed copy for each seed."""
        return notebook in PER_SEED or self.studied(notebook) is not None

    def wanted(self, notebook: str) -> list[str]:
        """Those of a training notebook's models that are wanted."""
        return [name for name in self.values(notebook).get("models", []) if name in self.models]

    def parts(self, notebook: str) -> list[str]:
        """The networks that have an executed copy of their own, or a study's ways; one empty name: one copy has all."""
        if study := self.studied(notebook):
            return list(study.ways)
        if not self.split or notebook not in PER_SEED:
            return [""]
        return (self.wanted(notebook) if self.models else list(self.values(notebook).get("models", []))) or [""]

    def jobs(self, notebook: str) -> list[tuple[int, str]]:
        """Seed and one of the parts of each executed copy of a notebook; what trains nothing has a single copy."""
        seeds = self.seeds if self.per_seed(notebook) else self.seeds[:1]
        return [(seed, model) for seed in seeds for model in self.parts(notebook)]

    @property
    def executed(self) -> Path:
        """Folder of the executed copies."""
        return paths.results_root() / self.profile / "executed"

    def parameters(self, notebook: str) -> Path:
        """Parameters file of a notebook in this profile."""
        return paths.home() / "params" / self.profile / f"{notebook}.yaml"

    def changes(self, notebook: str, seed: int, model: str = "") -> dict[str, str]:
        """What this plan changes in a notebook's parameters: seed, models, start, data folder, finished networks.

        A job of one ``model`` leaves out the experiments that another job of the notebook makes. What a study's way
        asks for comes last, and nothing takes its place.
        """
        found = {"seed": str(seed), "models": model or (",".join(self.wanted(notebook)) if self.models else "")}
        found["reuse"] = "true" if "reuse" in self.values(notebook) else ""  # a network of this name is this network
        if not (self.weights == "phantom" and notebook in UNETS):  # the U-Nets of the profiles have no such start
            found["weights"] = self.weights
        if notebook not in PER_SEED:  # one beyond the paper takes the networks of the first seed
            known = [name for name in ("seed", "reuse", "weights") if name in found and name in self.values(notebook)]
            found = {name: found[name] for name in known} if goes_beyond(notebook) else {}
        found |= {"data_dir": self.data if self.reads_data(notebook) else ""}
        if study := self.studied(notebook):
            found |= study.ways[model] | {"profile": study.runs}
        found = {name: value for name, value in found.items() if value}
        return found | (dict.fromkeys(self._elsewhere(notebook, model), EMPTY) if model else {})

    def _elsewhere(self, notebook: str, model: str) -> list[str]:
        """Parameters of the experiments that the job of another network makes."""
        all_of_it = self.parts(notebook)
        makes = {
            name: next((each for each in first if each in all_of_it), all_of_it[0])
            for name, first in ONCE.get(notebook, {}).items()
        }
        return [name for name in makes if makes[name] != model and name in self.values(notebook)]

    def identity(self, notebook: str, seed: int, model: str = "") -> Identity:
        """What an executed copy is made of; a notebook that trains has a copy for each seed, or seed and network."""
        key = notebook, seed if trains(notebook) else 0, model
        if key not in self._known:
            self._known[key] = _identity(self, *key)
        return self._known[key]

    def output(self, notebook: str, seed: int, folder: str = "", model: str = "") -> str:
        """Path of an executed copy, named by what makes it."""
        which = "-".join(filter(None, [notebook, model, f"seed{seed}" if self.per_seed(notebook) else ""]))
        return str(self.executed / folder / f"{which}-{self.identity(notebook, seed, model).digest[:8]}.ipynb")

    def values(self, notebook: str) -> dict[str, object]:
        """All parameters of a notebook in this profile: what its file leaves out has the notebook's own default."""
        return defaults(paths.home() / "notebooks" / f"{notebook}.ipynb") | read_parameters(self.parameters(notebook))

    def outputs(self, notebook: str) -> list[str]:
        """Paths of all executed copies of a notebook, in the order of the seeds."""
        return [self.output(notebook, seed, model=model) for seed, model in self.jobs(notebook)]

    def reads_data(self, notebook: str) -> bool:
        """Whether a notebook works on slices, and so takes the data folder."""
        return "data_dir" in defaults(paths.home() / "notebooks" / f"{notebook}.ipynb")

    def before(self, notebook: str) -> list[str]:
        """Notebooks whose copies must exist before this one runs."""
        return [n for n in self.notebooks if (n < LAST if notebook == LAST else n in AFTER.get(notebook, ()))]

    def copies_before(self, notebook: str, seed: int, model: str = "") -> list[str]:
        """Paths of the executed copies that must exist before one of this notebook is made."""
        if notebook == LAST:
            return [output for other in self.before(notebook) for output in self.outputs(other)]
        return [
            self.output(other, seed, model=part)
            for other in self.before(notebook)
            for part in self.parts(other)
            if self.uses(model, part)
        ]

    def asked_for(self) -> list[str]:
        """Notebooks that this plan runs, in order: its targets and what must exist before them."""
        wanted, new = set(), set(self.targets)
        while new:
            wanted |= new
            new = {other for notebook in new for other in self.before(notebook)} - wanted
        return [notebook for notebook in self.notebooks if notebook in wanted]

    @staticmethod
    def uses(model: str, part: str) -> bool:
        """Whether a copy of one network (empty: of all) uses another notebook's copy of ``part`` (empty: of all)."""
        return not part or not model or model == part == STARTED


def make_plan(
    profile: str = "",
    data: str = "",
    seeds: str = "",
    models: str = "",
    weights: str = "",
    split: str = "",
    beyond: bool = False,
    study: str = "",
) -> Plan:
    """Check a request and every parameters file, and return the plan.

    ``data`` falls back to ``STROKE_DATA``; ``seeds`` (as ``0,1,2``) and ``models`` (as ``cnn,resnet18``) to the
    parameters files' own, and so does ``weights``. ``split`` is ``models`` or empty. ``beyond`` asks for the notebooks
    beyond the paper, ``study`` for one of ``studies.STUDIES``, by default with ``studies.SEEDS``.

    Raises:
        UserError: unknown profile, no such data folder or not enough in it for the study, ill seeds, unknown models or
            any for a study, no such weights, an unknown split or study, or an ill parameters file.
    """
    if study:
        check_known(study, studies.STUDIES, "study")
    if study and models:
        raise UserError(f"MODELS={models}: a study says itself which networks it trains. Leave MODELS out.")
    if split not in ("", MODELS):
        raise UserError(
            f"SPLIT={split} is unknown. Write SPLIT={MODELS} for one job a network and seed, or leave it out."
        )
    profile = profile or "quick"
    parameters.params_folder(profile)  # refuses an unknown one
    data = str(data or os.environ.get("STROKE_DATA", ""))
    words = str(seeds).replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() and int(word) <= parameters.TABLE["seed"].high for word in words):
        raise UserError(f"SEEDS={seeds} is no list of whole numbers. Write for instance SEEDS=0,1,2.")
    plan = Plan(profile, data, tuple(sorted({int(word) for word in words})), beyond=True)
    _check_files(plan)  # of all notebooks
    plan = replace(plan, beyond=bool(beyond or study), study=study, _known={})
    if data:
        folder = Path(data).expanduser().resolve()
        if not folder.is_dir() or not any(folder.iterdir()):
            what = "is empty" if folder.is_dir() else "does not exist"
            raise UserError(f"The data folder {folder} {what}. Give the unpacked data set: DATA=/path/to/folder.")
        plan = replace(plan, data=str(folder))
    elif any(plan.values(notebook).get("phantom_size") == "paper" for notebook in plan.notebooks):
        raise UserError(
            f"PROFILE={profile} works on the real data; give its folder: "
            f"make reproduce PROFILE={profile} DATA=/path/to/data (or set STROKE_DATA). See data/README.md."
        )
    if not plan.seeds and plan.study:
        plan = replace(plan, seeds=studies.SEEDS)
    if not plan.seeds:
        plan = replace(plan, seeds=(plan.values(plan.first_reader).get("seed", 0),))
    names = tuple(str(models).replace(",", " ").split())
    training = [notebook for notebook in plan.notebooks if notebook in PER_SEED]
    known = list(dict.fromkeys(name for notebook in training for name in plan.values(notebook).get("models", [])))
    if strangers := [name for name in names if name not in known]:
        raise UserError(
            f"MODELS={models}: no notebook of this profile trains {', '.join(strangers)}. Known: {', '.join(known)}."
        )
    plan = replace(plan, models=names, weights=_weights(str(weights)), split=split, _known={})
    plan = replace(plan, left_out=_left_out(plan), _known={}) if data else plan
    if study and (lacking := dict(plan.left_out).get(studies.STUDIES[study].notebook)):
        raise UserError(f"{plan.data} is not enough for the study {study}. {lacking}")
    return plan


NEEDS = {
    "02_mask_extraction": "overlays",
    "03_phase1_detection": "detection",
    "04_phase2_classification": "type",
    "05_segmentation": "regions",
    "08_leakage_and_shortcuts": "detection heads",
    "09_trust": "detection type regions heads",
    "10_one_model": "detection type regions heads",
    "11_read_a_scan": "detection type regions",
}
"""What notebooks need of a data folder: tasks of ``data.verdict`` that can be trained, overlays of both types, or heads
enough for a split by head."""

FEWEST_HEADS = 5
"""Of each class in the training part, so that a split by head has one of each in validation, which is a fifth."""


def _left_out(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Name the notebooks that a data folder is not enough for, and what it lacks; nothing where it can't be read.

    What was found is kept by the folder's files, because Snakemake asks anew for every notebook that it runs.

    Raises:
        UserError: no notebook that trains is possible.
    """
    made_by = identity.Identity("uses", ("data.cohort",), {"files": _listing(plan.data), "folder": plan.data})
    kept = made_by.path / "lacks.json"
    if made_by.fault(made_by.path) is None and kept.is_file():
        lacks = files.read_json(kept)
    else:
        try:
            cohort = read_cohort(plan.data, quiet=True)
        except UserError:  # the first notebook says what is wrong with it
            return ()
        lacks = _lacks(cohort)
        files.write_json(made_by.folder() / "lacks.json", lacks)
    asked = {notebook: need for notebook, need in NEEDS.items() if plan.beyond or not goes_beyond(notebook)}
    reasons = {
        notebook: {lacks[each]: None for each in need.split() if lacks[each]} for notebook, need in asked.items()
    }
    impossible = {notebook: " ".join(said) for notebook, said in reasons.items() if said}
    if set(PER_SEED) <= set(impossible):
        reasons = " ".join(dict.fromkeys(impossible[notebook] for notebook in PER_SEED))
        raise UserError(f"Nothing can be trained on {plan.data}. {reasons} `stroke-regions check` tells what is there.")
    return tuple(sorted(impossible.items()))


def _lacks(cohort: Cohort) -> dict[str, str]:
    """Say for each of the values of ``NEEDS`` what a cohort lacks, empty where it has all.

    A missing test is no lack: then validation is scored, and the notebook says so.
    """
    lacks = {judged.task: " ".join(judged.lacks) for judged in cohort.verdicts()}
    painted = set(cohort.slices.dropna(subset="overlay")["label"])
    without = [name for name in TYPES if name not in painted]
    train = cohort.slices[cohort.slices["part"] == "train"].dropna(subset="label")
    heads = train["patient"].fillna(train["slice_id"]).groupby(train["label"]).nunique().to_dict()
    few = [f"{n} of {label}" for label, n in heads.items() if n < FEWEST_HEADS]
    said = f"A split by head takes {FEWEST_HEADS} heads of each class in training; there are {', '.join(few)}."
    lacks["heads"] = said if few else ""
    return lacks | {"overlays": f"There is no overlay of {' and none of '.join(without)}." if without else ""}


def _weights(given: str) -> str:
    """Return what networks start from: a word as it is, a path in full, so that it holds in the notebooks' folder."""
    if given in ("", *STARTING_WEIGHTS):
        return given
    path = Path(given).expanduser().resolve()
    if not path.exists():
        raise UserError(
            f"WEIGHTS={given} is no file or folder. Give {', '.join(STARTING_WEIGHTS)}, a Keras weights file (.h5), "
            "or a folder of such files under their publishers' names."
        )
    return str(path)


def _check_files(plan: Plan) -> None:
    """Compare the parameters files of all profiles with the notebooks; report every problem at once."""
    if not plan.notebooks:
        raise UserError(f"There are no notebooks in {paths.home() / 'notebooks'}. Restore them from git.")
    said = {}
    known = {notebook: defaults(paths.home() / "notebooks" / f"{notebook}.ipynb") for notebook in plan.notebooks}
    for profile in parameters.profiles():
        folder = parameters.params_folder(profile)
        strays = {path.stem for path in folder.glob("*.y*ml")} - set(known)
        said |= {f"params/{profile}/{stem}.yaml": ["belongs to no notebook."] for stem in sorted(strays)}
        for notebook in plan.notebooks:
            name = f"params/{profile}/{notebook}.yaml"
            try:
                given = read_parameters(folder / f"{notebook}.yaml")
            except UserError as error:
                said[name] = [str(error)]
                continue
            values, said[name] = parameters.faults(notebook, given, known[notebook])
            if values.get("profile", profile) != profile:
                said[name].append(f"'profile' is {values['profile']!r}; expected {profile!r}.")
    parameters.refuse(said)


def _identity(plan: Plan, notebook: str, seed: int, model: str) -> Identity:
    page = read_notebook(paths.home() / "notebooks" / f"{notebook}.ipynb")
    cells = [(cell.cell_type, cell.source) for cell in page.cells]
    code = "\n".join(plain(source) for kind, source in cells if kind == "code")
    seeds, before = (plan.seeds, plan.before(notebook)) if notebook == LAST else ((seed,), STARTS.get(notebook, ()))
    paper = _files("params/paper", "*.yaml" if notebook == LAST else f"{notebook}.yaml")  # it prints departures from it
    inputs = {
        "before": {
            " ".join([other, str(s), *filter(None, [part])]): plan.identity(other, s, part).digest
            for other in before
            if other in plan.notebooks
            for s in seeds
            for part in plan.parts(other)
            if notebook == LAST or plan.uses(model, part)
        },
        "data": _data(plan, notebook),
        "weights": _listing(plan.weights) if "weights" in plan.changes(notebook, seed, model) else None,
        "paper": identity.digest([path.read_text(encoding="utf-8") for path in paper]),
        "package": identity.digest([identity.sha256(path) for path in _other_files()]),
    }
    values = read_parameters(plan.parameters(notebook)) | plan.changes(notebook, seed, model)
    settings = {"notebook": notebook, "cells": identity.digest(cells, 12), "values": values}
    return Identity("executed", identity.modules_of(code), inputs, settings, given=(), wings=True)


def _files(folder: str, pattern: str) -> list[Path]:
    return sorted((paths.home() / folder).glob(pattern))


def _other_files() -> list[Path]:
    """List the package's files that are no code and that notebooks read, such as the schema of records."""
    wings = (path for path in identity.PACKAGE.glob("*") if path.is_dir() and path.name != "course")
    found = (path for wing in wings for path in wing.rglob("*"))  # no notebook reads the templates of course
    return sorted(path for path in found if path.is_file() and path.suffix not in (".py", ".pyc"))


def _listing(folder: str) -> str:
    """Return a digest of names, sizes and times of a file or of all files below a folder: quicker than reading."""
    found = [(folder, os.stat(folder).st_size, os.stat(folder).st_mtime_ns)] if os.path.isfile(folder) else []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            about = os.lstat(path)  # a link may lead nowhere
            found.append((os.path.relpath(path, folder), about.st_size, about.st_mtime_ns))
    return identity.digest(sorted(found), 12)


def _data(plan: Plan, notebook: str) -> object:
    """Name the data that a notebook works on: a folder by its files, the phantom by the code that draws it."""
    if not plan.reads_data(notebook):
        return None
    if plan.data:
        if "files" not in plan._known:
            plan._known["files"] = _listing(plan.data)
        return {"folder": plan.data, "files": plan._known["files"]}
    return {"phantom": identity.code_version("phantom.writer", given=())}


def plain(source: str) -> str:
    """Return a cell's Python without the lines that only IPython understands."""
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))

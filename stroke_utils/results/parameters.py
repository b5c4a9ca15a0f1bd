"""Parameters of notebooks: one table of them, their files, and one check that names every fault at once.

Types, ranges, choices, papermill's help, what belongs to a run's name and what to the ledger of assumptions: all of it
comes from :data:`TABLE`. A new parameter is one more row there.
"""

import ast
import difflib
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import yaml

from stroke_utils.base import paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import (
    ALL_ENCODERS,
    AUGMENTATIONS,
    DETECTORS,
    MASK_METHODS,
    PHANTOM_SIZES,
    PIXEL_FORMS,
    RECIPES,
    TYPE_CLASSIFIERS,
    VARIANTS,
)

ROLES = {
    "identifies": "how something is computed: the recipe, which the paper states or leaves open",
    "how often": "on how many things the recipe is tried: seeds, networks, slices",
    "display": "how much of the result is shown",
    "where": "where data and results are, and whether older results may be loaded",
}
"""Roles of parameters. A run's name depends on all but ``where``; runs that agree in what ``identifies`` them belong to
one experiment, and these parameters alone count in the ledger of assumptions, save the kit's own knobs."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter, the same in every notebook that has it.

    ``help``, ``choices`` and ``multiple_of`` may be dictionaries by the number of the notebook (``03``), where the key
    ``""`` stands for all others.

    Attributes:
        name: the variable in the cell tagged ``parameters``.
        kind: ``bool``, ``int``, ``float`` or ``str``; of a list, that of its items.
        role: a key of :data:`ROLES`.
        help: the comment beside it in that cell, which papermill shows as help.
        many: whether it is a list; it may also come as comma-separated text.
        may_be_empty: whether the list may have no items.
        parts: of a list whose every place has its own meaning, name, least and greatest value of each place. It has
            exactly these, and two may be equal.
        low: least value, itself included.
        high: greatest value, itself included.
        multiple_of: what a whole number must be a multiple of.
        choices: the only values it may have; empty: any.
        trains: whether a single trained network depends on it.
        kit: whether it is a knob of this kit that no paper could state; the ledger shows it and does not count it.
    """

    name: str
    kind: type
    role: str
    help: str | dict[str, str]
    many: bool = False
    may_be_empty: bool = False
    parts: tuple[tuple[str, float, float], ...] = ()
    low: float | None = None
    high: float | None = None
    multiple_of: int | dict[str, int] = 1
    choices: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    trains: bool = True
    kit: bool = False

    def help_in(self, notebook: str) -> str:
        """Return the help text of a notebook, given by its stem."""
        return _in(notebook, self.help)

    def expected(self, notebook: str) -> str:
        """Say in words which values a notebook takes."""
        if choices := _in(notebook, self.choices):
            return f"{'one or more' if self.many else 'one'} of {', '.join(choices)}"
        if self.kind in (str, bool):
            return ("words, comma-separated" if self.many else "text") if self.kind is str else "true or false"
        one, several = ("whole number", "whole numbers") if self.kind is int else ("number", "numbers")
        if self.parts:
            ranges = ", ".join(f"{part} from {low:.15g} to {high:.15g}" for part, low, high in self.parts)
            return f"{len(self.parts)} {several}, comma-separated: {ranges}"
        words = f"{several}, comma-separated, each" if self.many else f"a {one}"
        words += f" from {self.low:.15g} to {self.high:.15g}"
        multiple = _in(notebook, self.multiple_of)
        return words if multiple == 1 else f"{words}, a multiple of {multiple}"

    def read(self, value: object, notebook: str) -> object:
        """Return ``value`` in the type of the parameter.

        Words of a command line are understood: ``"0.5"``, ``"true"``, ``"cnn, resnet18"``.

        Raises:
            ValueError: the value is none that the notebook takes; the text says what was found and expected.
        """
        items = _listed(value) if self.many else [value]
        if not items and not self.may_be_empty:
            raise ValueError(f"{self.name!r} is empty; expected {self.expected(notebook)}.")
        if self.parts and len(items) != len(self.parts):
            raise ValueError(f"{self.name!r} is {value!r}; expected {self.expected(notebook)}.")
        read, wrong = [], []
        for place, item in enumerate(items):
            try:
                read.append(self._read_one(item, notebook, place))
            except (TypeError, ValueError, OverflowError):
                part = f"{self.parts[place][0]} " if self.parts else ""
                wrong.append(f"{part}{item!r}{_near(item, _in(notebook, self.choices))}")
        if wrong:
            found = f"{self.name!r} {'has' if self.many else 'is'} {', '.join(wrong)}"
            raise ValueError(f"{found}; expected {self.expected(notebook)}.")
        if len(set(read)) < len(read) and not self.parts:
            raise ValueError(f"{self.name!r} is {read}; expected nothing twice.")
        return read if self.many else read[0]

    def _read_one(self, item: object, notebook: str, place: int) -> object:
        read, choices = _READERS[self.kind](item), _in(notebook, self.choices)
        if (choices and read not in choices) or not self._in_range(read, notebook, place):
            raise ValueError
        return read

    def _in_range(self, read: object, notebook: str, place: int) -> bool:
        low, high = self.parts[place][1:] if self.parts else (self.low, self.high)
        if low is None:
            return True
        fits = self.kind is float or read % _in(notebook, self.multiple_of) == 0
        return fits and low <= read <= high


def _listed(value: object) -> list:
    """Return the items of a list; it may come as comma-separated text or as one item alone."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _in(notebook: str, entry: object) -> object:
    """Return what an entry of the table says of a notebook."""
    return entry.get(notebook[:2], entry.get("")) if isinstance(entry, dict) else entry


def _near(word: object, known: Iterable[str]) -> str:
    """Return a question after the nearest known word, or an empty text."""
    near = difflib.get_close_matches(str(word), sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _text(value: object) -> str:
    """Read text; papermill turns ``-p data_dir 2021`` into a number, which is turned back."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | os.PathLike):
        raise TypeError
    return str(value)


def _switch(value: object) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _whole_number(value: object) -> int:
    number = _number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


_READERS = {str: _text, bool: _switch, float: _number, int: _whole_number}


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


_GREATEST_SEED = 2**32 - 1  # what numpy and Keras take

RATE_FROM_RANDOM = 0.001
"""Least learning rate of a network that starts from random weights, or along a cosine from ImageNet's, and has no rate
of its own: Adam's usual one."""

_ROWS = (
    Parameter(
        name="profile",
        kind=str,
        role="where",
        help={
            "06": "name of the settings whose records are read, and of the folder under results/",
            "": "name of the settings, and of the folder under results/",
        },
    ),
    Parameter(
        name="data_dir",
        kind=str,
        role="where",
        help="folder of the unpacked data set; empty: the environment variable STROKE_DATA, else the phantom",
    ),
    Parameter(
        name="phantom_size",
        kind=str,
        role="how often",
        choices=PHANTOM_SIZES,
        help=f"{_or(PHANTOM_SIZES)}; counts only where the phantom is used",
    ),
    Parameter(
        name="seed",
        kind=int,
        role="how often",
        low=0,
        high=_GREATEST_SEED,
        help={
            "00": "nothing here is random; part of the run's name",
            "01": "chooses the slices that are shown",
            "02": "chooses the slices on which the rules are compared",
            "05": "of the split, the starting weights and the order",
            "06": "nothing here is random; part of the run's name",
            "07": "nothing here is random; part of the run's name",
            "08": "of the audit: patients, folds, forests and intervals",
            "09": "of the finished networks that are looked at, of the split and of the long run",
            "11": "of the strange pictures and of the choice of slices",
            "": "of the split, the starting weights, the order and the augmentation",
        },
    ),
    Parameter(
        name="samples", kind=int, role="display", trains=False, low=1, high=1000, help="slices shown of each class"
    ),
    Parameter(
        name="grey_sample",
        kind=int,
        role="display",
        trains=False,
        low=1,
        high=1_000_000,
        help="slices of each class whose grey values are drawn",
    ),
    Parameter(
        name="audit_patients",
        kind=int,
        role="how often",
        trains=False,
        low=0,
        high=1_000_000,
        help="patients of each class that the audit looks at, drawn at random; 0: all",
    ),
    Parameter(
        name="control_size",
        kind=str,
        role="how often",
        trains=False,
        choices=PHANTOM_SIZES,
        help=f"size of the phantom with the planted shortcut: {_or(PHANTOM_SIZES)}",
    ),
    Parameter(
        name="compare_slices",
        kind=int,
        role="how often",
        trains=False,
        low=1,
        high=1_000_000,
        help={
            "09": "test slices at most that are changed, and that are segmented",
            "11": "slices of session 2 at most that are read, to count those refused",
            "": "overlays on which the rules are compared",
        },
    ),
    Parameter(
        name="hsv_least",
        kind=int,
        role="identifies",
        many=True,
        parts=(("saturation", 1, 255), ("value", 0, 255)),  # grey has saturation 0
        help="least saturation (1 to 255) and value (0 to 255) of the paper's rule; the paper gives no number",
    ),
    Parameter(
        name="mask_method",
        kind=str,
        role="identifies",
        choices=MASK_METHODS,
        help={
            "02": f"rule that writes the masks of the later notebooks: {_or(MASK_METHODS)}",
            "": f"rule that makes the masks, see notebook 2: {_or(MASK_METHODS)}",
        },
    ),
    Parameter(
        name="models",
        kind=str,
        role="how often",
        trains=False,
        many=True,
        choices={
            "03": DETECTORS,
            "04": TYPE_CLASSIFIERS,
            "05": ALL_ENCODERS,
            "": tuple(dict.fromkeys(DETECTORS + TYPE_CLASSIFIERS + ALL_ENCODERS)),
        },
        help={
            "03": "detectors to train",
            "04": "classifiers to train",
            "05": f"encoders of the U-Nets to train: {', '.join(ALL_ENCODERS)}",
            "": "networks to train",
        },
    ),
    Parameter(
        name="encoder",
        kind=str,
        role="identifies",
        choices=ALL_ENCODERS,
        help=f"of all networks: {_or(ALL_ENCODERS)}",
    ),
    Parameter(
        name="size",
        kind=int,
        role="identifies",
        low=32,  # the least that Keras' networks take
        high=4096,
        # A U-Net halves its input five times, the small one of 09 three.
        multiple_of={"05": 32, "09": 16, "10": 32, "": 1},
        help={
            "05": "side of the images in pixels, a multiple of 32",
            "09": "side of the small networks' images in pixels, a multiple of 16",
            "10": "side of the images in pixels, a multiple of 32",
            "": "side of the images in pixels",
        },
    ),
    Parameter(
        name="pixels",
        kind=str,
        role="identifies",
        choices=PIXEL_FORMS,
        help="what the networks see: unit ([0, 1], as the paper) or imagenet (as the library's weights expect)",
    ),
    Parameter(
        name="recipe",
        kind=str,
        role="identifies",
        choices=tuple(RECIPES),
        kit=True,
        help={
            "10": "how the networks are trained, see notebook 5: paper, strong, or one step of strong, as paper+crop",
            "": "how the networks are trained: paper, strong, or paper and one step of strong, as paper+crop",
        },
    ),
    Parameter(name="batch", kind=int, role="identifies", low=1, high=4096, help="slices per training step"),
    Parameter(
        name="epochs",
        kind=int,
        role="identifies",
        low=1,
        high=10_000,
        help={
            "05": "passes over the training slices",
            "09": "passes of the long run; the other trainings take a fraction of it",
            "10": "passes of the one network over its training slices; the others take as many steps",
            "": "passes over the training slices at most",
        },
    ),
    Parameter(
        name="own",
        kind=str,
        role="identifies",
        many=True,
        may_be_empty=True,
        kit=True,
        help="of single networks",
    ),
    Parameter(
        name="learning_rate",
        kind=float,
        role="identifies",
        low=1e-9,
        high=10,
        help={
            "05": "of Adam",
            "09": "of Adam",
            "10": "of Adam",
            "": f"of Adam; at least {RATE_FROM_RANDOM} from random weights, from ImageNet's too if reduce_after is 0",
        },
    ),
    Parameter(
        name="reduce_after",
        kind=int,
        role="identifies",
        low=0,
        high=10_000,
        help="epochs without a better validation loss before the rate is halved; 0: it follows a cosine instead",
    ),
    Parameter(
        name="stop_after",
        kind=int,
        role="identifies",
        low=0,
        high=10_000,
        help="epochs without a better validation loss before training stops; 0: never",
    ),
    Parameter(
        name="dropout", kind=float, role="identifies", low=0, high=0.99, help="share of features dropped in the head"
    ),
    Parameter(
        name="batchnorm_momentum",
        kind=float,
        role="identifies",
        low=0,
        high=0.9999,
        kit=True,
        help="share of BatchNorm's old averages kept at each step; 0 keeps each network's own value",
    ),
    Parameter(
        name="mirror",
        kind=bool,
        role="identifies",
        help="show training slices mirrored, with their masks, in about half of the passes",
    ),
    Parameter(
        name="stochastic_depth",
        kind=bool,
        role="identifies",
        help="let EfficientNetB3 leave out whole blocks at random while it trains, as its authors do",
    ),
    Parameter(name="augmentation", kind=str, role="identifies", choices=AUGMENTATIONS, help=_or(AUGMENTATIONS)),
    Parameter(
        name="weights",
        kind=str,
        role="identifies",
        help={
            "05": "starting weights of the encoder: none, imagenet, phantom (of MobileNetV2), a file or a folder",
            "10": "starting weights of the encoder: none, imagenet, phantom (of MobileNetV2), a file or a folder",
            "": "starting weights of the backbones: none, imagenet, phantom, a file or a folder of files",
        },
    ),
    Parameter(
        name="phase1_encoder",
        kind=str,
        role="identifies",
        help="start of ResNet-18: auto (phase 1's), none, or a detector's weights file",
    ),
    Parameter(
        name="other_starts",
        kind=str,
        role="how often",
        trains=False,
        many=True,
        may_be_empty=True,
        help={
            "04": "what ResNet-18 is trained from besides; an empty list leaves it out",
            "": "what the smallest network is trained from besides; an empty list leaves it out",
        },
    ),
    Parameter(
        name="variants",
        kind=str,
        role="how often",
        trains=False,
        many=True,
        may_be_empty=True,
        choices=tuple(VARIANTS),
        help=f"of the one network that are trained besides: {', '.join(VARIANTS)}",
    ),
    Parameter(
        name="experiment_seeds",
        kind=int,
        role="how often",
        trains=False,
        many=True,
        may_be_empty=True,
        low=0,
        high=_GREATEST_SEED,
        help={
            "08": "of the trainings: splits, starting weights and order",
            "09": "of the learning curve and of the two kinds of masks; an empty list: the seed above",
            "": "of the augmentation experiment; an empty list leaves it out",
        },
    ),
    Parameter(
        name="deterministic",
        kind=bool,
        role="identifies",
        kit=True,
        help="give the same numbers in each run on one machine; false lets threads add in any order",
    ),
    Parameter(
        name="reuse", kind=bool, role="where", help="load a finished run of the same settings instead of training again"
    ),
)

WEIGHTS = ("weights", "phase1_encoder", "other_starts")
"""Parameters that may name files of weights."""

TABLE = {row.name: row for row in _ROWS}
"""Every parameter that a notebook has, by name."""


PAPER_ENDS = 7
"""Number of the last notebook about the paper; those after it go beyond, and ``make beyond`` runs them."""


def goes_beyond(notebook: str) -> bool:
    """Tell whether a notebook is of ``make beyond``: by the number that its stem begins with."""
    number = notebook.partition("_")[0]
    return number.isdecimal() and int(number) > PAPER_ENDS


def role(name: str) -> str:
    """Return the role of a parameter; one that the table knows no more, as in an old record, ``identifies``."""
    return TABLE[name].role if name in TABLE else "identifies"


def of_today(values: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of an older record by today's names: ``hsv_least`` was ``saturation`` and ``value``."""
    if not {"saturation", "value"} <= values.keys():
        return dict(values)
    kept = {name: value for name, value in values.items() if name not in ("saturation", "value")}
    return kept | {"hsv_least": [values["saturation"], values["value"]]}


def of_run(values: Mapping[str, object]) -> dict[str, object]:
    """Keep the parameters that a run's name depends on: all that do not only say where something is."""
    return {name: value for name, value in values.items() if role(name) != "where"}


OWN = ("epochs", "learning_rate", "reduce_after", "stop_after", "dropout", "batchnorm_momentum", "augmentation")
"""What the parameter ``own`` may set for a single network."""


def of_network(values: Mapping[str, object], network: str) -> dict[str, object]:
    """Return the parameters that a single trained network depends on, with its own where ``own`` names some.

    A notebook with ``own`` has two rates for each, of which :func:`stroke_utils.learn.training.rate_for` takes one:
    ``learning_rate``, and ``learning_rate_random``, for random weights above all.
    """
    kept = {name: value for name, value in of_run(values).items() if name not in TABLE or TABLE[name].trains}
    if "own" in kept:
        own = {}
        for item in kept.pop("own"):
            owner, settings = _owned(item)
            own |= settings if owner == network else {}
        rate = own.get("learning_rate", max(RATE_FROM_RANDOM, kept["learning_rate"]))
        kept |= {"learning_rate_random": rate} | own
    return kept


def _faults_of_own(items: list[str], notebook: str) -> list[str]:
    """Return one sentence for each item of ``own`` that can't be read or is of a network that has one already."""
    said, seen = [], set()
    for item in items:
        try:
            owner, _ = _owned(item, notebook)
        except ValueError as error:
            said.append(f"'own' has {item!r}: {error}")
            continue
        if owner in seen:
            said.append(f"'own' names {owner} twice; expected all its settings in one text.")
        seen.add(owner)
    return said


def _owned(item: str, notebook: str = "") -> tuple[str, dict[str, object]]:
    """Read ``network setting=value setting=value``.

    Raises:
        ValueError: it is not of that form, or has a setting that no single network can have, or a wrong value.
    """
    owner, *rest = item.split()
    networks = _in(notebook, TABLE["models"].choices)
    if owner not in networks:
        raise ValueError(f"unknown network {owner!r}{_near(owner, networks)}; known are {', '.join(networks)}.")
    pairs = [each.partition("=") for each in rest]
    if not rest or not all(equals and value for _, equals, value in pairs):
        raise ValueError(f"expected setting=value after the network, as in '{owner} epochs=20 dropout=0.3'.")
    if wrong := [f"{name!r}{_near(name, OWN)}" for name, _, _ in pairs if name not in OWN]:
        raise ValueError(f"a network has no {', '.join(wrong)} of its own; known are {', '.join(OWN)}.")
    return owner, {name: TABLE[name].read(value, notebook) for name, _, value in pairs}


def faults(notebook: str, given: Mapping[str, object], known: Collection[str]) -> tuple[dict[str, object], list[str]]:
    """Read parameters of a notebook by the table.

    Args:
        notebook: stem of the notebook.
        given: the parameters.
        known: names of the parameters that the notebook has.

    Returns:
        The values that could be read, in their types, and one sentence for each fault.
    """
    values, said = {}, []
    unknown = [f"{name!r}{_near(name, known)}" for name in given if name not in known]
    if unknown:
        said.append(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    for name in [name for name in given if name in known]:
        if name not in TABLE:
            said.append(f"{name!r} has no row in the table of stroke_utils/results/parameters.py; add one.")
            continue
        try:
            values[name] = TABLE[name].read(given[name], notebook)
        except ValueError as error:
            said.append(str(error))
    return values, said + _faults_of_own(values.get("own", []), notebook)


def check(notebook: str, given: Mapping[str, object], known: Collection[str], where: str) -> dict[str, object]:
    """Return parameters of a notebook in their types.

    Args:
        notebook: stem of the notebook.
        given: the parameters.
        known: names of the parameters that the notebook has.
        where: what the parameters are from, for the message.

    Raises:
        UserError: names every fault: unknown names, wrong types, values out of range or of no known choice.
    """
    values, said = faults(notebook, given, known)
    refuse({where: said})
    return values


def refuse(said: Mapping[str, list[str]]) -> None:
    """Do nothing where there is no fault.

    Args:
        said: sentences by what they are about, a notebook or a file.

    Raises:
        UserError: all sentences, one a line.
    """
    lines = [f"{where}: {fault}" for where, faults_there in said.items() for fault in faults_there]
    if lines:
        raise UserError("\n".join([*lines, "Nothing has run yet. Correct this, then start again."]))


def profiles() -> list[str]:
    """Return the names of all profiles: the folders under ``<home>/params``.

    Raises:
        UserError: there is none.
    """
    root = paths.home() / "params"
    found = sorted(path.name for path in root.glob("*") if path.is_dir())
    if not found:
        raise UserError(
            f"There are no profiles in {root}. The project's folder needs its notebooks/ and params/: copy both there "
            "from a checkout, or set STROKE_HOME to a folder that has them."
        )
    return found


def params_folder(profile: str = "quick") -> Path:
    """Return the folder with the parameters files of a profile.

    Raises:
        UserError: no such profile.
    """
    known = profiles()
    if profile not in known:
        raise UserError(
            f"There is no profile {profile!r} under params/{_near(profile, known)}; known are {', '.join(known)}. "
            "Copy one to make your own."
        )
    return paths.home() / "params" / profile


def parameters_file(notebook: str, profile: str = "quick") -> Path:
    """Return the path of the parameters file of a notebook in a profile.

    Raises:
        UserError: no such profile.
    """
    return params_folder(profile) / f"{notebook}.yaml"


def read_parameters(path: str | os.PathLike) -> dict[str, object]:
    """Read a flat parameters file.

    Raises:
        UserError: no such file, no valid YAML, or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no parameters file {path}.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start + 1}): save it again in that encoding.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold lines 'key: value', found {type(values).__name__}.")
    return values


def settings(notebook: str, profile: str = "quick") -> SimpleNamespace:
    """Return the parameters of a notebook in a profile, one attribute each.

    What the profile's file leaves out is as in ``quick``, whose files equal the notebooks' own cells.

    Raises:
        UserError: no such profile or file, or faults in it.
    """
    quick = read_parameters(parameters_file(notebook))
    values = quick | read_parameters(parameters_file(notebook, profile))
    return SimpleNamespace(**check(notebook, values, quick, f"params/{profile}/{notebook}.yaml"))


def injected_names() -> set[str]:
    """Return the names that papermill assigned in this kernel, empty when a person runs the notebook."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    names = set()
    for source in shell.user_ns.get("In", []) if shell else []:
        if source.lstrip().startswith("# Parameters\n"):
            targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names


def of_notebook(notebook: str, namespace: Mapping[str, object]) -> dict[str, object]:
    """Return the checked parameters of a running notebook.

    Args:
        notebook: stem of the notebook, as ``03_phase1_detection``.
        namespace: the notebook's ``globals()``, which holds the parameters.

    Raises:
        UserError: names every fault, and every parameter that is not set.
    """
    known = list(vars(settings(notebook)))
    given = {name: namespace[name] for name in known if name in namespace}
    values, said = faults(notebook, given | {name: namespace.get(name) for name in injected_names()}, known)
    missing = [name for name in known if name not in namespace]
    if missing:
        said.append(f"run the cell tagged 'parameters' first: {', '.join(missing)} not set.")
    refuse({f"Notebook {notebook}": said})
    return {name: values[name] for name in known}

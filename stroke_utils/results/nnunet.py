"""A data set for nnU-Net v2 from a cohort, and nnU-Net's answers in one table with the U-Nets of a run.

nnU-Net is what a U-Net is usually measured against. It is neither run nor needed here: these are its files, as its own
documentation describes them (MIC-DKFZ/nnUNet, ``documentation/dataset_format.md`` and ``manual_data_splits.md``), with
the slices, masks and split of notebook 05.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils.base import errors, files, paths, progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MASK_CLASSES, RECIPES, TYPES, UNET_TITLES, plain
from stroke_utils.data import masks, splits
from stroke_utils.data.class_masks import write_class_masks
from stroke_utils.data.cohort import Cohort
from stroke_utils.evaluate import leakage, overlap
from stroke_utils.results import outputs, parameters, runs, tables
from stroke_utils.results.outputs import TABLE_NOTEBOOKS

NOTEBOOK = TABLE_NOTEBOOKS["III"]
"""The notebook whose slices, masks and split are exported."""

PARTS = {"session2": "test", "validation": "validation"}
"""The split's name of each part that can be scored."""

CONVENTIONS = [name for name in overlap.CONVENTIONS if not name.startswith(("soft_", "hard_"))]
"""The conventions that need no probabilities: a mask has none, so it has none to cut at 0.5 either."""

CASES = "cases.json"
"""File beside ``dataset.json``, ours: which slice each case is, and from what the data set was made."""

TITLE = "nnU-Net"

_SHOWN = 10  # slices that a report names


@dataclass(frozen=True)
class Exported:
    """A data set that was written.

    Attributes:
        folder: its ``DatasetXXX_Name``.
        cases: case, slice_id, label, patient, split (train, validation or test), width, height.
        left_out: why each stroke slice that is not in it is not, by slice id.
        set_aside: files that reading the cohort had set aside before.
    """

    folder: Path
    cases: pd.DataFrame
    left_out: dict[str, str]
    set_aside: int

    def report(self) -> str:
        """Say what was written, what was left out, and how to go on in a shell with nnU-Net."""
        counts = {part: int((self.cases["split"] == part).sum()) for part in ("train", "validation", "test")}
        lines = ["{}: {train} slices to train, {validation} to validate, {test} to test".format(self.folder, **counts)]
        if not counts["test"]:
            lines.append("There is no session 2, so there is no imagesTs.")
        trained = set(self.cases.loc[self.cases["split"] == "train", "label"])
        lines += [f"No slice to train on is labelled {label}." for label in TYPES if label not in trained]
        lines.append(f"Stroke slices left out: {len(self.left_out) or 'none'}")
        lines += [f"  {slice_id}: {why}" for slice_id, why in [*self.left_out.items()][:_SHOWN]]
        if len(self.left_out) > _SHOWN:
            lines.append(f"  and {len(self.left_out) - _SHOWN} more: see {CASES}")
        if self.set_aside:
            lines.append(f"Files set aside before that: {self.set_aside}; `stroke-regions check FOLDER` names them.")
        return "\n".join([*lines, "", "Then, where nnU-Net v2 is installed:", *(f"  {s}" for s in self.next_steps())])

    def next_steps(self) -> list[str]:
        """Return the commands that take the data set through nnU-Net and back."""
        folder, number = self.folder.resolve(), int(self.folder.name[7:10])
        raw, name = shlex.quote(str(folder)), self.folder.name
        lines = [
            f"export nnUNet_raw={shlex.quote(str(folder.parent))}  # set nnUNet_preprocessed and nnUNet_results too",
            f"nnUNetv2_plan_and_preprocess -d {number} -c 2d --verify_dataset_integrity",
            f'cp {raw}/splits_final.json "$nnUNet_preprocessed"/{name}/',
            f"nnUNetv2_train {number} 2d 0",
        ]
        if (self.cases["split"] == "test").any():
            lines.append(f"nnUNetv2_predict -i {raw}/imagesTs -o PREDICTED -d {number} -c 2d -f 0")
            return [*lines, f"stroke-regions nnunet score PREDICTED --dataset {raw}"]
        predicted = f'"$nnUNet_results"/{name}/nnUNetTrainer__nnUNetPlans__2d/fold_0/validation'
        return [*lines, f"stroke-regions nnunet score {predicted} --dataset {raw} --part validation"]


@dataclass(frozen=True)
class Scored:
    """What a folder of predicted masks is worth.

    Attributes:
        table: one row a slice: case, slice_id, split, label, patient and what
            :func:`stroke_utils.evaluate.overlap.mask_scores` gives.
        scores: score dictionaries by model, part and convention, as a run record holds them: the U-Nets of the run on
            these very slices, then ``nnunet``.
        conventions: nnU-Net's scores, of :func:`stroke_utils.evaluate.overlap.scores_by_convention`.
        problems: file, kind and detail of all that was not scored.
        part: a key of :data:`PARTS`.
        expected: its slices.
    """

    table: pd.DataFrame
    scores: dict[str, dict]
    conventions: pd.DataFrame
    problems: pd.DataFrame
    part: str
    expected: int

    def beside(self) -> pd.DataFrame:
        """Lay out nnU-Net's scores under those of the U-Nets, as notebook 05 does.

        See :func:`stroke_utils.results.tables.score_table`.
        """
        found = [parts[self.part] for parts in self.scores.values()]
        both = [name for name in CONVENTIONS if all(name in scores for scores in found)]
        return tables.score_table(self.scores, self.part, both, UNET_TITLES | {"nnunet": TITLE})

    def report(self) -> str:
        """Give the table as text, one row a convention, with what it is read by, and the problems."""
        lines = [f"{self.part}: {len(self.table)} of {self.expected} slices have a mask that can be scored.", ""]
        lines += [self.beside().T.to_string(), ""]
        lines += [f"{name.replace('_', ' ')}: {overlap.CONVENTIONS[name]}" for name in CONVENTIONS]
        lines += ["", tables.independent_units(self.scores)]
        if len(self.scores) > 1:
            lines.append("All are of the same slices. The U-Nets' masks are the most probable class of each pixel.")
        lines += ["", f"Problems: {len(self.problems) or 'none'}"]
        for kind, group in self.problems.groupby("kind", sort=False):
            lines.append(f"  {kind}: {len(group)}")
            lines += [f"    {row.file}: {row.detail}" for row in group.head(3).itertuples()]
        return "\n".join(lines)

    def keep(self, folder: str | os.PathLike) -> None:
        """Write ``predictions.csv`` (slice by slice), ``scores.csv`` and ``problems.csv`` into a folder.

        Raises:
            UserError: it cannot be written.
        """
        rows = [
            {"model": model, "part": part, "metric": name, **found}
            for model, parts in self.scores.items()
            for part, named in parts.items()
            for name, found in named.items()
        ]
        found = {"predictions": self.table, "scores": pd.DataFrame(rows), "problems": self.problems}
        for name, table in found.items():
            files.write_table(Path(folder) / f"{name}.csv", table)


def find_run(named: str | os.PathLike) -> tuple[Path, dict]:
    """Find a finished run of notebook 05 by its folder or by its name.

    Returns:
        Its folder, and its record.

    Raises:
        UserError: there is none, or its record cannot be used.
    """
    known = sorted(path.parent for path in paths.results_root().glob(f"*/{NOTEBOOK}/*/record.json"))
    found = [Path(named)] if (Path(named) / "record.json").is_file() else [f for f in known if f.name == str(named)]
    if len(found) != 1:
        there = "\n".join(f"  {folder}" for folder in known) or "  none; `make reproduce` makes some"
        why = "several profiles have a run of this name, so give its folder" if found else "there is no such run"
        raise UserError(f"--run {named}: {why}. Finished runs of {NOTEBOOK}:\n{there}")
    record, said = runs.read(found[0] / "record.json")
    if record is None:
        raise UserError(said)
    if record["notebook"] != NOTEBOOK:
        raise UserError(f"{found[0]} is a run of {record['notebook']}; only those of {NOTEBOOK} segment slices.")
    return found[0], record


def run_of(dataset: str | os.PathLike, named: str = "") -> Path | None:
    """Return the folder of the run whose U-Nets are set beside nnU-Net: the one named, else the data set's own.

    Where the data set's own is not here, as on another machine, it says so and returns None.

    Raises:
        UserError: there is no run of the given name, or the folder is none of :func:`export`.
    """
    own = read_cases(dataset)[1].get("run")
    if not named and not own:
        return None
    try:
        return find_run(named or own)[0]
    except UserError:
        if named:
            raise
        print(f"The run {own}, which the data set was made with, is not here: no U-Nets beside. --run names another.")
        return None


def split_slices(cohort: Cohort, settings: SimpleNamespace, run: Path | None = None) -> tuple[pd.DataFrame, dict]:
    """Return the slices of notebook 05 with their split and their true masks, as its cells make them.

    Args:
        cohort: the slices.
        settings: parameters of notebook 05: mask_method, hsv_least, and, where there is no run, seed, recipe.
        run: folder of a finished run on this cohort, whose ``split.csv`` is taken.

    Returns:
        Rows of the table of slices with ``split`` (train, validation, test) and ``truth`` (path of the class mask: the
        organiser's for the test where there is one, else what the rule found). And why each stroke slice of known type
        that is not among them is left out, by slice id.

    Raises:
        UserError: as :func:`stroke_utils.data.splits.split`; or the run is of other data, or its split is gone.
    """
    if run and (of := runs.read(run / "record.json")[0]["cohort"])["fingerprint"] != cohort.fingerprint:
        raise UserError(
            f"The run {run.name} is of other data ({of['origin'].get('name', 'no name')}, fingerprint "
            f"{of['fingerprint']}) than {cohort.root} ({cohort.fingerprint}). Give the run's own by --data."
        )
    saturation, value = settings.hsv_least
    made = write_class_masks(cohort, settings.mask_method, saturation=saturation, value=value).set_index("slice_id")
    strokes = cohort.slices[cohort.slices["label"].isin(TYPES) & (cohort.slices["part"] != "session1")]
    mask = strokes["slice_id"].map(made["class_mask"])
    if run is None:
        usable = strokes[mask.notna()]
        slices = splits.split(usable, None, splits.VALIDATION_OF_MASKS, settings.seed, "session2", test_optional=True)
        if "patients" in RECIPES[getattr(settings, "recipe", "paper")]:
            slices["split"] = leakage.by_patient(slices, splits.VALIDATION_OF_MASKS, settings.seed)
    else:
        with files.there():
            split = pd.read_csv(run / "split.csv", dtype=str).set_index("slice_id")["split"]
        slices = strokes.assign(split=strokes["slice_id"].map(split)).dropna(subset="split")
    truth = mask[slices.index]
    slices = slices.assign(truth=truth.where(slices["split"] != "test", slices["mask"].fillna(truth)))
    no_mask = slices["truth"].isna()
    rest = strokes[~strokes["slice_id"].isin(slices.loc[~no_mask, "slice_id"])]
    notes = rest["slice_id"].map(made["note"]).fillna("It is not in the run's split.")
    return slices[~no_mask], dict(zip(rest["slice_id"], notes, strict=True))


def case_names(slice_ids: list[str]) -> list[str]:
    """Give each slice a name of its own for files: up to 80 small ASCII letters, digits and underscores, and a number.

    Capitals would not keep two names apart on every disk.
    """
    names, last = {}, {}
    for slice_id in slice_ids:
        stem = name = re.sub("[^a-z0-9]+", "_", plain(slice_id)).strip("_")[:80] or "slice"
        while name in names:
            last[stem] = last.get(stem, 1) + 1
            name = f"{stem}_{last[stem]}"
        names[name] = slice_id
    return [*names]


def export(
    cohort: Cohort,
    out: str | os.PathLike,
    settings: SimpleNamespace,
    run: Path | None = None,
    number: int = 501,
    name: str = "Stroke",
    quiet: bool = False,
) -> Exported:
    """Write the slices of notebook 05 as a data set for nnU-Net v2.

    ``imagesTr`` and ``labelsTr`` hold training and validation, which ``splits_final.json`` tells apart as its one fold;
    ``imagesTs`` and ``labelsTs`` hold session 2, where there is one. Images are grey, 8 bits, of the slice's own size;
    labels have the values of :data:`stroke_utils.base.vocabulary.MASK_CLASSES`. A slice whose file or mask cannot be
    read is left out. The folder is there whole or not at all.

    Args:
        cohort: the slices.
        out: folder that gets ``Dataset<number>_<name>``: nnU-Net's ``nnUNet_raw``.
        settings: see :func:`split_slices`.
        run: see :func:`split_slices`.
        number: 1 to 999; nnU-Net's documentation keeps 1 to 10 for the Medical Segmentation Decathlon.
        name: letters, digits, ``_`` and ``-``.
        quiet: show no progress.

    Raises:
        UserError: of :func:`split_slices`; the number or name is none, or taken; nothing to train or validate on is
            left; or ``out`` cannot be written.
    """
    if not 1 <= number <= 999 or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        said = f"The data set is {number}, {name!r}"
        raise UserError(f"{said}; expected a number from 1 to 999 and a name of letters, digits, _ and -.")
    folder = Path(out).expanduser() / f"Dataset{number:03d}_{name}"
    if taken := sorted(folder.parent.glob(f"Dataset{number:03d}_*")):
        raise UserError(f"{taken[0]} has the number {number} already. Remove it, or choose another by --id.")
    slices, left_out = split_slices(cohort, settings, run)
    slices = slices.assign(case=case_names(slices["slice_id"].tolist()))
    with files.atomic_folder(folder) as temporary:
        rows = [*slices.itertuples()]
        said = progress.in_threads(lambda row: _write_case(row, temporary), rows, "Writing cases", quiet)
        left_out |= {row.slice_id: why for row, why in zip(rows, said, strict=True) if why}
        cases = slices[[why is None for why in said]]
        cases = cases[["case", "slice_id", "label", "patient", "split", "width", "height"]].reset_index(drop=True)
        fold = {short: cases.loc[cases["split"] == part, "case"].tolist() for short, part in _FOLD.items()}
        if not all(fold.values()):
            counts = f"{len(fold['train'])} slices to train on and {len(fold['val'])} to validate"
            why = f" {left_out[min(left_out)]}" if left_out else ""
            raise UserError(f"{counts} are left; nnU-Net needs some of both. {len(left_out)} cannot be used.{why}")
        files.write_json(temporary / "dataset.json", _dataset_json(cohort, name, sum(map(len, fold.values()))))
        files.write_json(temporary / "splits_final.json", [fold])
        files.write_json(temporary / CASES, _about(cohort, settings, run, cases, left_out))
    aside = cohort.problems[~cohort.problems["used"].astype(bool)]
    return Exported(folder, cases, left_out, int(aside["files"].sum()))


_FOLD = {"train": "train", "val": "validation"}  # nnU-Net's words, and ours


def _write_case(row: tuple, folder: Path) -> str | None:
    """Write image and label of one slice; say why where one of them cannot be read."""
    try:
        grey, truth = _read_grey(row.png), masks.read_class_mask(row.truth)
        if grey.shape != truth.shape:
            raise ValueError(f"The slice is {_size(grey)} and its mask {_size(truth)}.")
    except (OSError, SyntaxError, ValueError) as error:  # what decoders say of a bad file
        return errors.reason(error)
    which = "Ts" if row.split == "test" else "Tr"
    # Not by `write_class_mask`: nnU-Net's reader would turn a palette into colours.
    _write_grey(folder / f"images{which}" / f"{row.case}_0000.png", grey)
    _write_grey(folder / f"labels{which}" / f"{row.case}.png", truth)
    return None


def _read_grey(path: str) -> np.ndarray:
    """Decode a slice to grey, uint8 (H, W): exactly its own value where red, green and blue are equal."""
    with files.there(), Image.open(path) as image:
        if image.mode[0] in "IF":  # Pillow would cut them off at 255
            raise ValueError("16-bit grey values without a known CT window; expected 8 bits.")
        return np.asarray(image.convert("RGB").convert("L"))


def _write_grey(target: Path, values: np.ndarray) -> None:
    with files.atomic_path(target) as temporary:
        Image.fromarray(values).save(temporary)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


def _dataset_json(cohort: Cohort, name: str, training: int) -> dict:
    drawn = "Heads drawn by a program; nobody was imaged. " if cohort.origin.get("phantom") else ""
    return {
        # The name chooses how nnU-Net normalises. "CT" would take the values for Hounsfield units; ours are grey levels
        # of a window that differs from slice to slice, which its default, z-scores slice by slice, suits.
        "channel_names": {"0": "grey"},
        "labels": {label: value for value, label in enumerate(MASK_CLASSES)},
        "numTraining": training,
        "file_ending": ".png",
        "name": name,
        "description": f"{drawn}Strokes on CT slices; {CASES} says which slice each case is. Not a medical device.",
    }


def _about(
    cohort: Cohort, settings: SimpleNamespace, run: Path | None, cases: pd.DataFrame, left_out: dict[str, str]
) -> dict:
    rows = cases.astype(object).where(cases.notna(), None).set_index("case").to_dict("index")
    return {
        "data": {"name": cohort.origin.get("name", cohort.root.name), "fingerprint": cohort.fingerprint},
        "run": run.resolve().name if run else None,
        "settings": {key: getattr(settings, key) for key in ("seed", "mask_method", "hsv_least")},
        "cases": rows,
        "left_out": left_out,
    }


def read_cases(dataset: str | os.PathLike) -> tuple[pd.DataFrame, dict]:
    """Read what :func:`export` says of its cases.

    Returns:
        The table of cases of :class:`Exported`, and all of the file.

    Raises:
        UserError: the folder is none of :func:`export`.
    """
    path = Path(dataset) / CASES
    if not path.is_file():
        raise UserError(f"{dataset} has no {CASES}. Give a folder that `stroke-regions nnunet export` wrote.")
    about = files.read_json(path)
    try:
        table = pd.DataFrame.from_dict(about["cases"], orient="index", dtype=object).rename_axis("case").reset_index()
        about["settings"]["seed"]  # of the intervals
        return table[["case", "slice_id", "label", "patient", "split", "width", "height"]], about
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is none that `stroke-regions nnunet export` wrote ({error}). Export again.") from error


def score(
    predicted: str | os.PathLike, dataset: str | os.PathLike, part: str = "session2", run: Path | None = None
) -> Scored:
    """Score the masks that nnU-Net predicted, slice by slice at the slice's own size, beside the U-Nets of a run.

    What is missing, cannot be read, has another size or other values than 0, 1 and 2 is a problem and is not scored;
    the U-Nets are then scored without these slices as well. Files that are no PNG do not count: nnU-Net leaves some.

    Args:
        predicted: nnU-Net's folder of ``<case>.png``.
        dataset: folder of :func:`export`; its labels are the truth.
        part: a key of :data:`PARTS`.
        run: folder of a finished run of notebook 05 with this truth for these slices; None: no U-Nets.

    Raises:
        UserError: a folder is missing or none of :func:`export`, no slice with a lesion can be scored, or the run does
            not fit.
    """
    cases, about = read_cases(dataset)
    predicted, labels = Path(predicted), Path(dataset) / ("labelsTs" if part == "session2" else "labelsTr")
    if not predicted.is_dir():
        raise UserError(f"{predicted} is no folder. Give the folder that nnU-Net wrote its predictions to.")
    wanted = cases[cases["split"] == PARTS[part]]
    found = {path.stem: path for path in sorted(predicted.iterdir()) if path.suffix.lower() == ".png"}
    problems, elsewhere = [], cases.set_index("case")["split"]
    for case in sorted(found.keys() - set(wanted["case"])):
        of = elsewhere.get(case)
        what = ("other_part", f"It is of the {of} slices.") if of else ("extra", f"{CASES} has no such case.")
        problems.append((found[case].name, *what))
    rows = {"nnunet": [], "background": [], "perfect": []}
    for row in progress.track(wanted.itertuples(), "Scoring masks", total=len(wanted)):
        try:
            truth, mask = _read_answer(found.get(row.case), labels / f"{row.case}.png")
        except _Fault as fault:
            problems.append((f"{row.case}.png", *fault.args))
            continue
        known = {name: getattr(row, name) for name in ("case", "slice_id", "split", "label", "patient")}
        for key, classes in (("nnunet", mask), ("background", truth * 0), ("perfect", truth)):
            rows[key].append(known | overlap.mask_scores(truth, classes))
    problems = pd.DataFrame(problems, columns=["file", "kind", "detail"])
    if not rows["nnunet"]:
        raise UserError(_nothing(predicted, part, wanted, problems))
    ends = {key: pd.DataFrame(found) for key, found in rows.items()}
    table, seed, scores = ends.pop("nnunet"), about["settings"]["seed"], {}
    for model, slices in _of_run(run, table).items():
        scores[model] = {part: overlap.as_record(overlap.scores_by_convention(slices, ends, None, seed))}
    conventions = overlap.scores_by_convention(table, ends, None, seed)
    scores["nnunet"] = {part: overlap.as_record(conventions)}
    return Scored(table, scores, conventions, problems, part, len(wanted))


class _Fault(Exception):
    """Kind and detail of what keeps a prediction from being scored."""


def _read_answer(path: Path | None, label: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the predicted class mask of a case, uint8 (H, W) of 0/1/2.

    Raises:
        _Fault: there is none, or it is none.
    """
    if path is None:
        raise _Fault("missing", "There is no prediction of this case.")
    (_, truth), (mode, mask) = _decoded(label, "The data set's label"), _decoded(path, "It")
    if mask.ndim != 2 or mode == "P":
        raise _Fault("odd_values", f"It has mode {mode}; expected one grey channel, as nnU-Net writes it.")
    if mask.shape != truth.shape:
        raise _Fault("wrong_size", f"It is {_size(mask)}, its slice {_size(truth)}.")
    if odd := sorted(set(np.unique(mask).tolist()) - set(range(len(MASK_CLASSES)))):
        some = ", ".join(map(str, odd if len(odd) <= 5 else [*odd[:5], "…"]))
        raise _Fault("odd_values", f"It has the values {some}; expected 0, 1 and 2 only.")
    return truth, mask.astype(np.uint8)


def _decoded(path: Path, what: str) -> tuple[str, np.ndarray]:
    try:
        with Image.open(path) as image:
            return image.mode, np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _Fault("unreadable", f"{what} cannot be read: {errors.reason(error)}.") from error


def _nothing(predicted: Path, part: str, wanted: pd.DataFrame, problems: pd.DataFrame) -> str:
    """Say why no slice could be scored."""
    if wanted.empty:
        return f"The data set has no slices of {part}. Say --part {next(p for p in PARTS if p != part)}."
    if (problems["kind"] == "other_part").any():
        return (
            f"{predicted} has no prediction of {part}, and {(problems['kind'] == 'other_part').sum()} of other parts. "
            "Say which part it is by --part, or let nnU-Net predict imagesTs."
        )
    told = problems[problems["kind"] != "missing"].head(1)
    first = "".join(f" {row.file}: {row.detail}" for row in told.itertuples())
    return f"No prediction in {predicted} can be scored; expected such files as {wanted['case'].iloc[0]}.png.{first}"


def _of_run(run: Path | None, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what a run's U-Nets scored on the slices of a table, in its order, by model.

    Raises:
        UserError: the run saw these slices in another role or with other masks, or did not score them.
    """
    if run is None:
        return {}
    found = {}
    for model in runs.read(run / "record.json")[0]["parameters"]["models"]:
        scored = outputs.read_table(run / model, "predictions.csv")
        if scored is None:
            raise UserError(f"{run / model} has no predictions.csv any more. Run {NOTEBOOK} again, or leave --run out.")
        both = table[["slice_id", "split", "reference_px"]].merge(scored, on=["slice_id", "split"])
        same = len(both) == len(table) and (both["reference_px_x"] == both["reference_px_y"]).all()
        if not same:
            raise UserError(
                f"{run.name} has another split or other masks than this data set: the scores would be of different "
                "slices. Export with --run, and score with the same."
            )
        found[model] = both.rename(columns={"reference_px_x": "reference_px"}).drop(columns=["reference_px_y"])
    return found


def settings_of(record: dict | None, profile: str = "quick", seed: int | None = None) -> SimpleNamespace:
    """Return the parameters of notebook 05 of a run record, or those of a profile, with another seed where it is given.

    Raises:
        UserError: no such profile.
    """
    if record:
        return SimpleNamespace(**record["parameters"])
    settings = parameters.settings(NOTEBOOK, profile)
    return settings if seed is None else SimpleNamespace(**vars(settings) | {"seed": seed})

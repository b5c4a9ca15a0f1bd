"""From a PNG, a DICOM file or a folder of them to answers: each slice its own file, then one answer per patient.

Slices go through one at a time, and each answer is written whole before the next slice is opened. So memory stays flat,
and a reading that was stopped goes on where it was.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import files, identity, progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import TYPES
from stroke_utils.data import checks, dicom, layouts, masks, pixels, series
from stroke_utils.reading import seg, strange
from stroke_utils.reading.networks import DETECTION, TYPE, Networks
from stroke_utils.reading.strange import Refused

WINDOW = dicom.BRAIN_WINDOW
"""Centre and width in HU by which DICOM slices are shown to the networks, whatever their headers say."""

ENOUGH = 0.5
"""Share of a patient's slices that must be answered before no stroke is said of all; chosen by us."""

RULE = (
    "A patient is called a stroke where two neighbouring slices of a series are, or the only slice that was answered; "
    "refused slices are passed over. 'No stroke' is said only where at least half of the slices were answered. Each "
    "type counts that two such neighbours have; where they have different ones, both count. The volume is that of the "
    "series with the largest. Nobody measured this rule on patients."
)
"""How the answers of slices become one of a patient."""

DISAGREE = "Type and regions disagree"
"""How a note on a series begins whose largest region is of a type that the series was not given."""

NOT_LOOKED = (
    "Unusual slices and turned heads were not looked for: the data that the networks learned from are not at hand."
)
"""What is said where only what has a name is refused."""

MOST = 20
"""Patients and series that are named where all would be too many to look through."""

PICTURES = "pictures"
"""Name of the folder of answers to PNG files, which belong to no series and tell no patient."""

_INPUT = "input.json"  # says what a folder answers, by a digest: the page may be passed on, and the path is private


@dataclass(frozen=True)
class Job:
    """One file to answer.

    Attributes:
        path: the file.
        group: name of its series among the answers, or :data:`PICTURES`.
        name: of its answer and its mask.
        slice: where it lies; None for a PNG.
    """

    path: Path
    group: str
    name: str
    slice: series.Slice | None = None

    def answer_in(self, out: Path) -> Path:
        """Return the path of its answer."""
        return out / self.group / "slices" / f"{self.name}.json"

    def mask_in(self, out: Path) -> Path:
        """Return the path of its mask, in the pixels of the file."""
        return out / self.group / "masks" / f"{self.name}.png"

    def grey(self) -> np.ndarray:
        """Decode it and apply the window: uint8 (H, W, 3), as the file has it.

        Raises:
            Refused: it can't be decoded, or holds what no slice has.
        """
        if self.slice is None:
            return _picture(self.path)
        try:
            hounsfield = dicom.read_hounsfield(self.path)
            with dicom._explained(self.path):
                dicom._require_ct_values(self.slice.header, hounsfield)
        except dicom.DicomError as error:
            raise Refused("broken", str(error)) from error
        return np.repeat(dicom.window(hounsfield, *WINDOW)[..., None], 3, axis=2)


def _picture(path: Path) -> np.ndarray:
    facts = checks.inspect(layouts.SliceFile(path, "png", "session1", None, path.stem), True, {})
    for kind, detail, used in facts.findings:
        if not used:
            raise Refused("colours" if kind == "painted_original" else kind.replace("_", " "), detail)
    return pixels.read_rgb(facts.copy or path)


@dataclass(frozen=True)
class Scan:
    """What a path holds.

    Attributes:
        path: the file or folder that was asked for.
        series: of CT slices, by the name of their group.
        jobs: all that is answered, series after series in anatomical order, then the PNG files.
        aside: what is not, with the reasons.
    """

    path: Path
    series: dict[str, series.Series]
    jobs: tuple[Job, ...]
    aside: tuple[series.Aside, ...]


def find(path: str | os.PathLike, out: str | os.PathLike = "", quiet: bool = False) -> Scan:
    """Find the slices that a path holds; no pixels are decoded.

    Args:
        path: a PNG, a DICOM file, or a folder of such files.
        out: folder of the answers, which is left out where it lies in ``path``.
        quiet: show no progress.

    Raises:
        UserError: nothing is there, or nothing that could be a slice; or the answers would lie among what is read.
    """
    path = Path(path).expanduser()
    if out and path.is_dir() and path.resolve().is_relative_to(Path(out).resolve()):
        raise UserError(
            f"The answers cannot go to {out}: what is read lies in it, and the next reading would take the masks for "
            "slices. Give a folder of its own: --out DIR. It may lie in the folder that is read."
        )
    found, aside = series.read_series(path, quiet, out)
    pngs, rest = [], []
    for each in aside:
        kind = layouts.content(each.path) if each.kind == "no DICOM" else ""
        if kind == "PNG":
            pngs.append(each.path)
        else:
            rest.append(_named(each, kind))
    groups = {f"series-{k}": each for k, each in enumerate(found, 1)}
    jobs = [
        Job(one.path, group, _name(k, one.path), one)
        for group, each in groups.items()
        for k, one in enumerate(each.slices, 1)
    ]
    jobs += [Job(each, PICTURES, _name(k, each)) for k, each in enumerate(pngs, 1)]
    if not jobs:
        first = f" The first: {rest[0].reason}" if rest else ""
        raise UserError(f"{path} holds no slice: {len(rest)} files, none a PNG or a CT slice in DICOM.{first}")
    return Scan(path, groups, tuple(jobs), tuple(rest))


def _name(number: int, path: Path) -> str:
    """Name the files of an answer: by a number, and by what any file system takes of the slice's own name."""
    own = re.sub(r"[^\w.-]+", "_", path.stem).encode()[:80]
    return f"{number:05d}-{own.decode(errors='ignore')}"


def _named(aside: series.Aside, kind: str) -> series.Aside:
    """Say of a file that is no DICOM what else it is, where that is known."""
    if not kind:
        return aside
    lost = " JPEG has changed its grey values." if kind == "JPEG" else ""
    return replace(aside, reason=f"{aside.path.name} is a {kind}; expected a PNG or a DICOM file.{lost}")


def answers(found: Scan, networks: Networks, out: str | os.PathLike, quiet: bool = False) -> Iterator[dict]:
    """Answer one slice after the other, and write each answer and mask; one that is there and still holds is read.

    Yields:
        The answers, as `answer` gives them.

    Raises:
        UserError: the disk is full, or ``out`` cannot be written.
    """
    out = Path(out)
    for job in progress.track(found.jobs, "Reading slices", quiet=quiet):
        target, file = job.answer_in(out), _relative(job.path, found.path)
        try:
            whole = {"file": file, "sha256": identity.sha256(job.path), "by": networks.digest}
        except OSError as error:
            yield {"file": file, "group": job.group, "refused": {"kind": "gone", "reason": str(error)}}
            continue
        kept = _kept(target, whole, job.mask_in(out))
        if kept is None:
            given, mask = answer(job, networks)
            kept = whole | {"group": job.group, "name": job.name} | given
            if mask is not None:
                masks.write_class_mask(job.mask_in(out), mask)
            files.write_json(target, kept)
        yield kept


def _kept(target: Path, whole: dict, mask: Path) -> dict | None:
    """Return the answer that a file has, where it is of these bytes and these networks."""
    if not target.is_file():
        return None
    try:
        kept = files.read_json(target)
    except UserError:
        return None
    same = all(kept.get(name) == value for name, value in whole.items())
    return kept if same and (kept.get("refused") or mask.is_file()) else None


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root and path.is_relative_to(root) else path.name


def answer(job: Job, networks: Networks) -> tuple[dict, np.ndarray | None]:
    """Answer one slice.

    Returns:
        The answer and the class mask, uint8 (H, W) in the file's own pixels. A refused slice has ``refused``, with kind
        and reason, and no mask. Others have ``stroke`` and, where they are called, ``hemorrhage`` (probabilities after
        temperature), ``type``, the areas in pixels and, where the spacing is known, in mm², and how unusual they look.
        The regions are looked for on called slices only, because the network learned from no others.
    """
    position = job.slice.position if job.slice else None
    given = {"position_mm": position, "refused": None, "turned": 0, "stroke": None, "called": False}
    given |= {"hemorrhage": None, "type": None}
    try:
        upright, rgb = _opened(job)
        unsure = job.slice is None or job.slice.directions is None  # else nothing has to be guessed
        seen = strange.verdict(upright(rgb), networks.usual, networks.look, unsure)
        given["turned"] = 90 * seen.quarters
        given |= {} if seen.distance is None else {"unusual": seen.distance}
        if seen.refused:
            raise seen.refused
    except Refused as refused:
        return given | {"refused": {"kind": refused.kind, "reason": refused.reason}}, None
    shape = rgb.shape[:2]
    given |= {"stroke": networks.calibrated(DETECTION, seen.stroke), "called": seen.stroke >= networks.threshold}
    mask = np.zeros(shape, np.uint8)
    if given["called"]:
        given["hemorrhage"] = networks.calibrated(TYPE, networks.type_of(seen.rgb))
        given["type"] = TYPES[int(given["hemorrhage"] >= 0.5)]
        laid = lambda array: np.rot90(upright(array), -seen.quarters)  # noqa: E731
        mask = strange.turned_back(laid, shape, networks.regions_of(seen.rgb))
    counts = {name: int(np.count_nonzero(mask == value)) for value, name in enumerate(TYPES, 1)}
    pixel = job.slice.pixel if job.slice else None
    given["area_px"] = counts
    given["area_mm2"] = None if pixel is None else {name: number * pixel for name, number in counts.items()}
    return given, mask


def _opened(job: Job) -> tuple[Callable, np.ndarray]:
    """Return what lays a slice upright by its directions, and the slice as the file has it; refuse it by its tags."""
    upright = lambda array: array  # noqa: E731
    if job.slice is not None:
        strange.look_at_tags(job.path)
        upright = strange.way_up(job.slice)
    return upright, job.grey()


def claim(found: Scan, out: str | os.PathLike) -> None:
    """Keep a folder of answers for this process and for what it reads, and make it; `read` gives it up at its end.

    Raises:
        UserError: it cannot be written, another process reads into it, or it holds the answers to something else.
    """
    out = Path(out)
    # As seen from there: both may be moved together.
    mine = {"input": identity.digest(os.path.relpath(found.path.resolve(), out.resolve()), 64)}
    with files.explained(out / _INPUT):
        out.mkdir(parents=True, exist_ok=True)
    files.claim(out / _INPUT, f"the answers in {out}")
    if not (out / _INPUT).is_file():
        files.write_json(out / _INPUT, mine)
    elif files.read_json(out / _INPUT) != mine:
        files.release(out / _INPUT)
        raise UserError(
            f"{out} holds the answers to another file or folder than {found.path}. Give another folder (--out DIR), or "
            "remove that one."
        )


def read(found: Scan, networks: Networks, out: str | os.PathLike, quiet: bool = False) -> dict:
    """Answer all slices, then measure volumes, write a DICOM-SEG of each series, and give one answer per patient.

    Args:
        found: of :func:`find`.
        networks: loaded once.
        out: gets ``<group>/slices``, ``<group>/masks``, ``<series>/segmentation.dcm``, ``slices.csv`` and
            ``answer.json``.
        quiet: show no progress.

    Returns:
        What ``answer.json`` holds: who answers, the rule, patients, series, counts of what was refused, and the slices
        in the order of :func:`worst_first`.

    Raises:
        UserError: of :func:`claim`, or the disk is full.
    """
    out = Path(out)
    claim(found, out)
    try:
        return _read(found, networks, out, quiet)
    finally:
        files.release(out / _INPUT)


def _read(found: Scan, networks: Networks, out: Path, quiet: bool) -> dict:
    rows = list(answers(found, networks, out, quiet))
    by_group: dict[str, list[dict]] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    for note in out.glob("series-*/segmentation.json"):  # of a series that is here no more
        if note.parent.name not in found.series:
            note.with_suffix(".dcm").unlink(missing_ok=True)
            note.unlink()
    told = [_series(group, each, by_group[group], networks, out) for group, each in found.series.items()]
    whole = {
        "input": found.path.resolve().name,
        **networks.about(),
        "window_hu": list(WINDOW),
        "rule": RULE,
        "patients": _patients(told),
        "series": told,
        "answered": sum(not row["refused"] for row in rows),
        "refused": dict(Counter(row["refused"]["kind"] for row in rows if row["refused"])),
        "aside": [{"file": _relative(a.path, found.path), "kind": a.kind, "reason": a.reason} for a in found.aside],
        "slices": worst_first(rows),
    }
    files.write_table(
        out / "slices.csv", pd.json_normalize(whole["slices"]).drop(columns=["by", "refused"], errors="ignore")
    )
    files.write_json(out / "answer.json", whole)
    return whole


def worst_first(rows: list[dict]) -> list[dict]:
    """Sort answers: called slices first, then by probability of stroke and by area, refused ones last."""
    return sorted(
        rows,
        key=lambda row: (
            bool(row["refused"]),
            not row.get("called"),
            -(row.get("stroke") or 0),
            -sum((row.get("area_px") or {}).values()),
        ),
    )


def _series(group: str, whole: series.Series, rows: list[dict], networks: Networks, out: Path) -> dict:
    """Measure a series and write its DICOM-SEG."""
    read = [k for k, row in enumerate(rows) if not row["refused"]]
    told = {
        "group": group,
        "uid": whole.uid,
        "patient": whole.slices[0].header.patient,
        "slices": len(whole),
        "answered": len(read),
        "called": sum(rows[k]["called"] for k in read),
        "distance_mm": whole.distance,
        "notes": list(whole.notes),
        "stroke": _called(rows),
        "types": _types(rows),
        "volume_ml": None,
        "segmentation": None,
    }
    target = out / group / "segmentation.dcm"
    if not read:
        target.unlink(missing_ok=True)
        return told
    if len(read) < len(whole):
        told["notes"].append(
            f"Slices refused: {len(whole) - len(read)}. The volume counts each as the mean of its neighbours."
        )
    part = replace(whole, slices=tuple(whole.slices[k] for k in read))
    paths = [out / group / "masks" / f"{rows[k]['name']}.png" for k in read]
    told["volume_ml"] = series.volumes(part, map(masks.read_class_mask, paths))
    if None in told["volume_ml"].values():
        told["volume_ml"] = None
    elif (
        told["stroke"]
        and any(told["volume_ml"].values())
        and (most := max(told["volume_ml"], key=told["volume_ml"].get)) not in told["types"]
    ):
        named = " and ".join(told["types"])
        told["notes"].append(f"{DISAGREE}: {named} by the slices' types, mostly {most} by the regions ({group}).")
    made_of = identity.digest([[rows[k]["sha256"], rows[k]["by"]] for k in read], 12)
    note = target.with_suffix(".json")
    if not (target.is_file() and note.is_file() and files.read_json(note).get("made_of") == made_of):
        try:
            seg.write_segmentation(target, part, map(masks.read_class_mask, paths), networks.run, networks.remark)
            files.write_json(note, {"made_of": made_of})
        except UserError as error:
            target.unlink(missing_ok=True)  # of an earlier reading: it is no answer to these files
            told["notes"].append(str(error))
            return told
    told["segmentation"] = f"{group}/segmentation.dcm"
    return told


def _called(rows: list[dict]) -> bool | None:
    """Apply the rule to a series in anatomical order; None where no slice was answered."""
    read = [row for row in rows if not row["refused"]]
    if len(read) < 2:
        return read[0]["called"] if read else None
    return any(a["called"] and b["called"] for a, b in itertools.pairwise(read))


def _types(rows: list[dict]) -> list[str]:
    """Apply the rule for types to a series in anatomical order; empty where it is no stroke."""
    read = [row for row in rows if not row["refused"]]
    pairs = itertools.pairwise(read) if len(read) > 1 else [(row, row) for row in read]
    called = [{a["type"], b["type"]} for a, b in pairs if a["called"] and b["called"]]
    alike = set().union(*(types for types in called if len(types) == 1))
    return [name for name in TYPES if name in (alike or set().union(*called))]


def _patients(told: list[dict]) -> list[dict]:
    """Give one answer per patient, strokes first; a series that names none stands for one."""
    by: dict[str, list[dict]] = {}
    for each in told:
        by.setdefault(each["patient"] or f"not named ({each['group']})", []).append(each)
    given = []
    for patient, each in by.items():
        calls = [one["stroke"] for one in each if one["stroke"] is not None]
        stroke = any(calls) if calls else None
        known = [one["volume_ml"] for one in each if one["volume_ml"]]
        slices, answered = (sum(one[name] for one in each) for name in ("slices", "answered"))
        given.append(
            {
                "patient": patient,
                "series": [one["group"] for one in each],
                "slices": slices,
                "answered": answered,
                "stroke": None if not stroke and answered < ENOUGH * slices else stroke,
                "types": [name for name in TYPES if any(name in one["types"] for one in each)],
                "volume_ml": max(known, key=lambda ml: sum(ml.values())) if known else None,
            }
        )
    return sorted(given, key=lambda each: not each["stroke"])  # long lists are cut


def words(patient: dict) -> str:
    """Say a patient's answer, and of how many slices."""
    answered, slices = patient["answered"], patient["slices"]
    if patient["stroke"]:
        return f"stroke, {' and '.join(patient['types'])}"
    refused = f"{slices - answered} of {slices} slices refused"
    if patient["stroke"] is None:
        return f"no answer: {refused if answered else 'every slice was refused'}"
    return "no stroke found" + (f"; {refused}" if answered < slices else "")


def volume(patient: dict) -> str:
    """Say a patient's volumes; empty where there is no stroke."""
    if not patient["stroke"]:
        return ""
    if patient["volume_ml"] is None:
        return "volume not known"
    found = [f"{name} {value:.1f} ml" for name, value in patient["volume_ml"].items() if value >= 0.05]
    return ", ".join(found) or "hardly a region found"


def patients(told: dict, most: int) -> list[str]:
    """Say the answers of the first ``most`` patients, a line each, and how many more there are."""
    first, more = told["patients"][:most], len(told["patients"]) - most
    lines = [f"Patient {each['patient']}: {'; '.join(filter(None, (words(each), volume(each))))}" for each in first]
    return [*lines, f"{more} more patients stand in answer.json."] if more > 0 else lines


def summary(told: dict) -> str:
    """Say in a few lines what `read` found."""
    lines = [f"{told['remark']}.", *patients(told, MOST)]
    lines += [note for one in told["series"] for note in one["notes"] if note.startswith(DISAGREE)]
    if told["unusual_from"] is None:
        lines.append(NOT_LOOKED)
    called = sum(bool(row.get("called")) for row in told["slices"])
    lines.append(f"{told['answered']} slices answered, {called} called a stroke.")
    if told["refused"]:
        lines.append("Refused: " + ", ".join(f"{kind} {number}" for kind, number in told["refused"].items()))
    if told["aside"]:
        counted = Counter(each["kind"] for each in told["aside"])
        lines.append("Set aside: " + ", ".join(f"{kind} {number}" for kind, number in counted.items()))
    return "\n".join(lines)

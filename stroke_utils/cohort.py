"""Reads a folder of the data set, in the form it was unpacked, into one table of slices and one of problems.

``python -m stroke_utils.cohort DIR`` prints what a folder holds before hours are spent on it.
"""

import argparse
import filecmp
import io
import itertools
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from PIL import Image

from stroke_utils import files, vocabulary
from stroke_utils.dicom import read_patient
from stroke_utils.files import UserError
from stroke_utils.layouts import Problems, SliceFile, checked_root, other_layout, read_table, walk
from stroke_utils.pixels import painted_types, read_rgb

COLUMNS = (
    *("slice_id", "label", "stroke", "part", "png", "overlay", "mask", "dicom"),
    *("patient", "width", "height", "mode", "sha256"),
)
"""Columns of ``Cohort.slices``."""

PROBLEM_COLUMNS = ("kind", "path", "detail", "used")
"""Columns of ``Cohort.problems``; ``used`` tells whether the slice or file in question is still used."""

_SAME_PATIENT = 20  # slices: an anonymiser's constant, not a patient, when this many and all carry one id


@dataclass(frozen=True)
class Cohort:
    """One data folder as tables.

    Attributes:
        root: the folder that was read.
        slices: one row per usable slice with the columns ``COLUMNS``, sorted by ``slice_id``. Paths are absolute
            strings or None; ``label`` is in ``vocabulary.LABELS`` or None where only stroke / none or nothing is
            known; ``stroke`` is a nullable integer, missing for a slice that no label file and no mask speaks of.
        problems: one row per finding with the columns ``PROBLEM_COLUMNS``.
        origin: content of the folder's ``DATASET.json``, or {}.
        fingerprint: 10 hex digits that change with the slices, their labels, pixels and overlays, not with the place.
    """

    root: Path
    slices: pd.DataFrame
    problems: pd.DataFrame
    origin: dict
    fingerprint: str

    @property
    def true_masks(self) -> Path | None:
        """Folder of ``<slice_id>.png`` class masks (0/1/2) that the data set itself vouches for, or None."""
        return _true_masks(self.root, self.origin)

    def counts(self) -> pd.DataFrame:
        """Count slices by part and label, beside the counts that the organiser published.

        Returns:
            table with columns part, label, found, published (nullable integers); ``label`` also has the values
            "stroke of unknown type", "unlabelled" and "all".
        """
        rows, slices = [], self.slices
        names = slices["label"].astype(object)
        names = names.mask(slices["label"].isna() & (slices["stroke"] == 1).fillna(False), "stroke of unknown type")
        names = names.where(names.notna(), "unlabelled")
        for part in vocabulary.PARTS:
            published = vocabulary.PUBLISHED_COUNTS[part]
            here = names[slices["part"] == part].value_counts()
            for label in (*vocabulary.LABELS, "stroke of unknown type", "unlabelled"):
                if label in here or label in published:
                    rows.append((part, label, int(here.get(label, 0)), published.get(label)))
            rows.append((part, "all", int(here.sum()), sum(published.values())))
        rows.append(("release", "all", len(slices), sum(sum(p.values()) for p in vocabulary.PUBLISHED_COUNTS.values())))
        table = pd.DataFrame(rows, columns=["part", "label", "found", "published"])
        return table.astype({"found": "Int64", "published": "Int64"})


@dataclass
class _Facts:
    """What was read from one file; ``error`` is set where it can't be used."""

    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    error: tuple[str, str] | None = None  # kind of problem, detail
    types: list[str] = field(default_factory=list)  # stroke types painted in a session's overlay or mask, largest first
    patient: str | None = None


def read_cohort(folder: str | os.PathLike, quiet: bool = False) -> Cohort:
    """Read a data folder in the portal's layout, or one whose session folders have the mirrors' flat form.

    Folders are recognised by their names in any Unicode form, at any depth. A training slice takes its label from its
    class folder; a session-1 slice takes stroke / none from the label files and its type from its mask or overlay; a
    session-2 slice is a stroke of the type of its mask or overlay. A bad file is a row of ``problems``.

    Raises:
        UserError: no such folder, an archive or another file, an empty folder, another layout, or no usable slice.
    """
    root = checked_root(folder)
    problems = Problems(root)
    origin = _read_origin(root, problems)
    found, tables = walk(root, _true_masks(root, origin), problems)
    if not any(f.kind == "png" for f in found):
        raise UserError(other_layout(root, problems))
    with ThreadPoolExecutor(2) as pool:
        results = files.progress(pool.map(_inspect, found), "Reading the slices", total=len(found), quiet=quiet)
        facts = dict(zip(found, results, strict=True))
    originals, companions = _sort_out(facts, problems)
    slices, paints = _join(originals, companions, facts, _LabelTables(tables, originals, problems), problems)
    table = pd.DataFrame(problems, columns=PROBLEM_COLUMNS).drop_duplicates(ignore_index=True)
    if slices.empty:
        kinds = ", ".join(f"{kind} {n}" for kind, n in table["kind"].value_counts().items())
        first = table.iloc[0]
        raise UserError(
            f"No usable slice in {root}. Problems by kind: {kinds}; the first is {first['path']}: {first['detail']}"
        )
    rows = slices[["slice_id", "part", "label", "stroke", "sha256"]].astype(object)
    rows = rows.where(rows.notna(), None).values.tolist()
    fingerprint = files.digest([[*row, paint] for row, paint in zip(rows, paints, strict=True)], 10)
    return Cohort(root, slices, table, origin, fingerprint)


def _read_origin(root: Path, problems: Problems) -> dict:
    path = root / "DATASET.json"
    if not path.is_file():
        return {}
    try:
        origin = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(origin, dict):
            return origin
        detail = f"Found a JSON {type(origin).__name__}, expected an object; the file is ignored."
    except (OSError, ValueError) as error:
        detail = f"Not valid JSON ({error}); the file is ignored."
    problems.add("bad_dataset_json", path, detail, True)
    return {}


def _true_masks(root: Path, origin: dict) -> Path | None:
    name = origin.get("true_masks")
    path = root / name if isinstance(name, str) and name else None
    return path if path and path.is_dir() and path.resolve().is_relative_to(root.resolve()) else None


def _inspect(file: SliceFile) -> _Facts:
    """Read one file's facts. Files come from anywhere, so whatever a decoder throws is a finding about the file."""
    try:
        if file.kind == "dicom":
            return _Facts(patient=read_patient(file.path))
        return _inspect_png(file)
    except Exception as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "no PNG header"
        return _Facts(error=(f"unreadable_{file.kind}", f"Not a whole {'DICOM' if file.kind == 'dicom' else 'PNG'} "
                             f"file: {reason}. The file is not used."))  # fmt: skip


def _inspect_png(file: SliceFile) -> _Facts:
    data = file.path.read_bytes()
    if not data:
        raise ValueError("it has zero bytes")
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.verify()  # checks every chunk's sum up to the end mark: finds damage and truncation without decoding
        facts = _Facts(image.width, image.height, image.mode, files.hashlib.sha256(data).hexdigest())
    if file.kind in ("overlay", "mask") and file.part != "train":
        facts.types = painted_types(read_rgb(io.BytesIO(data)))
    return facts


def _sort_out(facts: dict[SliceFile, _Facts], problems: Problems) -> tuple[list[SliceFile], dict[tuple, SliceFile]]:
    """Set damaged and ambiguous files aside. Gives one original per slice id, and the other files by their key."""
    by_key: dict[tuple, SliceFile] = {}
    contested = set()
    for file, seen in facts.items():
        if seen.error:
            problems.add(seen.error[0], file.path, seen.error[1], False)
            continue
        key = (file.part, file.label, file.slice_id, file.kind)
        first = by_key.setdefault(key, file)
        if first is file:
            continue
        if filecmp.cmp(first.path, file.path, shallow=False):
            detail = f"Same name and bytes as {first.path.relative_to(problems.root).as_posix()}, which is used."
            problems.add("duplicate_file", file.path, detail, True)
        else:
            contested.add(key)
            detail = "Two different files with this name in one class; which is right is unknown, so neither is used."
            for each in (first, file):
                problems.add("name_twice", each.path, detail, False)
    for key in contested:
        del by_key[key]
    originals = []
    candidates = sorted((f for f in by_key.values() if f.kind == "png"), key=lambda f: f.slice_id)
    for slice_id, group in itertools.groupby(candidates, key=lambda f: f.slice_id):
        originals += _one_owner(slice_id, list(group), problems)
    return originals, {key: file for key, file in by_key.items() if file.kind != "png"}


def _one_owner(slice_id: str, group: list[SliceFile], problems: Problems) -> list[SliceFile]:
    """Decide which part keeps an id that several hold: the latest session; two classes of training lose it both."""
    latest = max((f.part for f in group), key=vocabulary.PARTS.index)
    keep = [f for f in group if f.part == latest]
    for file in (f for f in group if f.part != latest):
        detail = f"Slice {slice_id} also lies in {latest}: a test slice in another part. Only {latest} keeps it."
        problems.add("id_in_two_parts", file.path, detail, False)
    if len(keep) > 1:
        classes = " and ".join(sorted(f.label for f in keep))
        for file in keep:
            detail = f"Slice {slice_id} lies in the class folders {classes}; its label is unknown, so it is not used."
            problems.add("id_in_two_classes", file.path, detail, False)
        return []
    return keep


class _LabelTables:
    """Stroke / none, type and patient by slice id, from every table under the root that has a known header."""

    def __init__(self, paths: list[Path], originals: list[SliceFile], problems: Problems):
        self.stroke: dict[str, int] = {}
        self.patient: dict[str, str] = {}
        present = {f.slice_id for f in originals}
        tables = [(path, table) for path in paths if (table := read_table(path)) is not None]
        # A file that names more of the slices speaks first, so that an example with made-up ids never overrules.
        for path, table in sorted(tables, key=lambda t: (-len(present.intersection(t[1]["id"])), str(t[0]))):
            if "patient" in table:
                pairs = zip(table["id"], table["patient"], strict=True)
                self.patient.update((i, p) for i, p in pairs if p and i not in self.patient)
            if "stroke" in table:
                self._take_labels(path, table, present, problems)

    def _take_labels(self, path: Path, table: pd.DataFrame, present: set[str], problems: Problems) -> None:
        valid = table["stroke"].isin(["0", "1"])
        if not valid.all():
            first = table[~valid].iloc[0]
            detail = f"{(~valid).sum()} labels are neither 0 nor 1 (first: id {first['id']!r}, {first['stroke']!r})."
            problems.add("bad_label", path, detail + " They are ignored.", True)
        table = table[valid]
        absent = [i for i in table["id"] if i not in present]
        if absent:
            detail = f"{len(absent)} of {len(table)} ids have no slice in this folder (first: {', '.join(absent[:3])})."
            problems.add("label_without_slice", path, detail, True)
        differing = [
            i
            for i, value in zip(table["id"], table["stroke"].astype(int), strict=True)
            if self.stroke.setdefault(i, value) != value and i in present
        ]
        if differing:
            detail = (
                f"{len(differing)} ids were labelled otherwise before (first: {differing[0]}); the first value stays."
            )
            problems.add("labels_disagree", path, detail, True)


def _join(
    originals: list[SliceFile], companions: dict, facts: dict, tables: _LabelTables, problems: Problems
) -> tuple[pd.DataFrame, list[str | None]]:
    """Build the slices table; beside it, per slice, the hash of the file that its class mask comes from."""
    has_paint = {
        part: any(k[0] == part and k[3] in ("overlay", "mask") for k in companions) for part in vocabulary.PARTS
    }
    labelled = any(f.part == "session1" and f.slice_id in tables.stroke for f in originals)
    if not labelled and (first := next((f for f in originals if f.part == "session1"), None)):
        detail = "No label file (image id and 0 / 1) names a slice of session 1; its slices stay unlabelled."
        problems.add("no_labels", first.path.parent, detail, True)
    rows, paints, used = [], [], set()
    for file in originals:
        seen = facts[file]
        if seen.mode.startswith("I"):
            detail = "16-bit grey values without a known CT window; expected 8-bit RGBA. The slice is not used."
            problems.add("unexpected_mode", file.path, detail, False)
            continue
        if seen.mode != "RGBA":
            detail = f"Mode {seen.mode}, expected RGBA as in the release; it is converted on reading."
            problems.add("unexpected_mode", file.path, detail, True)
        paths = {}
        for kind in ("overlay", "mask", "dicom"):
            key = (file.part, file.label, file.slice_id, kind)
            other = companions.get(key)
            used.add(key)
            if other and kind != "dicom" and (facts[other].width, facts[other].height) != (seen.width, seen.height):
                size, expected = f"{facts[other].width}×{facts[other].height}", f"{seen.width}×{seen.height}"
                detail = f"The {kind} is {size}, its slice {expected}; the {kind} is not used, the slice is."
                problems.add(f"{kind}_size_differs", other.path, detail, True)
                other = None
            paths[kind] = other
        label, stroke = _label(file, paths, facts, tables, labelled, has_paint[file.part], problems)
        dicom = paths["dicom"]
        patient = tables.patient.get(file.slice_id) or (facts[dicom].patient if dicom else None)
        shown = {kind: str(other.path) if other else None for kind, other in paths.items()}
        rows.append((file.slice_id, label, stroke, file.part, str(file.path), *shown.values(), patient,
                     seen.width, seen.height, seen.mode, seen.sha256))  # fmt: skip
        source = paths["overlay"] or paths["mask"]
        paints.append(facts[source].sha256 if source else None)
    for key, other in companions.items():
        if key not in used:
            detail = f"The {other.kind} has no original PNG of the same name in its class; it is not used."
            problems.add(f"{other.kind}_without_original", other.path, detail, False)
    slices = pd.DataFrame(rows, columns=COLUMNS).astype({"stroke": "Int64"})
    if slices["patient"].count() >= _SAME_PATIENT and slices["patient"].nunique() == 1:
        detail = f"All {slices['patient'].count()} slices name the same patient; taken as a placeholder, not an id."
        problems.add("patient_ids_useless", problems.root, detail, True)
        slices["patient"] = None
    return slices, paints


def _label(
    file: SliceFile, paths: dict, facts: dict, tables: _LabelTables, labelled: bool, has_paint: bool, problems: Problems
) -> tuple[str | None, int | None]:
    """Give (label, stroke) of one slice, and note where its folder, label files, mask and overlay contradict."""
    stated = tables.stroke.get(file.slice_id)
    painted = paths["mask"] or paths["overlay"]
    if file.part == "train":
        label, stroke = file.label, int(file.label != "none")
        if stated is not None and stated != stroke:
            detail = f"The class folder says {label}, a label file says {stated}; the folder is believed."
            problems.add("label_contradicts_folder", file.path, detail, True)
    else:
        types = next((facts[p].types for p in (paths["mask"], paths["overlay"]) if p and facts[p].types), [])
        if len(types) > 1:
            detail = f"Borders of both types; the slice counts as {types[0]}, which has more of its colour."
            problems.add("two_types", painted.path, detail, True)
        if painted and not types:
            detail = "No border or mask colour of either type; what kind of stroke it shows is unknown."
            problems.add("no_type_colour", painted.path, detail, True)
        if file.part == "session2":
            stroke = 1
        elif stated is None and labelled:
            detail = "No label file names this slice; " + ("its mask says stroke." if types else "it stays unlabelled.")
            problems.add("slice_without_label", file.path, detail, True)
            stroke = 1 if types else None
        else:
            stroke = stated if stated is not None else (1 if types else None)
        label = "none" if stroke == 0 else (types[0] if types and stroke == 1 else None)
    if stroke == 0 and painted:
        detail = "Labelled as no stroke, yet it has an overlay or mask; the label is believed."
        problems.add("no_stroke_with_mask", file.path, detail, True)
    if stroke == 1 and not painted and (has_paint or file.part != "session1"):
        detail = "A stroke slice without overlay and mask: usable for detection, not for segmentation."
        problems.add("stroke_without_overlay", file.path, detail, True)
    return label, stroke


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stroke_utils.cohort", description="Check a data folder.")
    parser.add_argument("folder", help="the folder that holds the class and session folders")
    arguments = parser.parse_args()
    try:
        cohort = read_cohort(arguments.folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    name = f" ({cohort.origin['name']})" if cohort.origin.get("name") else ""
    print(f"{len(cohort.slices)} usable slices in {cohort.root}{name}, fingerprint {cohort.fingerprint}\n")
    print(cohort.counts().to_string(index=False, na_rep="–"))
    print(f"\n{len(cohort.problems)} problems" + (":" if len(cohort.problems) else ""))
    for (kind, used), group in cohort.problems.groupby(["kind", "used"], sort=False):
        print(f"\n{kind}: {len(group)} ({'still used' if used else 'set aside'})")
        for row in group.head(3).itertuples():
            print(f"  {row.path}: {row.detail}")
    return 0


if __name__ == "__main__":
    sys.exit(_main())

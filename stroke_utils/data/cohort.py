"""Reads a folder of the data set, in the form it was unpacked, into one table of slices and one of problems.

``stroke-regions check DIR`` prints what a folder holds before hours are spent on it.
"""

import functools
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from stroke_utils.base import errors, identity, progress, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data import checks, numbering, tables, verdict
from stroke_utils.data.layouts import Problems, SliceFile, checked_root, name_layout, nothing_usable, walk
from stroke_utils.data.names import read_names

COLUMNS = (
    *("slice_id", "label", "stroke", "part", "png", "overlay", "mask", "dicom"),
    *("patient", "width", "height", "mode", "sha256"),
)
"""Columns of ``Cohort.slices``."""

_FACTS = ("grey_levels", "marker", "study", "series")

_SHOWN = 10  # folders that the report lists
_SAME_PATIENT = 20  # slices: an anonymiser's constant, not a patient, when this many and all carry one id


@dataclass(frozen=True)
class DataSet:
    """What tells one data set from another: as much as a run record keeps of it.

    Attributes:
        fingerprint: hex digits that change with the data.
        origin: content of the data folder's ``DATASET.json``, or {}.
        slices, problems: rows of the cohort's tables; 0 where the data are no slices.
    """

    fingerprint: str
    origin: dict
    slices: int = 0
    problems: int = 0


@dataclass(frozen=True)
class Cohort:
    """One data folder as tables.

    Attributes:
        root: the folder that was read.
        slices: one row per usable slice with the columns ``COLUMNS``, sorted by ``slice_id``. Paths are absolute
            strings or None; ``label`` is in ``vocabulary.LABELS`` or None where only stroke / none or nothing is
            known; ``stroke`` is a nullable integer, missing for a slice that no label file and no mask speaks of.
        problems: one row per finding with the columns ``layouts.PROBLEM_COLUMNS``; more than ten of a kind whose files
            are all used are one row that counts them.
        origin: content of the folder's ``DATASET.json``, or {}.
        fingerprint: 10 hex digits that change with the slices, their labels, pixels and overlays, not with the place.
        layout: key of ``vocabulary.LAYOUTS`` by the names of the folders, several joined by " + ", or "other".
        facts: what the decoded pixels of each row of ``slices`` show, in its order: slice_id, grey_levels (number of
            different grey values, at most the CT window's width in Hounsfield units), marker (has an orientation
            marker); missing where the cohort was not read thoroughly. And study and series, the ids in its DICOM's
            header, missing where there is none.
        left_out: why the overlay or mask of a slice that has one is not in ``slices``, by slice_id.
    """

    root: Path
    slices: pd.DataFrame
    problems: pd.DataFrame
    origin: dict
    fingerprint: str
    layout: str = "other"
    facts: pd.DataFrame | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def data_set(self) -> DataSet:
        """The cohort's identity without its tables."""
        return DataSet(self.fingerprint, self.origin, len(self.slices), len(self.problems))

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

    def verdicts(self) -> list[verdict.Verdict]:
        """Say for detection, type and regions what stands against training, and whether there is a test."""
        return verdict.judge(self.slices, self.problems)

    def obstacles(self) -> list[str]:
        """Say in sentences why training on this folder would be wrong in every task; empty where one is sensible.

        It would be where classes of the training part are missing, where ids or overlays are mixed up (the slices in
        question are set aside, but nothing vouches for the others), or where more than 5 % of the originals can't be
        used.
        """
        return verdict.obstacles(self.verdicts())

    def folders(self) -> pd.DataFrame:
        """Say what each folder's name was taken for.

        Returns:
            one row for each folder that decided, the most slices first: folder (relative to the root), meaning (a class
            or a session), words (of its name that decided), slices.
        """
        rows = Counter()
        for png, header in self.slices[["png", "dicom"]].itertuples(index=False):
            path = Path(png) if Path(png).is_relative_to(self.root) else Path(header or png)
            if path.is_relative_to(self.root):
                parts = path.relative_to(self.root).parts[:-1]
                place = read_names(parts)
                meaning = f"{place.part}, {place.inside}" if place.inside else place.label or place.part
                rows["/".join(parts[: max(place.depth, place.inside_depth)]), meaning, place.words] += 1
        table = [(*key, number) for key, number in rows.most_common()]
        return pd.DataFrame(table, columns=["folder", "meaning", "words", "slices"])

    def report(self) -> str:
        """Give as text what to know before hours of training.

        Three lines come first: what this is, what can be trained, what to mend first. Then counts, files, pixels, what
        the folders were taken for, problems, and the verdict of each task. What is only unusual is counted in one line.
        """
        layout = " + ".join(vocabulary.LAYOUTS.get(key, "a layout of its own") for key in self.layout.split(" + "))
        name, verdicts, problems = self.origin.get("name", self.root.name), self.verdicts(), self.problems
        lines = [f"{name}: {layout}, {len(self.slices)} usable slices, fingerprint {self.fingerprint}"]
        lines += [f"Can be trained: {verdict.can_train(verdicts)}."]
        first = verdict.mend_first(verdicts, problems)
        lines += [f"Mend first: {first}" if first.endswith("…") else f"Mend first: {first.rstrip('.')}.", ""]
        counts = self.counts()
        counts["missing"] = (counts["published"] - counts["found"]).clip(lower=0)
        lines += [counts.to_string(index=False, na_rep="–"), ""]
        lines += [f"{title:<12}{text}" for title, text in _file_facts(self)]
        lines += ["", "Folders, and the words that decided"]
        folders = [*self.folders().itertuples()]
        lines += [f"  {_printed(f.folder)}: {f.meaning} by {f.words!r}, {f.slices} slices" for f in folders[:_SHOWN]]
        if len(folders) > _SHOWN:
            lines.append(f"  and {len(folders) - _SHOWN} more folders")
        lines += ["", f"Problems: {int(problems['files'].sum()) or 'none'}"]
        folded = problems["used"].astype(bool) & problems["kind"].isin(verdict.UNUSUAL)
        for (kind, used), group in problems[~folded].groupby(["kind", "used"], sort=False):
            lines.append(f"  {kind}: {group['files'].sum()} ({'used all the same' if used else 'set aside'})")
            lines += [f"    {row.path}: {row.detail}" for row in group.head(3).itertuples()]
        unusual = problems[folded].groupby("kind", sort=False)["files"].sum()
        if len(unusual):
            lines.append("  only unusual: " + ", ".join(f"{kind} {number}" for kind, number in unusual.items()))
        decoded = self.facts is not None and self.facts["grey_levels"].notna().any()
        lines += ["", *verdict.per_task(verdicts)]
        lines += [f"  Mind: {text}" for text in verdict.limits(self.slices, problems, decoded)]
        return "\n".join(lines)


def read_cohort(folder: str | os.PathLike, quiet: bool = False, thorough: bool = True) -> Cohort:
    """Read a data folder in any layout of ``vocabulary.LAYOUTS``, or one put together from several.

    Folders are recognised by their names in any Unicode form, at any depth. A training slice takes its label from its
    class folder; a session-1 slice takes stroke / none from the label files and its type from its mask or overlay; a
    session-2 slice is a stroke of the type of its mask or overlay. A bad file is a row of ``problems``.

    Args:
        folder: the folder that holds the class and session folders, or one above it.
        quiet: show no progress.
        thorough: decode every PNG, about 6 ms each and core the first time, and overlays and DICOMs together with
            their slices; what was seen is kept by hash under the derived data. Without it headers, chunk sums and
            hashes are read; a painted slice among the originals or an overlay of another slice then goes unseen, and
            ``facts`` has missing values only.

    Raises:
        UserError: no such folder, one that may not be read, an archive or another file, an empty folder, another
            layout, or no usable slice.
    """
    root = checked_root(folder)
    problems = Problems(root)
    origin = _read_origin(root, problems)
    found, listed = walk(root, _true_masks(root, origin), problems)
    found = numbering.tell_apart(found, problems)
    with checks.remembered() as known:
        inspect = functools.partial(checks.inspect, thorough=thorough, known=known)
        facts = dict(zip(found, progress.in_threads(inspect, found, "Reading the slices", quiet), strict=True))
        made = checks.pngs_of_dicoms(facts, problems, quiet)
        facts.update(zip(made, progress.in_threads(inspect, made, "Reading the PNGs made", quiet), strict=True))
        originals, companions = checks.sort_out(facts, problems)
        pairs = _pairs(originals, companions, facts) if thorough else []
        faults = checks.check_pairs(pairs, facts, known, quiet)
    if thorough and (vouched := _true_masks(root, origin)):
        checks.check_true_masks(vouched, originals, facts, problems)
    labels = tables.LabelTables(listed, originals, problems)
    joined = _join(originals, companions, facts, faults, labels, problems)
    if joined.empty:
        raise UserError(nothing_usable(root, found, problems))
    rows = joined[["slice_id", "part", "label", "stroke", "sha256", "paint"]].astype(object)
    fingerprint = identity.digest(rows.where(rows.notna(), None).values.tolist(), 10)
    slices, seen = joined[[*COLUMNS]].copy(), joined[["slice_id", *_FACTS]].copy()
    left_out = joined.dropna(subset="left_out").set_index("slice_id")["left_out"].to_dict()
    return Cohort(root, slices, problems.table(), origin, fingerprint, name_layout(root, [*facts]), seen, left_out)


def _read_origin(root: Path, problems: Problems) -> dict:
    path = root / "DATASET.json"
    if not os.path.isfile(path):
        return {}
    try:
        origin = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(origin, dict):
            return origin
        detail = f"Found a JSON {type(origin).__name__}, expected an object; the file is ignored."
    except (OSError, ValueError) as error:
        detail = f"Not valid JSON ({errors.reason(error)}); the file is ignored."
    problems.add("bad_dataset_json", path, detail, True)
    return {}


def _true_masks(root: Path, origin: dict) -> Path | None:
    name = origin.get("true_masks")
    path = root / name if isinstance(name, str) and name else None
    return path if path and os.path.isdir(path) and path.resolve().is_relative_to(root.resolve()) else None


def _key(file: SliceFile, kind: str) -> tuple:
    """Give the key by which a slice's overlay, mask or DICOM is found."""
    return file.part, file.label, file.slice_id, kind


def _same_size(file: SliceFile, other: SliceFile, facts: dict) -> bool:
    return (facts[other].width, facts[other].height) == (facts[file].width, facts[file].height)


def _pairs(originals: list[SliceFile], companions: dict, facts: dict) -> list[tuple[SliceFile, SliceFile]]:
    """Give each original with its overlay and with its DICOM, where they are of its size and the paint has a type."""
    found = ((file, companions.get(_key(file, kind))) for file in originals for kind in ("overlay", "dicom"))
    return [(f, o) for f, o in found if o and _same_size(f, o, facts) and facts[o].types != []]


def _join(
    originals: list[SliceFile],
    companions: dict,
    facts: dict,
    faults: dict,
    labels: tables.LabelTables,
    problems: Problems,
) -> pd.DataFrame:
    """Build the slices table with what was seen in them; ``paint`` is the hash of the file of the class mask,
    ``left_out`` says why an overlay or a mask is not used.
    """
    painted_parts = {part for part, _, _, kind in companions if kind in ("overlay", "mask")}
    labelled = any(f.part == "session1" and f.slice_id in labels.stroke for f in originals)
    inside = {part: {f.inside for f in originals if f.part == part and f.inside} for part in vocabulary.PARTS}
    # One name for all may be the data set's ("İnme Veri Seti"): only folders that tell classes apart say a class.
    told_apart = {part for part, classes in inside.items() if len(classes) > 1}
    unlabelled = (f for f in originals if f.part == "session1" and not (f.inside and "session1" in told_apart))
    if not labelled and (first := next(unlabelled, None)):
        detail = "No label file (image id and 0 / 1) names a slice of session 1; its slices stay unlabelled."
        if refused := ", ".join(map(problems.name, labels.refused[:3])):
            detail = (
                f"No table that could be read has labels of session 1; its slices stay unlabelled. Not read: {refused}."
            )
        elif unknown := ", ".join(map(problems.name, labels.unknown[:3])):
            detail += f" Tables whose columns were not understood: {unknown}."
        problems.add("no_labels", first.path.parent, detail, True)
    rows, used = [], set()
    for file in originals:
        seen = facts[file]
        paths, header, left_out = {}, None, None
        for kind in ("overlay", "mask", "dicom"):
            key = _key(file, kind)
            other = companions.get(key)
            used.add(key)
            if other and not _same_size(file, other, facts):
                size, expected = f"{facts[other].width}×{facts[other].height}", f"{seen.width}×{seen.height}"
                detail = f"The {kind} is {size}, its slice {expected}; the {kind} is not used, the slice is."
                problems.add(f"{kind}_size_differs", other.path, detail, False)
                left_out = left_out if kind == "dicom" else left_out or detail
                other = None
            elif other in faults:
                what, detail, header_counts = faults[other]
                problems.add(what, other.path, detail, False)
                header = facts[other].header if header_counts else header
                left_out = detail if kind == "overlay" else left_out
                other = None
            paths[kind] = other
        stated, has_paint = labels.stroke.get(file.slice_id), file.part in painted_parts
        its_class = file.inside if file.part in told_apart else None
        label, stroke = _label(file, its_class, paths, facts, stated, labelled, has_paint, problems)
        header = facts[paths["dicom"]].header if paths["dicom"] else header
        for kind in ("overlay", "mask"):
            if paths[kind] and facts[paths[kind]].types == []:  # of neither type: no notebook can make use of it
                paths[kind], left_out = None, left_out or f"Nothing on its {kind} has the colour of either type."
        source = paths["overlay"] or paths["mask"]
        row = {"slice_id": file.slice_id, "label": label, "stroke": stroke, "part": file.part}
        row |= {"png": str(seen.copy or file.path), "left_out": left_out}
        row |= {kind: str(facts[other].copy or other.path) if other else None for kind, other in paths.items()}
        row["patient"] = labels.patient.get(file.slice_id) or (header.patient if header else None) or file.patient
        row |= {name: getattr(header, name) if header else None for name in ("study", "series")}
        row |= {name: getattr(seen, name) for name in ("width", "height", "mode", "sha256", "grey_levels", "marker")}
        row["paint"] = facts[source].sha256 if source else None
        rows.append(row)
    for key, other in companions.items():
        if key not in used:
            detail = f"The {other.kind} has no usable original PNG of the same name in its class; it is not used."
            problems.add(f"{other.kind}_without_original", other.path, detail, False)
    slices = pd.DataFrame(rows, columns=[*COLUMNS, *_FACTS, "paint", "left_out"])
    slices = slices.astype({"stroke": "Int64", "grey_levels": "Int64", "marker": "boolean"})
    if slices["patient"].count() >= _SAME_PATIENT and slices["patient"].nunique() == 1:
        detail = f"All {slices['patient'].count()} slices name the same patient; taken as a placeholder, not an id."
        problems.add("patient_ids_useless", problems.root, detail, True)
        slices["patient"] = None
    return slices


def _label(
    file: SliceFile,
    inside: str | None,
    paths: dict,
    facts: dict,
    stated: int | None,
    labelled: bool,
    has_paint: bool,
    problems: Problems,
) -> tuple[str | None, int | None]:
    """Give (label, stroke) of one slice, and note where its folder, label files, mask and overlay contradict."""
    paint = [paths[kind] for kind in ("mask", "overlay") if paths[kind]]
    painted, types = next(iter(paint), None), next((facts[p].types for p in paint if facts[p].types), [])
    for blank in (p for p in paint if facts[p].types == []):
        detail = "No border or mask colour of either type (resized, saved as JPEG, a mask of numbers?): no class mask "
        detail += f"comes of it. The {blank.kind} is not used, the slice is."
        problems.add("no_type_colour", blank.path, detail, False)
    if file.part == "train":
        label, stroke = file.label, int(file.label != "none")
        if label == "stroke":  # a folder that names no type: the paint may
            label = next(iter(types), None)
        if stated is not None and stated != stroke:
            detail = f"The class folder says {file.label}, a label file says {stated}; the folder is believed."
            problems.add("label_contradicts_folder", file.path, detail, True)
        if types and stroke and label not in types:
            detail = f"The class folder says {label}, the paint's colour says {types[0]}; the folder is believed."
            problems.add("paint_contradicts_folder", painted.path, detail, True)
    else:
        if len(types) > 1:
            detail = f"Borders of both types; the slice counts as {types[0]}, which has more of its colour."
            problems.add("two_types", painted.path, detail, True)
        if file.part == "session2":
            stroke = 1
        elif stated is None and inside:
            stroke = int(inside != "none")
        elif stated is None and labelled:
            detail = "No table that was read labels this slice; " + (
                "its mask says stroke." if types else "it stays unlabelled."
            )
            problems.add("slice_without_label", file.path, detail, True)
            stroke = 1 if types else None
        else:
            stroke = stated if stated is not None else (1 if types else None)
        if inside and stroke != int(inside != "none"):
            believed = "session 2 has strokes only" if file.part == "session2" else "the label file is believed"
            detail = f"It lies in a folder of {inside} and counts as {'stroke' if stroke else 'none'}: {believed}."
            problems.add("label_contradicts_folder", file.path, detail, True)
        of_type = next(iter(types), inside if inside in vocabulary.TYPES else None)
        if types and inside in vocabulary.TYPES and inside not in types:
            detail = f"It lies in a folder of {inside}, the paint's colour says {of_type}; the paint is believed."
            problems.add("paint_contradicts_folder", painted.path, detail, True)
        label = "none" if stroke == 0 else (of_type if stroke == 1 else None)
    if stroke == 0 and painted:
        detail = "Labelled as no stroke, yet it has an overlay or mask; the label is believed."
        problems.add("no_stroke_with_mask", file.path, detail, True)
    if stroke == 1 and not painted and (has_paint or file.part != "session1"):
        detail = "A stroke slice without overlay and mask: usable for detection, not for segmentation."
        problems.add("stroke_without_overlay", file.path, detail, True)
    return label, stroke


def _printed(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _spread(values: pd.Series) -> str:
    """List the values of a column with how often each occurs, the most frequent first."""
    counts = values.value_counts()
    more = ", …" if len(counts) > 8 else ""
    return ", ".join(f"{value} {number}" for value, number in counts.head(8).items()) + more


def _file_facts(cohort: Cohort) -> list[tuple[str, str]]:
    """Give titles and sentences about a cohort's files and pixels."""
    slices, facts = cohort.slices, cohort.facts
    rows = [("Files", ", ".join(f"{slices[kind].count()} {kind}s" for kind in ("overlay", "mask", "dicom")))]
    rows.append(("Patients", f"{slices['patient'].nunique()} known, of {slices['patient'].count()} slices"))
    if facts is not None and slices["dicom"].notna().any():
        survive = (f"{ids.nunique()} {name}" for name, ids in
                   (("patients", slices.loc[slices["dicom"].notna(), "patient"]), ("studies", facts["study"]),
                    ("series", facts["series"])))  # fmt: skip
        rows.append(("DICOM", f"{slices['dicom'].count()} whole headers; ids in them: " + ", ".join(survive)))
    rows.append(("Pixels", _spread(slices["width"].astype(str) + "×" + slices["height"].astype(str))))
    rows.append(("Modes", _spread(slices["mode"])))
    if facts is not None and facts["grey_levels"].notna().any():
        rows.append(("Markers", f"{facts['marker'].sum()} slices with a magenta orientation marker"))
        for label, levels in facts["grey_levels"].groupby(slices["label"].fillna("unknown"), sort=False):
            median, ends = levels.median(), f"{levels.min()} to {levels.max()}"
            rows.append(("Grey levels", f"{label}: {ends}, median {median:g} (the CT window's width in HU)"))
    return rows

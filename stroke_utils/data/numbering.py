"""Gives slices whose names begin anew in each folder ids of folder and name; the folder is taken for the patient."""

import filecmp
import itertools
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from stroke_utils.data.layouts import HELD_OUT, Problems, SliceFile
from stroke_utils.data.names import kind_of, read_names, words_of

_RELEASE = re.compile(r"1\d{4}")  # a name of the release, which is unique in all of it: twice is a mistake
_SPLITS = {*HELD_OUT, "train", "training"}
_NO_PATIENT = {"image", "images", "img", "slices", "data", "veri", "set", "seti", "axial", "brain", "bone", "window"}
_COMPARED = 200  # names that are looked at to tell a numbering from copies


def tell_apart(found: list[SliceFile], problems: Problems) -> list[SliceFile]:
    """Give files whose names begin anew in each folder ids of folder and name; the others are returned as they are.

    Names begin anew where most of those that lie in several folders are different files. A copy of a folder has the
    same files, and a name of the release (10000 to 17033) is of one slice: both are left to the later checks. Overlays,
    masks and DICOMs get the id of the slice in their own folder.
    """
    places = {f: _place(f, problems.root) for f in found if not _RELEASE.fullmatch(f.slice_id)}
    owners: dict[tuple, dict[tuple, SliceFile]] = defaultdict(dict)
    for file, place in places.items():
        if file.kind in ("png", "dicom"):
            owners[file.kind, file.slice_id].setdefault((file.part, *place), file)
    shared = [[*group.values()] for group in owners.values() if len(group) > 1]
    unlike = [not _same(group[0].path, group[1].path) for group in shared[:_COMPARED]]
    if 2 * sum(unlike) <= len(unlike):
        return found
    parts = {file.part for group in shared for file in group}
    concerned = {file: place for file, place in places.items() if file.part in parts}
    levels = zip(*concerned.values(), strict=False)
    above = sum(1 for _ in itertools.takewhile(lambda names: len({*names}) == 1, levels))
    cases = {file: _case(file, place, above, problems.root) for file, place in concerned.items()}
    holders: dict[tuple, set] = defaultdict(set)
    for file, case in cases.items():
        holders[(*case, file.slice_id)].add((file.part, file.label, concerned[file]))
    whole = any(len(places) > 1 for places in holders.values())  # two classes have folders of one name
    new = {}
    for file, place in concerned.items():
        prefix = place[above:] if whole else cases[file]
        patient = next(filter(_may_be_patient, cases[file]), None)
        new[file] = replace(file, slice_id="-".join([*prefix, file.slice_id]), patient=patient)
    first = next(file for group in shared for file in group if new[file].slice_id != file.slice_id)
    folders, patients = len({*concerned.values()}), {file.patient for file in new.values()} - {None}
    detail = (
        f"Names begin anew in {folders} folders, so the folder becomes part of a slice's id: {first.slice_id} of "
        f"{problems.name(first.path.parent)} is {new[first].slice_id}."
    )
    if patients:
        detail += f" The folders are taken for {len(patients)} patients."
    slices = sum(file.kind in ("png", "dicom") for file in new.values())
    problems.add("names_begin_anew", problems.root, detail, True, slices)
    return [new.get(file, file) for file in found]


def _may_be_patient(name: str) -> bool:
    words = {*words_of(name)}
    return not words & _SPLITS and not (words and words <= _NO_PATIENT)


def _place(file: SliceFile, root: Path) -> tuple[str, ...]:
    """Give the folders between the root and a file without those that only say PNG, OVERLAY and the like."""
    return tuple(name for name in file.path.relative_to(root).parts[:-1] if not kind_of(name))


def _case(file: SliceFile, place: tuple[str, ...], above: int, root: Path) -> tuple[str, ...]:
    """Give the folders of a file that neither all files share nor name its class or session."""
    found = read_names(place)
    telling = {found.depth - 1, found.inside_depth - 1}
    return tuple(name for i, name in enumerate(place) if i >= above and i not in telling)


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False

"""Says of a folder what can be trained and tested on it, task by task, and what to mend first."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from stroke_utils.base import vocabulary

TASKS = ("detection", "type", "regions")
"""What the course trains: stroke or none, ischemia or hemorrhage, where the lesion is."""

_TESTS = {"detection": "session1", "type": "session2", "regions": "session2"}

# The release has none of these: its copy was mixed up while it was unpacked or sorted.
MIXED_UP = {
    "id_in_two_parts": "slices lie in two parts: tests would be seen in training",
    "id_in_two_classes": "files carry an id that lies in two classes: one of the labels is wrong",
    "painted_original": "overlays lie among the originals: the paint gives the answer away",
}
_LOST = (*MIXED_UP, "bytes_in_two_parts", "bytes_in_two_classes", "unreadable_png", "unexpected_mode", "name_twice")
_TOLERATED = 0.05  # share of the originals that may be set aside before the rest is no longer the data set
_FEWEST = 6  # slices of which a fifth are two, one of each class

UNUSUAL = (
    *("unusual_name", "not_square", "unexpected_mode", "hidden_files", "duplicate_file", "duplicate_bytes"),
    *("coloured_pixels", "transparent", "png_from_dicom", "folder_twice"),
)
"""Kinds of problems that change nothing where the files are used: the report only counts them."""

# What to mend first among what is used all the same: it costs labels, then regions.
_FIRST = (
    *("no_labels", "slice_without_label", "bad_row", "bad_label", "labels_disagree", "label_contradicts_folder"),
    *("paint_contradicts_folder", "held_out_folder"),
)


@dataclass(frozen=True)
class Verdict:
    """What a folder is good for in one task.

    Attributes:
        task: of ``TASKS``.
        mixed_up: why nothing that is trained on this folder can be believed, whatever the task.
        lacks: why the task cannot be trained at all.
        untested: why there is no score on its session, or "".
    """

    task: str
    mixed_up: tuple[str, ...]
    lacks: tuple[str, ...]
    untested: str

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why training would be wrong; empty where it is sensible."""
        return *self.lacks, *self.mixed_up

    @property
    def test(self) -> str:
        """The part of the release that is this task's test."""
        return _TESTS[self.task]


def judge(slices: pd.DataFrame, problems: pd.DataFrame) -> list[Verdict]:
    """Judge a cohort's slices and problems for each of ``TASKS``, in their order."""
    mixed, train = tuple(_mixed_up(slices, problems)), slices[slices["part"] == "train"]
    types = [(name, train["label"] == name) for name in vocabulary.TYPES]
    painted = train["overlay"].notna() | train["mask"].notna()
    stroke = (train["stroke"] == 1).fillna(False)
    lacks = {
        "detection": [*_too_few([("none", train["label"] == "none")]), *_too_few([("stroke", stroke)])],
        "type": _too_few(types),
        "regions": _too_few(types) or _too_few([(name, here & painted) for name, here in types], " with a mask"),
    }
    if stroke.any() and not train["label"].isin(vocabulary.TYPES).any():
        lacks["type"] = lacks["regions"] = ["No training stroke names its type."]
    if not lacks["detection"] and len(train) < _FEWEST:
        lacks["detection"] = [f"The training part has {len(train)} slices; a split needs at least {_FEWEST}."]
    return [Verdict(task, mixed, tuple(lacks[task]), _untested(slices, task)) for task in TASKS]


def _too_few(classes: Iterable[tuple[str, pd.Series]], what: str = "") -> list[str]:
    found = []
    for name, here in classes:
        if (number := int(here.sum())) == 0:
            found.append(f"The training part has no usable slice of the class {name}{what}.")
        elif number == 1:
            found.append(f"The training part has 1 slice of the class {name}{what}; training and validation need one.")
    return found


def _mixed_up(slices: pd.DataFrame, problems: pd.DataFrame) -> list[str]:
    aside, found = problems[~problems["used"].astype(bool)], []
    for kind, meaning in MIXED_UP.items():
        if number := int(aside.loc[aside["kind"] == kind, "files"].sum()):
            found.append(f"{number} {meaning}. Unpack a fresh copy, or remove what does not belong there.")
    lost = int(aside.loc[aside["kind"].isin(_LOST), "files"].sum())
    if lost > _TOLERATED * (lost + len(slices)):
        found.append(f"{lost} of {lost + len(slices)} originals can't be used: this copy is not the data set.")
    return found


def _untested(slices: pd.DataFrame, task: str) -> str:
    """Say why a task has no score on its session, or ""."""
    part = _TESTS[task]
    here, name = slices[slices["part"] == part], f"session {part[-1]}"
    if here.empty:
        return f"{name} is missing"
    if task == "detection":
        known = set(here["stroke"].dropna())
        return "" if len(known) == 2 else f"{name} has no labels" if not known else f"{name} has one class only"
    if task == "type":
        return "" if {*vocabulary.TYPES} <= {*here["label"].dropna()} else f"{name} does not show both types"
    painted = here[here["label"].isin(vocabulary.TYPES) & (here["mask"].notna() | here["overlay"].notna())]
    return "" if len(painted) else f"{name} has no masks"


def obstacles(verdicts: list[Verdict]) -> list[str]:
    """Say why no task at all is sensible; an empty list where one is."""
    if any(not verdict.obstacles for verdict in verdicts):
        return []
    return list(dict.fromkeys(text for verdict in verdicts for text in verdict.obstacles))


def can_train(verdicts: list[Verdict]) -> str:
    """Say in one line what can be trained, and on what it is tested."""
    good = [v for v in verdicts if not v.obstacles]
    said = [f"{v.task} (no test: {v.untested})" if v.untested else f"{v.task} (test: {v.test})" for v in good]
    said += [f"not {v.task}" for v in verdicts if v.obstacles] if good else []
    return ", ".join(said) or "nothing"


def mend_first(verdicts: list[Verdict], problems: pd.DataFrame) -> str:
    """Name what costs most: what spoils every task, then what is set aside, then lost labels and regions."""
    if verdicts[0].mixed_up:
        return verdicts[0].mixed_up[0]
    aside = problems[~problems["used"].astype(bool)]
    for kind in aside.groupby("kind")["files"].sum().sort_values(ascending=False, kind="stable").index:
        return _shown(aside[aside["kind"] == kind])
    for kind in _FIRST:
        if len(rows := problems[problems["kind"] == kind]):
            return _shown(rows)
    missing = next((text for verdict in verdicts for text in verdict.lacks), "")
    return missing or "nothing"


def _shown(rows: pd.DataFrame, longest: int = 160) -> str:
    row, number = rows.iloc[0], int(rows["files"].sum())
    text = f"{row['path']}: {row['detail']}"
    text = text if len(text) <= longest else f"{text[:longest].rstrip()} …"
    return text if number == 1 else f"{row['kind']}, {number} files, first {text}"


def per_task(verdicts: list[Verdict]) -> list[str]:
    """Give the lines that say for each task whether training is sensible, those of the same reasons together."""
    reasons = {}
    for verdict in verdicts:
        reasons.setdefault(verdict.obstacles, []).append(verdict.task)
    if len(reasons) == 1:
        (why,) = reasons
        return ["Training would be wrong:", *(f"  {text}" for text in why)] if why else ["Training is sensible."]
    lines = []
    for why, tasks in sorted(reasons.items(), key=lambda item: bool(item[0])):
        named = " and ".join(tasks)
        if not why:
            lines.append(f"Training is sensible for {named}.")
        else:
            lines += [f"Training would be wrong for {named}:", *(f"  {text}" for text in why)]
    return lines


def limits(slices: pd.DataFrame, problems: pd.DataFrame, decoded: bool) -> list[str]:
    """Say what can't be done with a cohort that can be trained on; ``decoded``: its pixels were looked at."""
    found = []
    here, published = int((slices["part"] == "train").sum()), sum(vocabulary.PUBLISHED_COUNTS["train"].values())
    if here < 0.9 * published:
        found.append(f"{here} training slices are {here / published:.1%} of the published ones; expect other scores.")
    train = slices[(slices["part"] == "train") & (slices["stroke"] == 1)]
    if len(train) and not train["label"].isin(vocabulary.TYPES).any():
        found.append("no training stroke names its type: detection can be trained, types and regions can't.")
    if train["overlay"].isna().all() and train["mask"].isna().all():
        found.append("no training slice has an overlay or a mask, so nothing can be learned about regions.")
    if number := int(problems.loc[problems["kind"] == "no_type_colour", "files"].sum()):
        found.append(f"{number} overlays or masks show neither type's colours, so no region can be learned from them.")
    for part in vocabulary.PARTS[1:]:
        if not (slices["part"] == part).any():
            found.append(f"{part} is missing, so there is no score on it.")
    if ((slices["part"] == "session1") & slices["stroke"].isna()).any():
        found.append("some slices of session1 have no label, so they count in no score.")
    few = [name for name in vocabulary.TYPES if 1 < (train["label"] == name).sum() < math.ceil(_FEWEST / 0.2)]
    if few:
        found.append(f"few training slices of {' and '.join(few)}: a random split may leave validation without one.")
    if not decoded:
        found.append("the pixels were not decoded, so paint in an original would go unseen.")
    return found

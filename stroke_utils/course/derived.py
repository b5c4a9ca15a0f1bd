"""What is outdated among derived data: computed by code that has changed since, torn, or of an older layout."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from stroke_utils.base import files, identity, paths
from stroke_utils.base.errors import UserError

KINDS = ("bare-png", "class-masks", "from-dicom", "networks", "pixel-facts", "resized", "starts", "tfrecords", "uses",
         "usual")  # fmt: skip
"""Kinds of derived data. Whatever else is in that folder is not ours and stays."""

_EARLIER = {"from_dicom", "masks", "pixel_facts", "resized", "tfrecords"}  # folders of the layout before identities


def outdated() -> Iterator[tuple[Path, str]]:
    """Yield each outdated folder of derived data, with the reason in words.

    What was made from other data, or with other settings, is not outdated: it is current for those.
    """
    root = paths.derived_root()
    for folder in sorted(root.glob("*/*")):
        ours = folder.parent.name in KINDS and folder.is_dir() and re.fullmatch("[0-9a-f]{12}", folder.name)
        if ours and (why := fault(identity.read_note(folder), folder.name)):
            yield folder, why
    for folder in sorted(root.glob("*/.*")):
        ours = folder.parent.name in KINDS and re.fullmatch(r"\.[0-9a-f]{12}\.[0-9a-f]{8}", folder.name)
        if ours and folder.is_dir() and time.time() - folder.stat().st_mtime > 86_400:
            yield folder, "left by a run that was killed while it wrote"
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        inside = {path.name for path in folder.iterdir()}
        of_cohort = re.fullmatch("[0-9a-f]{10}", folder.name) and inside and inside <= _EARLIER
        if of_cohort or folder.name in _EARLIER - set(KINDS):
            yield folder, "of a version that named derived data otherwise"


def fault(note: dict | None, name: str) -> str:
    """Say why a folder with this note and name is outdated or torn; an empty text where it is current."""
    try:
        code = note["code"]
        kept = identity.digest(note, len(name)) == name
        version = identity.code_version(*code["modules"], given=tuple(code["given"]), wings=code["wings"])
    except (TypeError, KeyError, OSError):  # a module that is gone is a change, too
        return "torn: nothing says what made it" if note is None else "of code that is gone"
    if not kept:
        return "torn: what it says of itself does not fit its name"
    return "" if version == code["version"] else "computed by code that has changed since"


def earlier_copies() -> Iterator[tuple[Path, str]]:
    """Yield the executed notebooks made by code that has changed since, with the reason; they are results and stay."""
    for path in sorted(paths.results_root().glob("*/executed/*.ipynb")):
        try:
            note = files.read_json(path)["metadata"].get("made_by")
        except (UserError, KeyError):
            yield path, "torn"
            continue
        if why := fault(note, path.stem.rpartition("-")[2]):
            yield path, why


def clean() -> list[str]:
    """Remove what is outdated among the derived data; return a line for each thing removed, or only named.

    Raises:
        UserError: something cannot be removed.
    """
    said = []
    for folder, why in outdated():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise UserError(f"{folder} cannot be removed: {error.strerror}. Remove it by hand.") from error
        said.append(f"removed {paths.shown(folder)} ({size / 1e6:.0f} MB): {why}")
    said += [f"kept {paths.shown(path)}, a result: {why}" for path, why in earlier_copies()]
    return said or ["Nothing is outdated."]

"""Checks single files and settles which of several is right: what `cohort` may then join."""

import contextlib
import filecmp
import hashlib
import io
import itertools
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from stroke_utils.base import errors, files, identity, progress, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data import dicom, pixels
from stroke_utils.data.layouts import Problems, SliceFile

_LARGEST_FILE = 64_000_000  # bytes; the release's largest PNG has 0.3 MB
_LARGEST_SIDE = 4096  # pixels; a header may claim more than fits in memory


@dataclass
class Facts:
    """What was read from one file; it is used if all its findings say so.

    Attributes:
        findings: what is wrong or unusual, as (kind, detail, used).
        types: stroke types whose paint a PNG shows, the most frequent first; None where it was not decoded.
        grey_levels: number of different grey values in an original: the CT window's width in Hounsfield units.
        marker: whether an original has pixels in the orientation markers' colour.
        header: of a DICOM.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    findings: list[tuple[str, str, bool]] = field(default_factory=list)
    types: list[str] | None = None
    grey_levels: int | None = None
    marker: bool | None = None
    header: dicom.Header | None = None


@contextlib.contextmanager
def remembered() -> Iterator[dict]:
    """Yield what earlier readings saw in decoded PNGs, by kind and hash, and keep what is added to it.

    Decoding takes most of the time of a reading, and the same bytes always look the same. What cannot be kept is seen
    again next time.
    """
    made_by, known = identity.Identity("pixel-facts", ("data.checks",)), {}
    with contextlib.suppress(OSError, ValueError, UserError):
        if made_by.fault(made_by.path) is None:
            known = json.loads((made_by.path / "facts.json").read_text(encoding="utf-8"))
    before = len(known)
    yield known
    if len(known) > before:
        with contextlib.suppress(OSError, UserError):
            files.write_text(made_by.folder() / "facts.json", json.dumps(known))


def inspect(file: SliceFile, thorough: bool, known: dict) -> Facts:
    """Read one file's facts. Files come from anywhere, so whatever a decoder throws is a finding about the file.

    All chunk sums of a PNG are checked in any case. ``thorough`` also decodes each; without it only what a session
    slice takes its type from. ``known`` is what `remembered` yields.
    """
    try:
        if not file.path.is_file():
            raise ValueError("it is a link that leads nowhere, or a device")
        if file.kind == "dicom":
            return Facts(header=dicom.read_header(file.path, whole=True))
        return _inspect_png(file, thorough, known)
    except Exception as error:
        reason = "no PNG header" if isinstance(error, Image.UnidentifiedImageError) else errors.reason(error)
        return Facts(findings=[_unreadable(file, reason)])


def _unreadable(file: SliceFile, reason: str) -> tuple[str, str, bool]:
    detail = f"Not a whole {'DICOM' if file.kind == 'dicom' else 'PNG'} file: {reason}. The file is not used."
    return f"unreadable_{file.kind}", detail, False


def _inspect_png(file: SliceFile, thorough: bool, known: dict) -> Facts:
    size = file.path.stat().st_size
    if not 0 < size <= _LARGEST_FILE:
        raise ValueError(f"it has {size:,} bytes" if size else "it has zero bytes")
    data = file.path.read_bytes()
    sides = struct.unpack(">II", data[16:24]) if data[12:16] == b"IHDR" and len(data) > 24 else (0, 0)
    if max(sides) > _LARGEST_SIDE:  # before Pillow warns of it
        raise ValueError(f"its header claims {sides[0]}×{sides[1]} pixels, and a slice has some 512×512")
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.verify()  # checks every chunk's sum up to the end mark: finds damage and truncation without decoding
        facts = Facts(image.width, image.height, image.mode, hashlib.sha256(data).hexdigest())
    if file.kind == "png":
        facts.findings += _odd_form(file, facts, sixteen=data[24] == 16)
    if thorough or (file.kind != "png" and file.part != "train"):
        key = f"{file.kind} {facts.sha256}"
        if key not in known:
            known[key] = _look_at(data, file.kind)
        facts.types, facts.grey_levels, facts.marker, findings = known[key]
        facts.findings += map(tuple, findings)
    return facts


def _odd_form(file: SliceFile, facts: Facts, sixteen: bool) -> list[tuple[str, str, bool]]:
    findings = []
    if sixteen and facts.mode.startswith("I"):
        detail = "16-bit grey values without a known CT window; expected 8-bit RGBA. The slice is not used."
        findings.append(("unexpected_mode", detail, False))
    elif sixteen or facts.mode != "RGBA":
        bits = " of 16 bits" if sixteen else ""
        detail = f"Mode {facts.mode}{bits}, expected 8-bit RGBA as in the release; it is converted."
        findings.append(("unexpected_mode", detail, True))
    if facts.width != facts.height:
        detail = f"{facts.width}×{facts.height} pixels. Resizing it to a square squeezes the head."
        findings.append(("not_square", detail, True))
    if not (len(file.slice_id) == 5 and file.slice_id.isdecimal()):
        findings.append(("unusual_name", "Its name is not five digits as in the release; any name will do.", True))
    return findings


def _colours(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Give the different colours of an RGBA image, uint8 (N, 4), and how many pixels have each, int (N,)."""
    counted = image.getcolors(1 << 16)
    if counted is not None:  # a slice has some hundred; Pillow counts them in a tenth of numpy's time
        return np.uint8([colour for _, colour in counted]), np.array([number for number, _ in counted])
    codes, numbers = np.unique(np.asarray(image).view("<u4"), return_counts=True)
    return codes.view(np.uint8).reshape(-1, 4), numbers


def _look_at(data: bytes, kind: str) -> tuple:
    """Decode a PNG: painted types, and of an original grey levels, markers and findings of paint and transparency."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        colours, numbers = _colours(image.convert("RGBA"))
    types, findings = pixels.painted_types(pixels.packed(colours), numbers), []
    if kind != "png":
        return types, None, None, findings
    red, green, blue, alpha = colours.T.astype(int)
    grey, marker = (red == green) & (green == blue), (colours[:, :3] == vocabulary.MARKER_COLOUR).all(axis=1)
    # The fill adds half or three quarters of pure red to a grey value, so red leads by 128 or 191.
    if (np.minimum(red - green, red - blue) > 100).any() or types:
        detail = (
            "It has the colours of a painted lesion: an overlay among the originals gives the answer away. The slice "
            "is not used."
        )
        findings.append(("painted_original", detail, False))
    elif not (grey | marker).all():
        detail = f"{(~(grey | marker)).sum()} colours, expected grey values and magenta markers only."
        findings.append(("coloured_pixels", detail, True))
    if alpha.min() < 255:
        detail = f"Transparent pixels (alpha down to {alpha.min()}, expected 255); what lies under them is shown."
        findings.append(("transparent", detail, True))
    return types, int(np.unique(red[grey]).size), bool(marker.any()), findings


def pngs_of_dicoms(facts: dict[SliceFile, Facts], problems: Problems, quiet: bool = False) -> list[SliceFile]:
    """Make a PNG of each DICOM slice that comes without one, by the CT window of its header, and note that.

    The PNGs are among the derived data, named after the DICOM's bytes, so that each is made once. A DICOM whose pixels
    can't be read gets a finding among its ``facts``.

    Raises:
        UserError: the PNGs can't be written.
    """
    have = {(f.part, f.label, f.slice_id) for f in facts if f.kind == "png"}
    alone = [f for f, seen in facts.items() if seen.header and (f.part, f.label, f.slice_id) not in have]
    made, folder = [], identity.Identity("from-dicom", ("data.dicom",)).folder() if alone else None
    for file in progress.track(alone, "Making PNGs of DICOMs", quiet=quiet):
        header = facts[file].header
        centre, width = header.window
        try:
            target = folder / f"{identity.sha256(file.path)}-{centre:g}-{width:g}.png"
            if not target.is_file():
                dicom.write_png(file.path, target)
        except dicom.DicomError as error:
            facts[file].findings.append(_unreadable(file, str(error)))
            continue
        except OSError as error:
            detail = f"No PNGs of the DICOM slices can be written to {folder}: {errors.reason(error)}."
            raise UserError(f"{detail} Set STROKE_DERIVED to a folder for derived data.") from error
        whose = "a usual one, its header states none" if header.centre is None else "its header's"
        detail = f"No PNG of this name; one was made by the CT window {centre:g} / {width:g} HU ({whose})."
        problems.add("png_from_dicom", file.path, detail, True)
        problems.sources[target] = file.path
        made.append(replace(file, path=target, kind="png"))
    return made


def sort_out(facts: dict[SliceFile, Facts], problems: Problems) -> tuple[list[SliceFile], dict[tuple, SliceFile]]:
    """Set wrong and ambiguous files aside. Gives one original per slice id, and the other files by their key."""
    by_key: dict[tuple, SliceFile] = {}
    contested = set()
    for file, seen in facts.items():
        for kind, detail, used in seen.findings:
            problems.add(kind, file.path, detail, used)
        if not all(used for _, _, used in seen.findings):
            continue
        key = (file.part, file.label, file.slice_id, file.kind)
        first = by_key.setdefault(key, file)
        if first is file:
            continue
        if filecmp.cmp(first.path, file.path, shallow=False):
            detail = f"Same name and bytes as {problems.name(first.path)}, which is used."
            problems.add("duplicate_file", file.path, detail, True)
        else:
            contested.add(key)
            detail = "Two different files with this name in one class; which is right is unknown, so neither is used."
            for each in (first, file):
                problems.add("name_twice", each.path, detail, False)
    for key in contested:
        del by_key[key]
    originals = [f for f in by_key.values() if f.kind == "png"]
    originals = _one_owner(originals, "id", lambda f: f.slice_id, problems)
    originals = _one_owner(originals, "bytes", lambda f: facts[f].sha256, problems)
    return sorted(originals, key=lambda f: f.slice_id), {k: f for k, f in by_key.items() if f.kind != "png"}


def _one_owner(originals: list[SliceFile], what: str, key: Callable, problems: Problems) -> list[SliceFile]:
    """Decide who keeps what several originals share: the latest session; two classes of training lose it both."""
    kept = []
    for shared, group in itertools.groupby(sorted(originals, key=lambda f: (key(f), f.slice_id)), key=key):
        group = list(group)
        name = f"Slice {shared}" if what == "id" else f"A slice with the same bytes as {group[0].slice_id}"
        latest = max((f.part for f in group), key=vocabulary.PARTS.index)
        keep = [f for f in group if f.part == latest]
        for file in (f for f in group if f.part != latest):
            detail = f"{name} also lies in {latest}: a test slice in another part. Only {latest} keeps it."
            problems.add(f"{what}_in_two_parts", file.path, detail, False)
        classes = sorted({f.label for f in keep if f.label})
        if len(classes) > 1:
            detail = f"{name} lies in the class folders {' and '.join(classes)}; its label is unknown: it is not used."
            for file in keep:
                problems.add(f"{what}_in_two_classes", file.path, detail, False)
            continue
        for file in keep[1:]:
            detail = f"Same bytes as slice {keep[0].slice_id} of the same folder; both are used."
            problems.add("duplicate_bytes", file.path, detail, True)
        kept += keep
    return kept

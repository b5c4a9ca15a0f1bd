"""Checks single files and settles which of several is right: what `cohort` may then join.

Whatever a notebook opens was opened here before, in the same way: PNGs are decoded, an overlay is taken apart with its
original, a DICOM is compared with its PNG. What would stop a notebook is a finding, and the file is left out.
"""

import contextlib
import filecmp
import hashlib
import io
import itertools
import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from stroke_utils.base import errors, files, identity, progress, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data import dicom, masks, pixels
from stroke_utils.data.layouts import Problems, SliceFile, content

_LARGEST_FILE = 64_000_000  # bytes; the release's largest PNG has 0.3 MB
_LARGEST_SIDE = 4096  # pixels; a header may claim more than fits in memory
_SMALLEST_SIDE = 8
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@dataclass
class Facts:
    """What was read from one file; it is used if all its findings say so.

    Attributes:
        findings: what is wrong or unusual, as (kind, detail, used).
        types: stroke types whose paint a PNG shows, the most frequent first; None where it was not decoded.
        grey_levels: number of different grey values in an original: the CT window's width in Hounsfield units.
        marker: whether an original has pixels in the orientation markers' colour.
        header: of a DICOM.
        copy: file to use in its place, among the derived data: the same pixels without what is damaged beside them.
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
    copy: Path | None = None


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
        with errors.no_warnings():
            return _inspect_dicom(file) if file.kind == "dicom" else _inspect_png(file, thorough, known)
    except UserError:  # a full disk, or a gone file, tells nothing of this one
        raise
    except dicom.NoCtSlice as error:
        return Facts(findings=[("no_ct_slice", f"The file {error}. It is set aside.", False)])
    except Exception as error:
        if not os.path.lexists(file.path):
            raise UserError(files.gone(file.path)) from error
        reason = "no PNG header" if isinstance(error, Image.UnidentifiedImageError) else errors.reason(error)
        return Facts(findings=[_unreadable(file, reason)])


def _unreadable(file: SliceFile, reason: str) -> tuple[str, str, bool]:
    expected = "DICOM" if file.kind == "dicom" else "PNG"
    found = content(file.path)
    whole = "No DICOM slice that can be read" if expected == "DICOM" else "Not a whole PNG file"
    detail = f"{whole}: {reason}. The file is not used."
    if found and found != expected:
        loss = " JPEG has changed its grey values and colours." if found == "JPEG" else ""
        detail = f"It is a {found}, called {file.path.suffix or file.path.name}; expected a {expected}.{loss} "
        detail += "The file is not used."
    return f"unreadable_{file.kind}", detail, False


def _inspect_dicom(file: SliceFile) -> Facts:
    header = dicom.read_header(file.path, whole=True)
    facts = Facts(width=header.columns, height=header.rows, header=header)
    if header.odd_window:
        usual = "{:g} / {:g} HU".format(*dicom.BRAIN_WINDOW)
        detail = f"Its CT window says {header.odd_window!r}, which is none; where one is needed, {usual} is taken."
        facts.findings.append(("odd_window", detail, True))
    if header.lossy:
        detail = f"Its pixels went through {header.lossy}: its Hounsfield units are near, perhaps not exact."
        facts.findings.append(("lossy_dicom", detail, True))
    return facts


def _inspect_png(file: SliceFile, thorough: bool, known: dict) -> Facts:
    size = file.path.stat().st_size
    if not 0 < size <= _LARGEST_FILE:
        raise ValueError(f"it has {size:,} bytes" if size else "it has zero bytes")
    data = file.path.read_bytes()
    digest, copy, findings = hashlib.sha256(data).hexdigest(), None, []
    sides = struct.unpack(">II", data[16:24]) if data[12:16] == b"IHDR" and len(data) > 24 else (0, 0)
    if max(sides) > _LARGEST_SIDE:  # before Pillow warns of it
        raise ValueError(f"its header claims {sides[0]}×{sides[1]} pixels, and a slice has some 512×512")
    try:
        width, height, mode = _verified(data)
    except Exception as error:
        bare = _pixels_only(data)
        if bare is None:
            raise
        try:
            width, height, mode = _verified(bare)
        except Exception:
            raise error from None
        data, copy = bare, _write_copy(digest, bare)
        detail = "What is damaged or too large is beside the pixels (a text, a profile); a copy without it is used."
        findings.append(("odd_chunks", detail, True))
    facts = Facts(width, height, mode, digest, findings, copy=copy)
    if file.kind == "png":
        facts.findings += _odd_form(file, facts, sixteen=data[24] == 16)
    if thorough or (file.kind != "png" and file.part != "train"):
        key = f"{file.kind} {facts.sha256}"
        if key not in known:
            known[key] = _look_at(data, file.kind)
        facts.types, facts.grey_levels, facts.marker, findings = known[key]
        facts.findings += map(tuple, findings)
    return facts


def _verified(data: bytes) -> tuple[int, int, str]:
    """Return width, height and mode of a whole PNG.

    Every chunk's sum up to the end mark is checked, which finds damage and truncation without decoding.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.verify()
        return image.width, image.height, image.mode


def _pixels_only(data: bytes) -> bytes | None:
    """Return a PNG with the chunks that its pixels need alone, or None where it has no others or no whole pixels."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    kept, place, name = [data[:8]], 8, b""
    while place + 8 <= len(data) and name != b"IEND":
        length, name = struct.unpack(">I4s", data[place : place + 8])
        if name in _PIXEL_CHUNKS:
            kept.append(data[place : place + 12 + length])
        elif not name.isalpha() or name[:1].isupper():  # of unknown meaning, and needed to decode
            return None
        place += 12 + length
    whole = b"".join(kept)
    return whole if b"IDAT" in whole and len(whole) < place else None


def _write_copy(digest: str, data: bytes) -> Path:
    target = identity.Identity("bare-png", ("data.checks",)).folder() / f"{digest}.png"
    if not target.is_file():
        with files.atomic_path(target) as temporary:
            temporary.write_bytes(data)
    return target


def _odd_form(file: SliceFile, facts: Facts, sixteen: bool) -> list[tuple[str, str, bool]]:
    findings = []
    if sixteen and facts.mode.startswith("I"):
        detail = "16-bit grey values without a known CT window; expected 8-bit RGBA. The slice is not used."
        findings.append(("unexpected_mode", detail, False))
    elif sixteen or facts.mode != "RGBA":
        bits = " of 16 bits" if sixteen else ""
        detail = f"Mode {facts.mode}{bits}, expected 8-bit RGBA as in the release; it is converted."
        findings.append(("unexpected_mode", detail, True))
    if min(facts.width, facts.height) < _SMALLEST_SIDE:
        detail = f"{facts.width}×{facts.height} pixels, which is no slice of a head. It is not used."
        findings.append(("too_small", detail, False))
    elif facts.width != facts.height:
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
    if kind == "mask" and types:
        findings = _odd_mask(pixels.packed(colours), numbers)
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
    if not colours[:, :3].any():
        findings.append(("blank_slice", "All its pixels are black: nothing is seen on it.", True))
    if alpha.min() < 255:
        detail = f"Transparent pixels (alpha down to {alpha.min()}, expected 255); what lies under them is shown."
        findings.append(("transparent", detail, True))
    return types, int(np.unique(red[grey]).size), bool(marker.any()), findings


def _odd_mask(colours: np.ndarray, numbers: np.ndarray) -> list[tuple[str, str, bool]]:
    """Find a picture or a repainted file among the masks: of such a one only a part of the region would be read."""
    known = [colour for borders in vocabulary.BORDER_COLOURS.values() for colour in borders]  # a mask's among them
    inside = np.isin(colours, pixels.packed(np.uint8(known)))
    painted, outside = numbers[inside].sum(), numbers[~inside]
    other = outside.sum() - outside.max(initial=0)  # the background is of one colour
    if other <= 0.1 * painted:
        return []
    detail = (
        f"Of its pixels {other} are neither background nor of a mask's two colours, {painted} are: an overlay among "
        "the masks, or a mask that was resized or saved with loss. The mask is not used, the slice is."
    )
    return [("odd_mask", detail, False)]


def pngs_of_dicoms(facts: dict[SliceFile, Facts], problems: Problems, quiet: bool = False) -> list[SliceFile]:
    """Make a PNG of each DICOM slice that comes without one, by the CT window of its header, and note that.

    The PNGs are among the derived data, named after the DICOM's bytes, so that each is made once. A DICOM whose pixels
    can't be read gets a finding among its ``facts``.

    Raises:
        UserError: the PNGs can't be written, or a DICOM is gone.
    """
    have = {(f.part, f.label, f.slice_id) for f in facts if f.kind == "png"}
    alone = [f for f, seen in facts.items() if seen.header and (f.part, f.label, f.slice_id) not in have]
    made, windows = [], Counter()
    folder = identity.Identity("from-dicom", ("data.dicom",)).folder() if alone else None
    for file in progress.track(alone, "Making PNGs of DICOMs", quiet=quiet):
        header = facts[file].header
        centre, width = header.window
        try:
            with files.there():
                target = folder / f"{identity.sha256(file.path)}-{centre:g}-{width:g}.png"
            if not target.is_file():
                dicom.write_png(file.path, target)
        except dicom.DicomError as error:
            facts[file].findings.append(_unreadable(file, str(error)))
            continue
        whose = "its header's" if header.windows == 1 else f"the first of {header.windows} in its header"
        if header.centre is None:
            whose = f"a usual one, its header states {'no usable one' if header.odd_window else 'none'}"
        detail = f"No PNG of this name; one was made by the CT window {centre:g} / {width:g} HU ({whose})."
        problems.add("png_from_dicom", file.path, detail, True)
        problems.sources[target] = file.path
        made.append(replace(file, path=target, kind="png"))
        windows[f"{centre:g} / {width:g} HU"] += 1
    if len(windows) > 1:
        counted = ", ".join(f"{name} {number}" for name, number in windows.most_common(8))
        detail = f"PNGs were made by {len(windows)} CT windows: {counted}. One grey value means different HU in them."
        problems.add("several_windows", problems.root, detail, True, len(made))
    return made


def check_pairs(
    pairs: list[tuple[SliceFile, SliceFile]], facts: dict[SliceFile, Facts], known: dict, quiet: bool = False
) -> dict[SliceFile, tuple[str, str, bool]]:
    """Open overlays and DICOMs together with their originals, as notebooks do, and say which of them would stop one.

    Args:
        pairs: originals, each with an overlay or a DICOM of the same size.
        facts: of all these files.
        known: what `remembered` yields.
        quiet: show no progress.

    Returns:
        by file that is to be left out: the kind of the finding, a sentence, and whether what its header says still
        counts (it is of that slice, and only its pixels can't be decoded).
    """

    def check(pair: tuple[SliceFile, SliceFile]) -> tuple[str, str, bool] | None:
        original, other = pair
        digest = facts[other].sha256 or identity.sha256(other.path)
        key = f"{other.kind} {digest} of {facts[original].sha256}"
        if key not in known:
            with errors.no_warnings():
                known[key] = _fault(*((facts[file].copy or file.path) for file in pair), other.kind)
        return known[key] and tuple(known[key])

    found = progress.in_threads(check, pairs, "Comparing overlays and DICOMs with their slices", quiet)
    return {other: fault for (_, other), fault in zip(pairs, found, strict=True) if fault}


def _fault(original: Path, other: Path, kind: str) -> tuple[str, str, bool] | None:
    """Say why an overlay or a DICOM can't be used with its original; None where it can."""
    try:
        if kind == "dicom":
            dicom.check_pair(pixels.read_rgba(original), other)
        else:
            masks.extract(pixels.read_rgba(other), pixels.read_rgba(original))
    except UserError:
        raise
    except dicom.PairError as error:
        return "dicom_differs", f"{error}. The DICOM is not used, the slice is.", False
    except dicom.DicomError as error:
        if not other.exists():
            raise UserError(files.gone(other)) from error
        return "unreadable_dicom", f"{error}. Its pixels are not used; the slice and its patient are.", True
    except Exception as error:  # whatever a decoder or an extractor says of a file from anywhere
        detail = f"The {kind} is not its slice with a lesion painted on it. {errors.reason(error)}"
        return f"{kind}_differs", f"{detail} The {kind} is not used, the slice is.", False
    return None


def check_true_masks(folder: Path, originals: list[SliceFile], facts: dict, problems: Problems) -> None:
    """Note masks that the data set vouches for and that can't be decoded or are no mask of their slice."""
    for file in originals:
        path = folder / f"{file.slice_id}.png"
        if not path.is_file():
            continue
        with errors.no_warnings():
            found = read_true_mask(path)
        expected = facts[file].height, facts[file].width
        if found is None or found.shape != expected:
            what = "It can't be decoded" if found is None else f"It is {'×'.join(map(str, found.shape[::-1]))}"
            detail = f"{what}; expected a mask of {expected[1]}×{expected[0]} with 0, 1 and 2. It is not used."
            problems.add("bad_true_mask", path, detail, False)


def read_true_mask(path: Path) -> np.ndarray | None:
    """Read a mask that the data set vouches for, uint8 (H, W) of 0/1/2, or None where it is none."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            found = np.array(image)
    except (OSError, SyntaxError, ValueError):
        return None
    return found if found.ndim == 2 and found.dtype in (np.uint8, bool) else None


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

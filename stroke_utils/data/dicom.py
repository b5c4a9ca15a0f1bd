"""Reads DICOM CT slices of unknown origin: header, Hounsfield units, CT window; writes them as PNG."""

import contextlib
import io
import math
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from stroke_utils.base import errors, files
from stroke_utils.data.pixels import coloured, packed

BRAIN_WINDOW = (40.0, 80.0)  # centre and width in HU where nothing is stated; ours: the usual setting for stroke
LARGEST_SIDE = 2048  # pixels; CT slices have 512, those of ultra-high resolution 1024 or 2048
LARGEST_BYTES = 32 << 20  # of a file or of what it inflates to: four times the largest slice

AIR = -1000.0  # HU given to padding, which surrounds what was scanned
HIGHEST = 30_710.0  # HU; the extended CT scale ends here, the usual one at 3071
_SCALE = (-1024, 3071)  # HU that 12 bits hold, air to metal

_TAGS = (
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"),
    *("SOPClassUID", "Modality", "ImageType", "LossyImageCompression", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation"),
    *("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelData"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)

_VALUES = "PixelValueTransformationSequence"  # where enhanced CT keeps its rescale tags
# CT, enhanced CT, legacy converted enhanced CT.
_CT_CLASSES = {f"1.2.840.10008.5.1.4.1.1.2{end}" for end in ("", ".1", ".2")}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and classes below it
_DIRECTORY = "1.2.840.10008.1.3.10"
_SCOUTS = ("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM")
_CAPTURES = ("SCREEN SAVE", "SCREENSHOT", "SCREEN CAPTURE", "DOSE_INFO", "DOSE INFO")
# Rescale types of other quantities (PS3.3 C.11.1.1.2): optical density, densities, effective atomic number, percent.
_OTHER_QUANTITIES = {"OD", "MGML", "Z_EFF", "ED", "EDW", "PCT"}

# Function of imagecodecs by transfer syntax; pydicom itself reads plain, deflated and run-length encoded pixels.
_DECODERS = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)), "jpeg8_decode"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81)), "jpegls_decode"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (90, 91)), "jpeg2k_decode"),
}
_RUN_LENGTHS = "1.2.840.10008.1.2.5"
_LOSSY = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91)}  # or may be, which the syntax leaves open


# What anonymisers leave in the place of an id: no patient, and the same for all.
_PLACEHOLDERS = {
    *("-", "0", "x", "na", "n/a", "none", "null", "unknown", "removed", "patient", "bilinmiyor"),
    *("anon", "anonym", "anonim", "anonymous", "anonymized", "anonymised", "deidentified", "de-identified"),
}


class DicomError(ValueError):
    """A file is no whole DICOM CT slice that this module reads. The message names the file and says what is wrong."""


class NoCtSlice(DicomError):
    """A file is a sound DICOM file of something else: another modality, a localizer, a screen capture, a colour map."""


class PairError(DicomError):
    """A DICOM file and the PNG of its name show different slices."""


class _NothingToCompare(DicomError):
    """A PNG has no greys between black and white."""


@dataclass(frozen=True)
class Header:
    """What a DICOM file says about its slice.

    Ids are None where empty, or what an anonymiser leaves in their place. ``centre`` and ``width`` are the first CT
    window stated, in HU, or None where none is stated that can be used. A stored value times ``slope`` plus
    ``intercept`` is in HU. ``windows`` counts those stated that can be used, ``odd_window`` is what the tags say where
    they say something and none can; ``lossy`` tells how the pixels lost some of what they were, empty where nothing
    says so.
    """

    patient: str | None
    study: str | None
    series: str | None
    rows: int
    columns: int
    bits_stored: int
    centre: float | None
    width: float | None
    photometric: str
    transfer_syntax: str
    slope: float
    intercept: float
    windows: int = field(default=0, compare=False)
    odd_window: str = field(default="", compare=False)
    lossy: str = field(default="", compare=False)

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width in HU to show the slice by: those stated, else ``BRAIN_WINDOW``."""
        return BRAIN_WINDOW if self.centre is None else (self.centre, self.width)


@contextlib.contextmanager
def _explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever parser and decoders raise about a file from anywhere into a DicomError that names the file."""
    try:
        with errors.no_warnings():  # odd values in tags that are not used here
            yield
    except Exception as error:
        kind = NoCtSlice if isinstance(error, NoCtSlice) else DicomError
        reason = str(error) if isinstance(error, DicomError) else f"cannot be read: {errors.reason(error)}"
        raise kind(f"{Path(path).name} {reason}") from error


def _require(condition: object, reason: str, kind: type[DicomError] = DicomError) -> None:
    if not condition:
        raise kind(reason)


def _parse(path: str | os.PathLike, *, pixels: bool):
    """Return a file's data set with the tags used here, ``file_meta`` included; the caller explains errors."""
    from pydicom.dataset import FileMetaDataset  # here, because importing it takes a quarter of a second
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag

    status = os.stat(path)
    _require(stat.S_ISREG(status.st_mode), "is no regular file")  # reading a pipe may never end
    _require(status.st_size, "has zero bytes")
    _require(status.st_size <= LARGEST_BYTES, f"has {status.st_size:,} bytes; a slice has at most {LARGEST_BYTES:,}")
    stream = io.BytesIO(Path(path).read_bytes())  # gives no more than it holds, whatever length an element claims
    _require(stream.read(132)[128:] == b"DICM", "is no DICOM file: the mark DICM is not at byte 128")
    meta = FileMetaDataset(read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2))
    syntax = meta.get("TransferSyntaxUID")
    _require(syntax and syntax.is_transfer_syntax, f"names no known transfer syntax, but {syntax!r}")
    if syntax.is_deflated:
        stream = io.BytesIO(_inflate(stream.read()))
    dataset = read_dataset(
        stream,
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=None if pixels else lambda tag, *_: tag >= 0x7FE00000,
        specific_tags=[Tag(name) for name in _TAGS],
    )
    dataset.left = len(stream.getbuffer()) - stream.tell()  # bytes from the pixels on, where those were not read
    dataset.file_meta = meta
    return dataset


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, LARGEST_BYTES)
    _require(inflater.eof or len(inflated) < LARGEST_BYTES, f"inflates to more than {LARGEST_BYTES:,} bytes")
    _require(inflater.eof, "is truncated: its deflated data has no end")
    return inflated


def _words(dataset, name: str) -> list[str]:
    """Return a tag's values as they are written, without padding; none where it is absent or empty.

    pydicom converts a number when it is asked for and raises where it is none, such as ``40,5`` or ``auto``.
    """
    from pydicom.dataelem import RawDataElement

    element = dataset.get_item(name)
    written = isinstance(element, RawDataElement) and element.VR in (None, "DS", "IS", "CS", "UI", "LO", "UN")
    if written:
        words = (element.value or b"").decode("latin-1").split("\\")
    else:
        value = dataset.get(name)
        several = hasattr(value, "__iter__") and not isinstance(value, (str, bytes))
        words = [str(each) for each in (value if several else [value]) if each is not None]
    words = [word.strip(" \0\t\r\n") for word in words]
    return words if any(words) else []


def _numbers(dataset, name: str) -> list[float | None]:
    """Return a tag's values as numbers, None for each that is none or not finite."""
    found = []
    for word in _words(dataset, name):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        found.append(value if math.isfinite(value) else None)
    return found


def _text(dataset, name: str) -> str | None:
    return str(dataset.get(name) or "").strip(" \0") or None


def _groups(dataset, name: str) -> list:
    """Return the places where tags of a functional group may be: the frame's, those shared by all, the data set itself.

    Enhanced CT keeps its rescale and window tags in such groups; plain CT has none.
    """
    places = []
    for holder in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in list(dataset.get(holder) or [])[:1]:
            places += list(group.get(name) or [])[:1]
    return [*places, dataset]


def _first(places: list, name: str) -> list[float | None]:
    """Return the numbers of a tag at the first of several places that has it."""
    return next(filter(None, (_numbers(place, name) for place in places)), [])


def _lossy(dataset) -> str:
    """Say how the pixels lost some of what they were; empty where nothing says so."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _LOSSY:
        return f"compression as {syntax.name}"
    return "an earlier compression, as its header says" if _words(dataset, "LossyImageCompression") == ["01"] else ""


def _require_ct(dataset) -> None:
    """Refuse by name what is no slice of a CT scan: its values may be no Hounsfield units, whatever its tags say."""
    from pydicom.uid import UID

    sop_class = (_words(dataset, "SOPClassUID") or [str(dataset.file_meta.get("MediaStorageSOPClassUID") or "")])[0]
    modality = " ".join(_words(dataset, "Modality")).upper()
    about = UID(sop_class).name if sop_class else "no SOP class"
    _require(sop_class != _DIRECTORY, "is the index of a DICOM disk and holds no slice", NoCtSlice)
    _require(modality in ("", "CT"), f"is no CT slice: its modality is {modality[:16]} ({about})", NoCtSlice)
    captured = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + ".")
    _require(not captured, f"is no CT slice but a screen capture or a converted picture ({about})", NoCtSlice)
    _require(not sop_class or sop_class in _CT_CLASSES, f"is no CT slice: its SOP class is {about}", NoCtSlice)
    quantity = next(filter(None, (_words(p, "RescaleType") for p in _groups(dataset, _VALUES))), [""])[0].upper()
    known = modality or sop_class or quantity == "HU"
    _require(known, "names neither a modality nor a SOP class, so nothing says that it is a CT slice", NoCtSlice)
    frame = (_words(place, "FrameType") for place in _groups(dataset, "CTImageFrameTypeSequence")[:-1])
    for words in (_words(dataset, "ImageType"), *frame):
        words = [word.upper() for word in words]
        said = "\\".join(words)[:80]
        scout = any(name in word for word in words for name in _SCOUTS)
        _require(not scout, f"is no CT slice but a localizer (image type {said})", NoCtSlice)
        captured = any(name in word for word in words for name in _CAPTURES)
        _require(not captured, f"is no CT slice but a screen capture (image type {said})", NoCtSlice)
        # A slice that was compressed with loss has to call itself derived as well (PS3.3 C.7.6.1.1.5).
        derived = words[:1] == ["DERIVED"] and not (_lossy(dataset) and words[1:2] == ["PRIMARY"])
        _require(not derived, f"is no slice as scanned but derived from others (image type {said})", NoCtSlice)
    _require(quantity not in _OTHER_QUANTITIES, f"is no CT slice: its values are {quantity}, not HU", NoCtSlice)
    samples, photometric = int(dataset.get("SamplesPerPixel") or 1), _text(dataset, "PhotometricInterpretation")
    grey = samples == 1 and photometric in (None, "MONOCHROME1", "MONOCHROME2")
    _require(grey, f"is no grey picture: {samples} samples a pixel, {photometric}", NoCtSlice)
    frames = int(dataset.get("NumberOfFrames") or 1)
    _require(frames == 1, f"holds {frames} frames; expected one slice a file", NoCtSlice)


def _header(dataset) -> Header:
    """Read and check what is needed to interpret the pixels; the caller explains errors."""
    _require_ct(dataset)
    rows, columns, bits = (int(dataset.get(name) or 0) for name in ("Rows", "Columns", "BitsStored"))
    _require(
        0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE,
        f"declares {rows} × {columns} pixels; a slice has 1 to {LARGEST_SIDE} on each side",
    )
    photometric = _text(dataset, "PhotometricInterpretation")
    _require(photometric, "does not say whether its pixels are grey values")
    places = _groups(dataset, _VALUES)
    slope, intercept = ((_first(places, name) or [None])[0] for name in ("RescaleSlope", "RescaleIntercept"))
    _require(
        slope and intercept is not None and abs(slope) < 1e6 and abs(intercept) < 1e9,
        "has no usable rescale slope and intercept, so its values are not known in Hounsfield units",
    )
    places = _groups(dataset, "FrameVOILUTSequence")
    stated = zip(_first(places, "WindowCenter"), _first(places, "WindowWidth"), strict=False)
    # A width of less than 1 is forbidden, 1 leaves black and white.
    usable = [(c, w) for c, w in stated if c is not None and w is not None and w >= 2 and max(abs(c), w) < 1e5]
    said = ["\\".join(words) for p in places for n in ("WindowCenter", "WindowWidth") if (words := _words(p, n))]
    ids = (_text(dataset, name) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
    ids = (None if (value or "").lower() in _PLACEHOLDERS else value for value in ids)
    return Header(
        *ids, rows, columns, bits, *(usable or [(None, None)])[0],
        photometric, dataset.file_meta.TransferSyntaxUID.name, slope, intercept,
        len(set(usable)), "" if usable else " / ".join(said)[:80], _lossy(dataset),
    )  # fmt: skip


def read_header(path: str | os.PathLike, whole: bool = False) -> Header:
    """Read and check what a DICOM file says about its CT slice; pixels are not read.

    With ``whole`` a file is refused that holds fewer bytes of pixels than it declares; of compressed ones that it has
    some is all that shows without decoding.

    Raises:
        NoCtSlice: a DICOM file of something else than one grey CT slice as it was scanned.
        DicomError: no DICOM file, more than 2048 × 2048 pixels, or no way to Hounsfield units.
    """
    with _explained(path):
        dataset = _parse(path, pixels=False)
        header, syntax = _header(dataset), dataset.file_meta.TransferSyntaxUID
        least = 1 if syntax.is_compressed else header.rows * header.columns * -(-header.bits_stored // 8)
        found = max(dataset.left - 8, 0)  # without the element's tag and length
        _require(not whole or found >= least, f"is truncated: {found:,} of {least:,} bytes of pixels")
        return header


def read_hounsfield(path: str | os.PathLike) -> np.ndarray:
    """Decode a CT slice from a DICOM file, compressed or not.

    A MONOCHROME1 file states only that low values are *shown* bright; its Hounsfield units are those of any other.
    Padding, which the header names or whose one value is above all of CT's scale, becomes air.

    Returns:
        float array (rows, columns) in Hounsfield units: the stored values after the file's rescale slope and intercept.

    Raises:
        DicomError: as ``read_header``, or the pixels are missing, truncated or damaged.
    """
    return _slice(path)[1]


def _slice(path: str | os.PathLike) -> tuple[Header, np.ndarray]:
    with _explained(path):
        dataset = _parse(path, pixels=True)
        header = _header(dataset)
        cells, stored = _stored(dataset, header)
        hounsfield = stored * header.slope + header.intercept
        hounsfield[_padding(dataset, cells, stored, hounsfield)] = AIR
        return header, hounsfield


def _padding(dataset, cells: np.ndarray, stored: np.ndarray, hounsfield: np.ndarray) -> np.ndarray:
    """Tell which pixels are padding (PS3.3 C.7.5.1.1.2); arrays of one shape (rows, columns) in, bool array out.

    A header that names an everyday value, such as the 0 of a converter that knows none, is believed only where that
    value surrounds the picture.
    """
    first, last = (_cell(dataset, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    found = np.zeros(stored.shape, bool)
    if first is not None:
        signed = int(dataset.PixelRepresentation)
        ends = [each - 65536 if signed and each > 32767 else each for each in (first, first if last is None else last)]
        # Padding may use bits that values don't: the whole cell tells.
        found = (cells == first) | ((stored >= min(ends)) & (stored <= max(ends)))
        usual = (hounsfield >= _SCALE[0]) & (hounsfield <= _SCALE[1])
        if (found & usual).any():
            parts, _ = ndimage.label(found)
            around = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
            found &= ~usual | np.isin(parts, around[around > 0])
    above = (hounsfield > HIGHEST) & ~found
    if above.any() and np.ptp(stored[above]) == 0:  # one value alone: padding that the header does not name
        found |= above
    return found


def _cell(dataset, name: str) -> int | None:
    """Return a tag of one 16-bit value as the bits of a cell, whichever sign its VR claims, or None where it is absent.

    Writers mix up the two signs of padding, and pydicom refuses what the VR can't hold.
    """
    from pydicom.dataelem import RawDataElement

    element = dataset.get_item(name)
    if isinstance(element, RawDataElement):
        order = "little" if element.is_little_endian else "big"
        value = int.from_bytes((element.value or b"")[:2], order) if element.value else None
    else:
        value = element.value if element is not None else None
    return int(value) & 0xFFFF if isinstance(value, int) else None


def _require_ct_values(header: Header, hounsfield: np.ndarray) -> None:
    """Refuse values that no CT scan can have: their sign was lost or made up, or they are no Hounsfield units."""
    highest, span = hounsfield.max(), 2**header.bits_stored * header.slope
    _require(
        highest <= HIGHEST,
        f"holds values up to {highest:,.0f} HU, and CT has at most {HIGHEST:,.0f}: their sign was lost, or they are no "
        "Hounsfield units",
    )
    # Air that lost its sign in 12 bits is as bright as metal, and no air is left.
    air = np.mean((hounsfield - span > -1100) & (hounsfield - span < -900))
    _require(
        hounsfield.min() <= -500 or air <= 0.02,
        f"holds no air, but {air:.0%} of its values would be air if they had a sign: it was lost",
    )
    # So is a slice whose intercept was lost: its brain is at 1024 and more, where bone has no such peak.
    tissue, below = (np.mean((hounsfield >= low) & (hounsfield < low + 120)) for low in (1004, 884))
    _require(
        hounsfield.min() <= -500 or tissue <= max(0.1, 3 * below),
        f"holds no air, and {tissue:.0%} of its values would be soft tissue 1024 lower: its intercept was lost",
    )
    low = hounsfield[hounsfield < -1500]
    bone = np.mean((low + span > 900) & (low + span < 3100)) if low.size > 0.005 * hounsfield.size else 0
    _require(
        bone < 0.9 or len(np.unique(low)) <= 8,  # padding has one value
        f"holds values down to {hounsfield.min():,.0f} HU that would be bone without a sign: it was made up",
    )


def _stored(dataset, header: Header) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells and the values in the bits of each that hold them (PS3.5 8.1.1), int32 (rows, columns) each."""
    syntax, bits, shape = dataset.file_meta.TransferSyntaxUID, header.bits_stored, (header.rows, header.columns)
    allocated, signed = int(dataset.BitsAllocated), int(dataset.PixelRepresentation)
    shift = int(dataset.get("HighBit", bits - 1)) - bits + 1
    _require(
        allocated in (8, 16) and signed in (0, 1) and 1 <= bits <= allocated and 0 <= shift <= allocated - bits,
        f"describes its pixels wrongly: {bits} bits in {allocated}, the highest at {shift + bits - 1}, sign {signed}",
    )
    data, whole = dataset.get("PixelData") or b"", header.rows * header.columns * allocated // 8
    limit = whole + whole // 8 + 4096  # of noise; bounds what run lengths can expand to
    _require(not syntax.is_compressed or len(data) <= limit, "has compressed pixels larger than plain ones")
    _require(syntax.is_compressed or len(data) >= whole, f"is truncated: {len(data):,} of {whole:,} bytes of pixels")
    decode = _DECODERS.get(syntax)
    read = decode or syntax == _RUN_LENGTHS or not syntax.is_encapsulated
    _require(read, f"has pixels compressed as {syntax.name}, which is not read")
    # Whether an encoder took cells or values is not told; on the retired shifted cells the two differ.
    _require(not decode or shift == 0, f"has compressed pixels shifted by {shift} bits, which is not read")
    cells = _decoded(decode, data, shape) if decode else _cells(dataset)
    _require(cells.shape == shape, f"decodes to pixels of shape {cells.shape}")
    cells = cells.astype(np.int32)
    values = (cells >> shift) & ((1 << bits) - 1)
    return cells & 0xFFFF, values - (values >> (bits - 1) << bits) if signed else values


def _cells(dataset) -> np.ndarray:
    from pydicom.pixels import get_decoder

    # What is in the unused bits is cut off later: pydicom's own correction knows no shift.
    return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, raw=True, correct_unused_bits=False)[0]


def _decoded(decode: str, data: bytes, shape: tuple[int, int]) -> np.ndarray:
    import imagecodecs
    from pydicom.encaps import get_frame

    frame, refused = get_frame(data, 0, number_of_frames=1), []
    if decode == "jpeg2k_decode":
        frame = _with_end(frame)
    for kind in (np.uint16, np.uint8, np.int16, np.int8):
        # Given an array to fill, a decoder refuses a codestream of another size before it allocates memory for it.
        try:
            return getattr(imagecodecs, decode)(frame, out=np.empty(shape, kind))
        except ValueError as error:
            refused.append(str(error))
    raise DicomError(f"has compressed pixels that are no {shape[0]} × {shape[1]} grey values: {refused[0]}")


def _with_end(codestream: bytes) -> bytes:
    """Add the end mark to a JPEG 2000 codestream that lacks nothing else: some archives cut it off."""
    place = 2
    while codestream[place : place + 1] == b"\xff" and codestream[place + 1 : place + 2] != b"\x90":  # the main header
        place += 2 + int.from_bytes(codestream[place + 2 : place + 4])
    while codestream[place : place + 2] == b"\xff\x90" and (
        length := int.from_bytes(codestream[place + 6 : place + 10])
    ):
        place += length  # of a part of the tile
    whole = codestream.startswith(b"\xff\x4f\xff\x51") and codestream[place:] in (b"", b"\0")  # to an even length
    return codestream[:place] + b"\xff\xd9" if whole and place <= len(codestream) else codestream


def window(hounsfield: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Map Hounsfield units to grey values as in the release's PNGs: ``width`` levels, the lowest 0, the highest 255.

    This is DICOM's linear window (PS3.3 C.11.2.1.2.1), rounded half up. Array of any shape in, uint8 array out.

    Raises:
        ValueError: ``width`` is less than 2.
    """
    if not width >= 2:
        raise ValueError(f"A CT window has a width of at least 2 HU, not {width}.")
    steps = np.clip(hounsfield - (centre - width / 2), 0, width - 1)
    return np.uint8(np.floor(steps * 255 / (width - 1) + 0.5))


def estimate_window_width(rgb: np.ndarray) -> int | None:
    """Estimate the width of a PNG's CT window from the comb that its grey values make.

    A window of w HU spreads w values evenly over 0–255. The estimate is the smallest w whose values include all that
    occur in the picture, so a slice that lacks some of them is measured all the same.

    Returns:
        the width in HU, or None where no comb is seen: fewer than 24 grey values, or too many for one (a resized
        picture, a wide window). For RGB uint8 array (H, W, 3).
    """
    values = np.unique(rgb[..., 0][~coloured(packed(rgb))])
    # Beyond 192 of 256 values the combs are so dense that arbitrary greys fit one.
    for width in range(len(values) - 1, 193) if len(values) >= 24 else ():
        for low in (0, 0.5):  # the lower end of an odd width around a whole centre is between two units
            if np.isin(values, window(np.arange(width + 1) - low, width / 2, width)).all():
                return width
    return None


def confirm_window(rgb: np.ndarray, dicom_path: str | os.PathLike) -> tuple[float, float, int]:
    """Find the CT window by which a PNG was made from its DICOM file.

    Takes an RGB uint8 array (H, W, 3); coloured pixels are left out. The window stated in the header is not used.

    Returns:
        centre and width in HU, and the largest difference to the PNG in grey levels. Rounding explains 1.

    Raises:
        DicomError: the file can't be read, differs in size, or the picture has no greys to compare.
    """
    _, hounsfield = _slice(dicom_path)
    plain, inside, slope, _ = _compared(rgb, hounsfield, Path(dicom_path).name)
    grey = rgb[..., 0].astype(float)
    fitted, found = round(255 * slope) + 1, []
    for width in {estimate_window_width(rgb) or fitted, max(fitted, 2)}:
        low = np.median(hounsfield[inside] - grey[inside] * (width - 1) / 255)
        for start in np.round(2 * low + np.arange(-2, 3)) / 2:  # centres are whole or half units
            centre = start + width / 2
            off = np.abs(window(hounsfield[plain], centre, width) - grey[plain])
            found.append((off.mean(), float(centre), float(width), int(off.max())))
    return min(found)[1:]


def _compared(rgb: np.ndarray, hounsfield: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Compare a PNG, uint8 array (H, W, 3 or 4), with the Hounsfield units (H, W) of the DICOM file called ``name``.

    Returns:
        where the PNG is grey and where neither black nor white, bool arrays (H, W); there HU a grey level, and the
        correlation of the two.

    Raises:
        DicomError: they can't be the same slice, or nothing can be compared.
    """
    grey = rgb[..., 0].astype(float)
    _require(grey.shape == hounsfield.shape, f"{name} has {hounsfield.shape} rows and columns, its PNG {grey.shape}")
    plain = ~coloured(packed(rgb))  # markers and painted lesions hold no Hounsfield units
    inside = plain & (grey > 0) & (grey < 255)
    x, y = grey[inside], hounsfield[inside]
    _require(x.size and np.ptp(x), f"{name} has a PNG without greys between black and white", _NothingToCompare)
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    _require(slope > 0, f"{name} gets darker where its PNG gets brighter")
    return plain, inside, slope, float(x @ y / np.sqrt((x @ x) * (y @ y)))


def check_pair(rgb: np.ndarray, dicom_path: str | os.PathLike) -> None:
    """Make sure that a DICOM file can be decoded, holds what CT can have, and shows the slice of its PNG.

    A PNG without greys between black and white, as of a slice above the head, can be that of any.

    Args:
        rgb: uint8 array (H, W, 3 or 4) of the PNG.
        dicom_path: of the same slice.

    Raises:
        PairError: the file is sound, and another slice's. DicomError: as ``read_hounsfield``, or values no CT has.
    """
    header, hounsfield = _slice(dicom_path)
    with _explained(dicom_path):
        _require_ct_values(header, hounsfield)
    name = Path(dicom_path).name
    try:
        *_, alike = _compared(rgb, hounsfield, name)
    except _NothingToCompare:
        return
    except DicomError as error:
        raise PairError(str(error)) from None
    # A CT window is a straight line, so the two go together all but exactly.
    _require(alike > 0.5, f"{name} shows another picture than its PNG (correlation {alike:.2f})", PairError)


def write_png(
    dicom_path: str | os.PathLike, target: str | os.PathLike, centre: float | None = None, width: float | None = None
) -> tuple[float, float]:
    """Write a DICOM slice as a PNG like the release's, whole or not at all: RGBA, 8 bit, opaque, dense tissue bright.

    Returns:
        centre and width of the CT window in HU: those given, else those of the header, else ``BRAIN_WINDOW``.

    Raises:
        DicomError: the file can't be read, or holds values no CT has.
        ValueError: only one of centre and width is given, or width is below 2.
        UserError: the disk is full.
    """
    if (centre is None) != (width is None):
        raise ValueError(f"A CT window needs both centre and width; got centre {centre} and width {width}.")
    header, hounsfield = _slice(dicom_path)
    with _explained(dicom_path):
        _require_ct_values(header, hounsfield)
    if centre is None:
        centre, width = header.window
    picture = Image.fromarray(window(hounsfield, centre, width)).convert("RGBA")
    with files.atomic_path(target) as path:
        picture.save(path, format="PNG")
    return centre, width

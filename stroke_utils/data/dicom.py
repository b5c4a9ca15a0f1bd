"""Reads DICOM CT slices of unknown origin: header, Hounsfield units, CT window; writes them as PNG."""

import contextlib
import io
import math
import os
import stat
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stroke_utils.base import errors, files
from stroke_utils.data.pixels import coloured, packed

BRAIN_WINDOW = (40.0, 80.0)  # centre and width in HU where nothing is stated; ours: the usual setting for stroke
LARGEST_SIDE = 2048  # pixels; CT slices have 512, those of ultra-high resolution 1024 or 2048
LARGEST_BYTES = 32 << 20  # of a file or of what it inflates to: four times the largest slice

_TAGS = (
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation"),
    *("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelData"),
)

# Function of imagecodecs by transfer syntax; pydicom itself reads plain, deflated and run-length encoded pixels.
_DECODERS = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)), "jpeg8_decode"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81)), "jpegls_decode"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (90, 91)), "jpeg2k_decode"),
}


class DicomError(ValueError):
    """A file is no whole DICOM CT slice that this module reads. The message names the file and says what is wrong."""


@dataclass(frozen=True)
class Header:
    """What a DICOM file says about its slice.

    Ids are None where empty. ``centre`` and ``width`` are the first CT window stated, in HU, or None where none is
    stated that can be used. A stored value times ``slope`` plus ``intercept`` is in HU.
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

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width in HU to show the slice by: those stated, else ``BRAIN_WINDOW``."""
        return BRAIN_WINDOW if self.centre is None else (self.centre, self.width)


@contextlib.contextmanager
def _explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever parser and decoders raise about a file from anywhere into a DicomError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values in tags that are not used here
            yield
    except Exception as error:
        reason = str(error) if isinstance(error, DicomError) else f"cannot be read: {errors.reason(error)}"
        raise DicomError(f"{Path(path).name} {reason}") from error


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise DicomError(reason)


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


def _number(dataset, name: str) -> float | None:
    """Return the first value of a numeric tag, or None where it is absent, empty or not finite."""
    value = dataset.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    value = None if value in (None, "") else float(value)
    return value if value is not None and math.isfinite(value) else None


def _text(dataset, name: str) -> str | None:
    return str(dataset.get(name) or "").strip(" \0") or None


def _header(dataset) -> Header:
    """Read and check what is needed to interpret the pixels; the caller explains errors."""
    rows, columns, bits = (int(dataset.get(name) or 0) for name in ("Rows", "Columns", "BitsStored"))
    _require(
        0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE,
        f"declares {rows} × {columns} pixels; a slice has 1 to {LARGEST_SIDE} on each side",
    )
    samples, frames = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("NumberOfFrames") or 1)
    photometric = _text(dataset, "PhotometricInterpretation")
    _require(
        samples == 1 and photometric in ("MONOCHROME1", "MONOCHROME2"),
        f"is no grey picture: {samples} samples a pixel, {photometric}",
    )
    _require(frames == 1, f"holds {frames} frames; expected one slice a file")
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    _require(
        slope and intercept is not None and abs(slope) < 1e6 and abs(intercept) < 1e9,
        "has no usable rescale slope and intercept, so its values are not known in Hounsfield units",
    )
    centre, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if centre is None or width is None or width < 2:  # less than 1 is forbidden, 1 leaves black and white
        centre = width = None
    ids = (_text(dataset, name) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
    syntax = dataset.file_meta.TransferSyntaxUID.name
    return Header(*ids, rows, columns, bits, centre, width, photometric, syntax, slope, intercept)


def read_header(path: str | os.PathLike, whole: bool = False) -> Header:
    """Read and check what a DICOM file says about its CT slice; pixels are not read.

    With ``whole`` a file is refused that holds fewer bytes of pixels than it declares; of compressed ones that it has
    some is all that shows without decoding.

    Raises:
        DicomError: no DICOM file, not one grey slice of at most 2048 × 2048 pixels, or no way to Hounsfield units.
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
        return header, _stored(dataset, header) * header.slope + header.intercept


def _stored(dataset, header: Header) -> np.ndarray:
    """Return the stored values, int32 (rows, columns), from the bits of each cell that hold them (PS3.5 8.1.1)."""
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
    # Whether an encoder took cells or values is not told; on the retired shifted cells the two differ.
    _require(not decode or shift == 0, f"has compressed pixels shifted by {shift} bits, which is not read")
    cells = _decoded(decode, data, shape) if decode else _cells(dataset)
    _require(cells.shape == shape, f"decodes to pixels of shape {cells.shape}")
    values = (cells.astype(np.int32) >> shift) & ((1 << bits) - 1)
    return values - (values >> (bits - 1) << bits) if signed else values


def _cells(dataset) -> np.ndarray:
    from pydicom.pixels import get_decoder

    # What is in the unused bits is cut off later: pydicom's own correction knows no shift.
    return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, raw=True, correct_unused_bits=False)[0]


def _decoded(decode: str, data: bytes, shape: tuple[int, int]) -> np.ndarray:
    import imagecodecs
    from pydicom.encaps import get_frame

    frame, refused = get_frame(data, 0, number_of_frames=1), []
    for kind in (np.uint16, np.uint8, np.int16, np.int8):
        # Given an array to fill, a decoder refuses a codestream of another size before it allocates memory for it.
        try:
            return getattr(imagecodecs, decode)(frame, out=np.empty(shape, kind))
        except ValueError as error:
            refused.append(str(error))
    raise DicomError(f"has compressed pixels that are no {shape[0]} × {shape[1]} grey values: {refused[0]}")


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
    name, grey = Path(dicom_path).name, rgb[..., 0].astype(float)
    _require(grey.shape == hounsfield.shape, f"{name} has {hounsfield.shape} rows and columns, its PNG {grey.shape}")
    plain = ~coloured(packed(rgb))  # markers and painted lesions hold no Hounsfield units
    inside = plain & (grey > 0) & (grey < 255)
    _require(len(np.unique(grey[inside])) > 1, f"{name} has a PNG without greys between black and white")
    slope = np.polyfit(grey[inside], hounsfield[inside], 1)[0]
    _require(slope > 0, f"{name} gets darker where its PNG gets brighter")
    fitted, found = round(255 * slope) + 1, []
    for width in {estimate_window_width(rgb) or fitted, max(fitted, 2)}:
        low = np.median(hounsfield[inside] - grey[inside] * (width - 1) / 255)
        for start in np.round(2 * low + np.arange(-2, 3)) / 2:  # centres are whole or half units
            centre = start + width / 2
            off = np.abs(window(hounsfield[plain], centre, width) - grey[plain])
            found.append((off.mean(), float(centre), float(width), int(off.max())))
    return min(found)[1:]


def write_png(
    dicom_path: str | os.PathLike, target: str | os.PathLike, centre: float | None = None, width: float | None = None
) -> tuple[float, float]:
    """Write a DICOM slice as a PNG like the release's, whole or not at all: RGBA, 8 bit, opaque, dense tissue bright.

    Returns:
        centre and width of the CT window in HU: those given, else those of the header, else ``BRAIN_WINDOW``.

    Raises:
        DicomError: the file can't be read. ValueError: only one of centre and width is given, or width is below 2.
        UserError: the disk is full.
    """
    if (centre is None) != (width is None):
        raise ValueError(f"A CT window needs both centre and width; got centre {centre} and width {width}.")
    header, hounsfield = _slice(dicom_path)
    if centre is None:
        centre, width = header.window
    picture = Image.fromarray(window(hounsfield, centre, width)).convert("RGBA")
    with files.atomic_path(target) as path:
        picture.save(path, format="PNG")
    return centre, width

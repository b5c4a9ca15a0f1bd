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

BRAIN_WINDOW = (40.0, 80.0)  # centre and width in HU where nothing is stated; ours: the usual setting for stroke
LARGEST_SIDE = 2048  # pixels; CT slices have 512, those of ultra-high resolution 1024 or 2048
LARGEST_BYTES = 32 << 20  # of a file or of what it inflates to: four times the largest slice

_TAGS = (
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation"),
    *("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelData"),
)


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


class _Clamped(io.BufferedReader):
    """A file that makes no room for more bytes than it holds, however many an element claims to have."""

    def read(self, size: int = -1) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size < 0 else min(size, left))


@contextlib.contextmanager
def _explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever parser and decoders raise about a file from anywhere into a DicomError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values in tags that are not used here
            yield
    except Exception as error:
        reason = str(error) if isinstance(error, DicomError) else f"cannot be read: {error or type(error).__name__}"
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
    with _Clamped(open(os.fspath(path), "rb", buffering=0)) as stream:
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
    dataset.file_meta = meta
    return dataset


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, LARGEST_BYTES)
    _require(not inflater.unconsumed_tail, f"inflates to more than {LARGEST_BYTES:,} bytes")
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
    if centre is None or width is None or width < 1:  # less than 1 is forbidden (PS3.3 C.11.2.1.2)
        centre = width = None
    ids = (_text(dataset, name) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
    syntax = dataset.file_meta.TransferSyntaxUID.name
    return Header(*ids, rows, columns, bits, centre, width, photometric, syntax, slope, intercept)


def read_patient(path: str | os.PathLike) -> str | None:
    """Return the patient id in a DICOM file's header, or None where it is empty, whatever kind of picture it holds.

    Raises:
        DicomError: no DICOM file.
    """
    with _explained(path):
        return _text(_parse(path, pixels=False), "PatientID")


def read_header(path: str | os.PathLike) -> Header:
    """Read and check what a DICOM file says about its CT slice; pixels are not read.

    Raises:
        DicomError: no DICOM file, not one grey slice of at most 2048 × 2048 pixels, or no way to Hounsfield units.
    """
    with _explained(path):
        return _header(_parse(path, pixels=False))


def read_hounsfield(path: str | os.PathLike) -> np.ndarray:
    """Decode a CT slice from a DICOM file, compressed or not.

    A MONOCHROME1 file states only that low values shall be *shown* bright; its Hounsfield units are those of any other.

    Returns:
        float array (rows, columns) in Hounsfield units: the stored values after the file's rescale slope and intercept.

    Raises:
        DicomError: as ``read_header``, or the pixels are missing, truncated or damaged.
    """
    with _explained(path):
        dataset = _parse(path, pixels=True)
        header = _header(dataset)
        return _stored(dataset, header) * header.slope + header.intercept


def _stored(dataset, header: Header) -> np.ndarray:
    """Return the stored values, int32 (rows, columns), from the bits of each cell that hold them (PS3.5 8.1.1)."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import RLELossless

    syntax, bits = dataset.file_meta.TransferSyntaxUID, header.bits_stored
    allocated, signed = int(dataset.BitsAllocated), int(dataset.PixelRepresentation)
    shift = int(dataset.get("HighBit", bits - 1)) - bits + 1
    _require(
        allocated in (8, 16) and signed in (0, 1) and 1 <= bits <= allocated and 0 <= shift <= allocated - bits,
        f"describes its pixels wrongly: {bits} bits in {allocated}, the highest at {shift + bits - 1}, sign {signed}",
    )
    data, whole = dataset.get("PixelData") or b"", header.rows * header.columns * allocated // 8
    if syntax.is_compressed:
        _require(len(data) <= 2 * whole + 65536, "has compressed pixels that take more room than plain ones")
        _require(shift == 0 or syntax == RLELossless, "is compressed and shifts its bits, which is not read")
    else:
        _require(len(data) >= whole, f"is truncated: {len(data):,} of {whole:,} bytes of pixels")
    # What lies in the unused bits is cut off below: pydicom's own correction knows no shift.
    cells, _ = get_decoder(syntax).as_array(dataset, raw=True, correct_unused_bits=False)
    _require(cells.shape == (header.rows, header.columns), f"decodes to pixels of shape {cells.shape}")
    values = (cells.astype(np.int32) >> shift) & ((1 << bits) - 1)
    return values - (values >> (bits - 1) << bits) if signed else values


def window(hounsfield: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Map Hounsfield units to grey values 0–255 as a CT window does: black below it, white above it.

    Array of any shape in, uint8 array of that shape out.
    """
    low = centre - width / 2
    return np.uint8(np.round(255 * np.clip((hounsfield - low) / width, 0, 1)))

"""DICOM slices of every kind are read to the same Hounsfield units, or refused in a sentence."""

import os
import random
import time
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from stroke_utils.data import dicom
from stroke_utils.data.dicom import DicomError
from stroke_utils.data.pixels import read_rgb

STORED = np.random.default_rng(0).integers(0, 4096, (24, 20)).astype(np.uint16)
STORED[:2, :2] = [[0, 1], [2047, 4095]]


def dataset(stored=STORED, syntax=uid.ExplicitVRLittleEndian, **tags):
    """A CT slice of 12 bits in 16 with the values ``stored``; ``tags`` are set, or removed where None."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.file_meta.TransferSyntaxUID = syntax
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = " P7 ", "1.2", "1.3"
    data.Rows, data.Columns, data.SamplesPerPixel = *stored.shape[:2], 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * stored.itemsize, 12, 11
    data.RescaleSlope, data.RescaleIntercept = 2, -1024
    data.PixelData = stored.astype(
        stored.dtype.newbyteorder(">" if syntax == uid.ExplicitVRBigEndian else "<")
    ).tobytes()
    data["PixelData"].VR = "OW"
    for name, value in tags.items():
        if value is None:
            del data[name]
        else:
            setattr(data, name, value)
    return data


def write(path, *arguments, **tags):
    dataset(*arguments, **tags).save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def file(tmp_path):
    """Writes a slice and returns its path."""
    return lambda *arguments, **tags: write(tmp_path / "a.dcm", *arguments, **tags)


def test_the_header_is_read_without_pixels(file):
    header = dicom.read_header(file(WindowCenter=[35, 40], WindowWidth=[90, 400], PixelData=None))
    assert header == dicom.Header(
        *("P7", "1.2", "1.3", 24, 20, 12, 35.0, 90.0, "MONOCHROME2", "Explicit VR Little Endian", 2.0, -1024.0)
    )
    empty = dicom.read_header(file(PatientID="", StudyInstanceUID=None, SeriesInstanceUID="", WindowCenter=40))
    assert (empty.patient, empty.study, empty.series, empty.centre, empty.width) == (None,) * 5
    assert dicom.read_header(file(WindowCenter=40, WindowWidth=0)).width is None


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda syntax: syntax.name,
)
def test_hounsfield_units_follow_the_rescale_tags(file, syntax):
    assert np.array_equal(dicom.read_hounsfield(file(STORED, syntax)), STORED * 2.0 - 1024)


SIGNED = STORED.astype(np.int16) - 2048
FULL = np.arange(-32768, 32768, 137, dtype=np.int16)[:476].reshape(28, 17)
GARBAGE = np.uint16(0xA000)


@pytest.mark.parametrize(
    ("values", "stored", "tags"),
    {
        "12 in 16": (STORED, STORED, {}),
        "garbage above 12 bits": (STORED, STORED | GARBAGE, {}),
        "signed": (SIGNED, SIGNED, {"PixelRepresentation": 1}),
        "signed, sign not carried on": (SIGNED, SIGNED & 0xFFF, {"PixelRepresentation": 1}),
        "signed, garbage": (SIGNED, (SIGNED & 0xFFF).view(np.uint16) ^ GARBAGE, {"PixelRepresentation": 1}),
        "shifted up": (STORED, STORED << 4 | 9, {"HighBit": 15}),
        "shifted up, signed": (SIGNED, SIGNED << 4, {"HighBit": 15, "PixelRepresentation": 1}),
        "16 signed": (FULL, FULL, {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1}),
        "16 unsigned": (FULL.view(np.uint16), FULL, {"BitsStored": 16, "HighBit": 15}),
        "8": (STORED & 255, STORED.astype(np.uint8), {"BitsStored": 8, "HighBit": 7}),
        "low values shown bright": (STORED, STORED, {"PhotometricInterpretation": "MONOCHROME1"}),
        "no high bit": (STORED, STORED, {"HighBit": None}),
    }.values(),
    ids=lambda value: None,
)
def test_only_the_stored_bits_count(file, values, stored, tags):
    assert np.array_equal(dicom.read_hounsfield(file(stored, **tags)), values * 2.0 - 1024)


ENCODERS = {
    uid.RLELossless: None,
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda stored: imagecodecs.jpeg2k_encode(stored, codecformat="J2K", reversible=True),
    uid.JPEGLosslessSV1: lambda stored: imagecodecs.jpeg8_encode(stored, lossless=True, bitspersample=12),
}


def compressed(syntax, stored=STORED, **tags):
    """The slice of ``dataset`` with compressed pixels."""
    data = dataset(stored, **tags)
    if syntax == uid.RLELossless:
        data.compress(syntax)
        return data
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([ENCODERS[syntax](stored)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    return data


@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: syntax.name)
def test_compressed_pixels_are_read_back_equal(tmp_path, syntax):
    cells, values = STORED, STORED * 2.0 - 1024
    for signed in (0, 1):
        data = compressed(syntax, cells, PixelRepresentation=signed)
        data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        assert np.array_equal(dicom.read_hounsfield(tmp_path / "a.dcm"), values)
        assert dicom.read_header(tmp_path / "a.dcm").transfer_syntax == syntax.name
        cells, values = (SIGNED & 0xFFF).view(np.uint16), SIGNED * 2.0 - 1024


def test_a_signed_jpeg_2000_codestream_is_read_like_an_unsigned_one(tmp_path):
    compressed(uid.JPEG2000Lossless, SIGNED, PixelRepresentation=1).save_as(
        tmp_path / "a.dcm", enforce_file_format=True
    )
    assert np.array_equal(dicom.read_hounsfield(tmp_path / "a.dcm"), SIGNED * 2.0 - 1024)


def test_the_width_of_a_window_is_the_step_of_the_comb():
    values = np.arange(-200, 300)
    for width in (60, 80, 85, 95, 99, 100, 110, 120, 190):
        grey = dicom.window(values, width / 2, width)
        assert len(np.unique(grey)) == width and grey[values == 0] == 0 and grey[values == width - 1] == 255
        rgb = np.repeat(grey[:, None, None], 3, axis=2)
        assert dicom.estimate_window_width(rgb) == width
        keep = np.random.default_rng(width).random(len(grey)) < 0.6  # a slice that lacks many of the levels
        rgb[:3] = (255, 0, 255)
        assert dicom.estimate_window_width(rgb[keep]) == width
        between = dicom.window(values + 0.5, width / 2, width)  # an odd width around a whole centre
        assert dicom.estimate_window_width(np.repeat(between[keep, None, None], 3, axis=2)) == width
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    assert dicom.estimate_window_width(every) is None
    few = dicom.window(np.arange(20), 10, 20)
    assert dicom.estimate_window_width(np.repeat(few[:, None, None], 3, axis=2)) is None
    some = np.sort(np.random.default_rng(0).permutation(256)[:150])
    assert dicom.estimate_window_width(every[some]) is None


def test_real_windows_have_known_widths(real_samples):
    found = {path.stem: dicom.estimate_window_width(read_rgb(path)) for path in sorted(real_samples.rglob("*.png"))}
    # The slice with 85 grey values has the comb of 90, five of whose values do not occur in it.
    assert set(found.values()) <= {80, 85, 90, 95, 99, 100, 110, 120}, found


def test_the_phantoms_windows_are_found_again(tiny_phantom, tmp_path):
    paths = sorted(tiny_phantom.rglob("*.dcm"))[::3]
    assert len(paths) > 5
    for path in paths:
        rgb, header = read_rgb(path.parent.parent / "PNG" / f"{path.stem}.png"), dicom.read_header(path)
        centre, width, off = dicom.confirm_window(rgb, path)
        assert (centre, width) == (header.centre, header.width) and off <= 1
        assert dicom.estimate_window_width(rgb) == width
        assert dicom.write_png(path, tmp_path / "a.png") == (centre, width)
        plain = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
        with Image.open(tmp_path / "a.png") as made:
            assert made.format == "PNG" and made.mode == "RGBA"
            made = np.asarray(made)
        assert (made[..., 3] == 255).all() and np.abs(made[plain][:, :3].astype(int) - rgb[plain]).max() <= 1


def picture(hounsfield, centre, width):
    return np.repeat(dicom.window(hounsfield, centre, width)[..., None], 3, axis=2)


def test_a_picture_that_is_not_the_slices_shows(file):
    path, hounsfield = file(RescaleSlope=1), STORED - 1024.0
    rgb = picture(hounsfield, 35, 1000)
    assert dicom.confirm_window(rgb, path) == (35.0, 1000.0, 0)
    off = rgb.copy()
    off[0, 1] = (255, 0, 255)  # black before: a marker is not compared
    assert dicom.confirm_window(off, path) == (35.0, 1000.0, 0)
    off[5, 5] = 255 - off[5, 5]
    centre, width, largest = dicom.confirm_window(off, path)
    assert (centre, width) == (35.0, 1000.0) and largest == abs(int(off[5, 5, 0]) - int(rgb[5, 5, 0])) > 1
    for wrong, said in ((rgb[1:], "rows and columns"), (rgb * 0, "without greys"), (255 - rgb, "darker")):
        with pytest.raises(DicomError, match=said):
            dicom.confirm_window(wrong, path)


def test_a_png_is_windowed_as_told_as_stated_or_as_usual(file, tmp_path, monkeypatch):
    target, hounsfield = tmp_path / "new" / "a.png", STORED * 2.0 - 1024
    stated = {"WindowCenter": [50, 500], "WindowWidth": [120, 2000]}
    for tags, given, used in (
        ({}, (), dicom.BRAIN_WINDOW),
        (stated, (), (50, 120)),
        (stated, (30, 95), (30, 95)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, (), dicom.BRAIN_WINDOW),
    ):
        assert dicom.write_png(file(**tags), target, *given) == used
        assert np.array_equal(read_rgb(target), picture(hounsfield, *used))
    kept = target.read_bytes()
    for wrong in ((40, None), (None, 80), (40, 1), (40, float("nan"))):
        with pytest.raises(ValueError, match="CT window"):
            dicom.write_png(file(), target, *wrong)
    with pytest.raises(DicomError):
        dicom.write_png(file(PixelData=b"12"), target)
    monkeypatch.setattr(Image.Image, "save", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dicom.write_png(file(), target)
    assert target.read_bytes() == kept and [path.name for path in target.parent.iterdir()] == ["a.png"]


def deflated(body):
    """A DICOM file whose data set is ``body``, deflated."""
    data = dataset()
    data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian

    def make(path):
        data.save_as(path, enforce_file_format=True)
        whole = path.read_bytes()
        packer = zlib.compressobj(9, wbits=-15)
        return whole[: whole.index(b"1.2.840.10008.1.2.1.99") + 22] + packer.compress(body) + packer.flush()

    return make


def cut(path, share=0.6, **arguments):
    whole = write(path, **arguments).read_bytes()
    return whole[: int(len(whole) * share)]


def claims(path, length):
    """A file whose pixels claim to have ``length`` bytes."""
    whole = write(path).read_bytes()
    place = whole.index(b"\xe0\x7f\x10\x00OW") + 8
    return whole[:place] + length.to_bytes(4, "little") + whole[place + 4 :]


def codestream(path, syntax, old, new, **tags):
    """A compressed slice in whose pixels the bytes ``old`` have become ``new``."""
    compressed(syntax, **tags).save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    assert old in whole
    return whole.replace(old, new, 1)


def swollen(path):
    data = compressed(uid.RLELossless)
    data.PixelData = encapsulate([bytes(100_000)])
    data.save_as(path, enforce_file_format=True)
    return path.read_bytes()


SIZE = (24).to_bytes(2, "big") + (20).to_bytes(2, "big")
TILE = bytes([0, 0, 0, 20, 0, 0, 0, 24]) + bytes(8) + bytes([0, 0, 0, 20, 0, 0, 0, 24])  # of picture and tile
# What the file is, how it is made (its bytes, or tags), what is said, whether the header alone shows it.
HOSTILE = {
    "zero bytes": (lambda path: b"", "zero bytes", True),
    "text": (lambda path: b"no DICOM" * 40, "mark DICM", True),
    "short": (lambda path: b"DICM", "mark DICM", True),
    "preamble only": (lambda path: bytes(128) + b"DICM", "transfer syntax", True),
    "no preamble": (lambda path: write(path).read_bytes()[132:], "mark DICM", True),
    "too large": (lambda path: write(path).read_bytes() + bytes(dicom.LARGEST_BYTES), "bytes; a slice has", True),
    "truncated pixels": (cut, "truncated: .* of 960 bytes", False),
    "truncated header": (lambda path: cut(path, 0.3), "Hounsfield", True),
    "truncated, deflated": (lambda path: cut(path, syntax=uid.DeflatedExplicitVRLittleEndian), "has no end", True),
    "deflate bomb": (deflated(bytes(dicom.LARGEST_BYTES + 1)), "inflates to more", True),
    "deflated nonsense": (deflated(b"nonsense" * 9), "0 × 0", True),
    "pixels claim 4 GB": (lambda path: claims(path, 0xFFFFFFF0)[:-200], "truncated", False),
    "pixels without end": (lambda path: claims(path, 0xFFFFFFFF), ".", False),
    "codestream of gigapixels": (
        lambda path: codestream(path, uid.JPEGLosslessSV1, SIZE, b"\xff\xff\xff\xff"),
        "compressed pixels that are no 24 × 20 .*65535, 65535",
        False,
    ),
    "JPEG 2000 of gigapixels": (
        lambda path: codestream(path, uid.JPEG2000Lossless, bytes([0, 0, 0, 20, 0, 0, 0, 24]), b"\0\1\0\0" * 2),
        ".",
        False,
    ),
    "JPEG 2000 of one large tile": (
        lambda path: codestream(path, uid.JPEG2000Lossless, TILE, b"\0\0\x75\x30" * 2 + bytes(8) + b"\0\0\x75\x30" * 2),
        ".",
        False,
    ),
    "JPEG-LS of gigapixels": (
        lambda path: codestream(path, uid.JPEGLSLossless, SIZE, b"\xff\xff\xff\xff"),
        "compressed pixels that are no 24 × 20 .*65535, 65535",
        False,
    ),
    "runs that expand without end": (swollen, "larger than plain", False),
    "shifted and compressed": (
        lambda path: codestream(path, uid.JPEGLSLossless, b"", b"", HighBit=15),
        "shifted by 4",
        False,
    ),
    "codestream cut": (lambda path: codestream(path, uid.JPEGLSLossless, b"\xff\xda", b"\xff\xd9"), ".", False),
    "gigapixels": ({"Rows": 65535, "Columns": 65535}, "65535 × 65535", True),
    "no rows": ({"Rows": None}, "0 × 20", True),
    "colour": ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "3 samples", True),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE", True),
    "frames": ({"NumberOfFrames": 30}, "30 frames", True),
    "no rescale": ({"RescaleSlope": None, "RescaleIntercept": None}, "Hounsfield", True),
    "no intercept": ({"RescaleIntercept": None}, "Hounsfield", True),
    "slope zero": ({"RescaleSlope": 0}, "Hounsfield", True),
    "no pixels": ({"PixelData": None}, "truncated: 0 of", False),
    "17 bits": ({"BitsStored": 17}, "17 bits in 16", False),
    "no bits": ({"BitsStored": 0}, "0 bits in 16", False),
    "high bit too low": ({"HighBit": 5}, "highest at 5", False),
    "32 bits": ({"BitsAllocated": 32}, "in 32", False),
}


@pytest.mark.parametrize(("make", "said", "in_header"), HOSTILE.values(), ids=HOSTILE)
def test_wrong_and_hostile_files_are_refused_in_a_sentence(tmp_path, make, said, in_header):
    path = tmp_path / "a.dcm"
    if isinstance(make, dict):
        write(path, **make)
    else:
        path.write_bytes(make(path))
    start = time.process_time()
    tracemalloc.start()
    with pytest.raises(DicomError, match=f"^a.dcm .*({said})"):
        dicom.read_hounsfield(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * dicom.LARGEST_BYTES
    if in_header:
        with pytest.raises(DicomError, match=f"^a.dcm .*({said})"):
            dicom.read_header(path)
    else:
        assert dicom.read_header(path).rows == 24
    assert time.process_time() - start < 2


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(DicomError, match=f"^{path.name} (is no regular file|.*No such file)"):
            dicom.read_header(path)


def test_damaged_files_raise_nothing_else(tmp_path):
    """A few hundred seeded mutations of files of every kind: read, or refused by the one documented exception."""
    rng, kinds = random.Random(0), []
    for number, syntax in enumerate((uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, *ENCODERS)):
        data = compressed(syntax) if syntax in ENCODERS else dataset(syntax=syntax)
        data.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        kinds.append((tmp_path / f"{number}.dcm").read_bytes())
    kinds.append(write(tmp_path / "d.dcm", syntax=uid.DeflatedExplicitVRLittleEndian).read_bytes())
    path, outcomes, start = tmp_path / "mutant.dcm", {"read": 0, "refused": 0}, time.process_time()
    for turn in range(600):
        content = bytearray(kinds[turn % len(kinds)])
        for _ in range(rng.choice((1, 2, 8))):
            place = rng.randrange(128, len(content))
            content[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        if turn % 7 == 0:
            del content[rng.randrange(len(content)) :]
        path.write_bytes(content)
        for read in (dicom.read_header, dicom.read_hounsfield):
            try:
                read(path)
                outcomes["read"] += 1
            except DicomError as error:
                assert str(error).startswith("mutant.dcm ")
                outcomes["refused"] += 1
    assert time.process_time() - start < 10 and min(outcomes.values()) > 100, outcomes

"""DICOM slices of every kind are read to the same Hounsfield units, or refused in a sentence."""

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from stroke_utils import dicom

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
    assert dicom.read_patient(file()) == "P7" and dicom.read_patient(file(PatientID="")) is None
    assert dicom.read_patient(file(RescaleSlope=None, SamplesPerPixel=3)) == "P7"


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

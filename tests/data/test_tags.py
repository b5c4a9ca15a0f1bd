"""DICOM headers as a table."""

import numpy as np
import pandas as pd
import pytest

from stroke_utils.data import tags
from stroke_utils.data.dicom import DicomError
from stroke_utils.phantom import dicom


def write(path, patient="P1", width=80, spacing=5.0):
    about = {"instance": 1, "width": width, "low": 0, "pixel": 0.4, "spacing": spacing, "position": 3.0}
    dicom.write(path, np.zeros((4, 6), np.int16), seed=0, patient=patient, **about)
    return str(path)


def test_tags_are_numbers_or_text_and_name_nobody(tmp_path):
    found = tags.read_tags(write(tmp_path / "a.dcm"))
    assert found["WindowWidth"] == 80 and found["Rows"] == 4 and found["BodyPartExamined"] == "HEAD"
    assert found["PixelSpacing 2"] == 0.4 and found["ImageType 3"] == "AXIAL"
    assert not any(value == "P1" or "UID" in name or "Name" in name for name, value in found.items())
    assert "StudyDate" not in found, "it is empty"


def test_a_table_has_what_differs(tmp_path):
    files = [write(tmp_path / "a.dcm"), None, write(tmp_path / "b.dcm", "P2", spacing=3)]
    table = tags.table(pd.Series(files, index=[7, 8, 9]), quiet=True)
    assert table.index.tolist() == [7, 8, 9] and table["SliceThickness"].tolist()[::2] == [5, 3]
    same = tags.table(pd.Series([files[0], files[2]]), quiet=True)
    assert list(same) == ["SliceThickness"]


def test_a_file_that_is_none_is_named(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"no")
    with pytest.raises(DicomError, match="x.dcm cannot be read"):
        tags.read_tags(tmp_path / "x.dcm")

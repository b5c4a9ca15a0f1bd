"""DICOM headers as a table: one column a tag, for asking which of them tell more than they should."""

import os

import pandas as pd

from stroke_utils.base import errors, progress
from stroke_utils.data.dicom import DicomError

NAMES = ("UI", "PN", "OB", "OW", "OF", "OD", "UN", "SQ", "UT")
"""Value representations that are left out: ids and names, which tell one patient from all others, and raw data."""

IDS = ("PatientID", "AccessionNumber", "StudyID", "OtherPatientIDs", "IssuerOfPatientID")
"""Tags of other value representations that name a patient or a study."""


def read_tags(path: str | os.PathLike) -> dict[str, float | str]:
    """Read the plain tags of a DICOM file: numbers as floats, all else as text; of several values one column each.

    Ids, names, pixels and empty tags are left out.

    Raises:
        DicomError: the file cannot be read.
    """
    from pydicom import dcmread  # here, because importing it takes a quarter of a second

    try:
        with errors.no_warnings():
            dataset = dcmread(path, stop_before_pixels=True)
            found = {e.keyword: e.value for e in dataset if e.keyword and e.VR not in NAMES and e.keyword not in IDS}
    except Exception as error:
        raise DicomError(f"{os.path.basename(path)} cannot be read: {errors.reason(error)}") from error
    tags = {}
    for name, value in found.items():
        several = not isinstance(value, str) and hasattr(value, "__iter__")
        values = list(value) if several else [value]
        for number, each in enumerate(values, 1):
            if each is not None and str(each) != "":
                tags[f"{name} {number}" if len(values) > 1 else name] = _plain(each)
    return tags


def _plain(value: object) -> float | str:
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def table(paths: pd.Series, quiet: bool = False) -> pd.DataFrame:
    """Read the tags of many files.

    Args:
        paths: DICOM files, missing where a slice has none.
        quiet: show no progress.

    Returns:
        One row a path, in its order and with its index, and one column for each tag that not all files have alike; a
        tag that a file lacks is missing there. Text stays text.
    """

    def read(path: str) -> dict[str, float | str]:
        return {} if pd.isna(path) else read_tags(path)

    rows = progress.in_threads(read, list(paths), "Reading DICOM headers", quiet)
    found = pd.DataFrame(rows, index=paths.index)
    return found.loc[:, found.astype(str).nunique() > 1]

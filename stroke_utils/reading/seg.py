"""Lesion masks as a DICOM segmentation (DICOM-SEG), which a viewer lays over the series they were found in."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import stroke_utils
from stroke_utils.base import errors, files
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MASK_COLOURS, TYPES
from stroke_utils.data.series import Series

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

PROGRAM = "stroke-regions"
NUMBER = 900  # of the new series in its study: behind those of any scanner
LONGEST = 64  # letters of a text that viewers show (VR LO)

# SNOMED CT; hemorrhage is in DICOM's list of lesion types (CID 7159), which may be extended and has no ischemia.
CODES = {
    "ischemia": ("449735000", "SCT", "Structural change due to ischemia"),
    "hemorrhage": ("50960005", "SCT", "Hemorrhage"),
}
"""What each segment shows: code, scheme and meaning. Each is a kind of morphologically abnormal structure."""

_EMPTY = ("PatientID", "PatientName", "ReferringPhysicianName", "AccessionNumber", "StudyID")
_TYPED = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")


def write_segmentation(
    target: str | os.PathLike,
    series: Series,
    masks: Iterable[np.ndarray],
    run: str,
    remark: str = "Not a medical device",
) -> Path:
    """Write masks as one DICOM-SEG file, whole or not at all: binary, segment 1 ischemia, segment 2 hemorrhage.

    Each frame refers to the slice it lies on; frames without a pixel are left out, unless there is no other. The file
    names the patient and the study, as the slices do.

    Args:
        target: file to write.
        series: of `data.series.read_series`.
        masks: one a slice, in its order, uint8 (rows, columns) of 0 background, 1 ischemia, 2 hemorrhage.
        run: id of the run whose network found them. Of a long one viewers show the end, which tells it from others.
        remark: shown by viewers with the segmentation, at most 64 letters.

    Returns:
        ``target``.

    Raises:
        UserError: the series cannot carry a segmentation (places or pixel spacing not stated or not one, header that
            DICOM forbids), or the disk is full.
        ValueError: too few or too many masks, one of another size or with other values, or a long remark.
    """
    import highdicom  # here, because importing it takes a third of a second

    spacing = {each.spacing for each in series.slices}
    if None in spacing or len(spacing) > 1 or any(each.position is None for each in series.slices):  # before any mask
        raise UserError(
            f"No segmentation can be laid over series {series.uid}: it needs the place of each slice and one pixel "
            f"spacing for all. {' '.join(series.notes)}"
        )
    pixels = np.stack([np.asarray(mask, np.uint8) for mask in masks])
    first = series.slices[0].header
    if pixels.shape != (expected := (len(series), first.rows, first.columns)):
        raise ValueError(f"The masks have the shape {pixels.shape}, their series {expected}.")
    if pixels.max() > len(TYPES) or len(remark) > LONGEST:
        raise ValueError(f"Masks hold 0 to {len(TYPES)}, not {pixels.max()}; a remark has {LONGEST} letters at most.")
    named = run[-LONGEST + len(PROGRAM) + 1 :]
    with _explained(series), files.atomic_path(target) as path:
        with files.there():
            sources = [_source(each.path, series.distance) for each in series.slices]
        made = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            omit_empty_frames=bool(pixels.any()),  # else it warns where all are empty, and keeps them
            segment_descriptions=_segments(f"{PROGRAM} {named}", run),
            series_instance_uid=highdicom.UID(),
            series_number=NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=PROGRAM,
            manufacturer_model_name=PROGRAM,
            software_versions=stroke_utils.__version__,
            device_serial_number=named,
            content_label="STROKE_REGIONS",
            content_description=remark,
            series_description=f"{PROGRAM} {named}",
        )
        made.save_as(path)
    return Path(target)


@contextlib.contextmanager
def _explained(series: Series):
    """Turn what pydicom and highdicom raise about headers from anywhere into one message; show no warnings."""
    try:
        with errors.no_warnings():
            yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(
            f"No segmentation can be laid over series {series.uid}, because of what its files say: "
            f"{errors.reason(error)}. All else of the answer stands."
        ) from error


def _source(path: Path, distance: float | None) -> "Dataset":
    """Read a slice's header, with the distance of the positions in the place of what it says itself.

    Tags that must be there and may be empty are, also where their value is forbidden.
    """
    from highdicom import PatientSexValues
    from pydicom import dcmread
    from pydicom.valuerep import DA, TM

    kinds = dict(zip(_TYPED, (DA, PatientSexValues, DA, TM), strict=True))
    dataset = dcmread(path, stop_before_pixels=True)
    for name in (*_EMPTY, *_TYPED):
        try:
            value = dataset.get(name)
            sound = value in (None, "") or kinds.get(name, str)(value) is not None
        except Exception:  # whatever they raise of odd values
            sound = False
        if not sound or name not in dataset:
            setattr(dataset, name, "")
    dataset.SliceThickness = distance or dataset.get("SliceThickness")
    dataset.pop("SpacingBetweenSlices", None)  # highdicom derives it from the positions, where it is one
    return dataset


def _segments(name: str, run: str) -> list["SegmentDescription"]:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    return [
        SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=Code(*CODES[label]),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=AlgorithmIdentificationSequence(
                name=name,
                family=codes.DCM.ArtificialIntelligence,
                version=stroke_utils.__version__,
                parameters={"run": run},
            ),
            anatomic_regions=[codes.SCT.Brain],
            display_color=CIELabColor.from_rgb(*MASK_COLOURS[label]),
        )
        for number, label in enumerate(TYPES, 1)
    ]

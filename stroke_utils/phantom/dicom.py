"""Writes a slice as a DICOM CT image."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, DeflatedExplicitVRLittleEndian

INTERCEPT = -1024
ROOT = "1.2.826.0.1.3680043.10.543."


def uid(*parts: object) -> UID:
    """Return a UID that depends on ``parts`` only."""
    return pydicom.uid.generate_uid(prefix=ROOT, entropy_srcs=[str(part) for part in parts])


def write(
    path: Path,
    hu: np.ndarray,
    *,
    seed: int,
    patient: str,
    instance: int,
    width: int,
    low: int,
    pixel: float,
    spacing: float,
    position: float,
) -> None:
    """Write ``hu`` (int16, H, W) as an anonymous CT image whose stored values are ``hu`` + 1024.

    Window centre and width give the PNG by `render.window`. Lengths in mm. Deflated transfer syntax, because plain
    files would take four times the room.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid(seed, patient, "image", instance)
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("stroke_utils.phantom")
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = ""
    data.StudyTime = data.ContentTime = ""
    data.AccessionNumber = ""
    data.Modality = "CT"
    data.Manufacturer = "Phantom"
    data.ReferringPhysicianName = ""
    data.SeriesDescription = "Procedural head phantom, no patient"
    data.PatientName = patient
    data.PatientID = patient
    data.PatientBirthDate = ""
    data.PatientSex = ""
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Synthetic image"
    data.BodyPartExamined = "HEAD"
    data.SliceThickness = f"{spacing:g}"
    data.KVP = "120"
    data.PatientPosition = "HFS"
    data.StudyInstanceUID = uid(seed, patient, "study")
    data.SeriesInstanceUID = uid(seed, patient, "series")
    data.FrameOfReferenceUID = uid(seed, patient, "frame")
    data.StudyID = "1"
    data.SeriesNumber = "1"
    data.AcquisitionNumber = "1"
    data.InstanceNumber = str(instance)
    data.PositionReferenceIndicator = "OM"
    rows, columns = hu.shape
    corner = [-(columns - 1) * pixel / 2, -(rows - 1) * pixel / 2, position]
    data.ImagePositionPatient = [f"{value:.5g}" for value in corner]
    data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    data.SliceLocation = f"{position:.5g}"
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = rows, columns
    data.PixelSpacing = [f"{pixel:.6g}"] * 2
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 1
    data.WindowCenter = f"{low + width / 2:g}"
    data.WindowWidth = f"{width:g}"
    data.RescaleIntercept = str(INTERCEPT)
    data.RescaleSlope = "1"
    data.RescaleType = "HU"
    data.PixelData = (hu.astype("<i2") - INTERCEPT).astype("<i2").tobytes()
    data.save_as(path, enforce_file_format=True)

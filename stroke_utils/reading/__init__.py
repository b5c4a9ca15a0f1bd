"""From a person's scan to an answer that others can open.

``networks`` finds and loads what finished runs left; ``scan`` answers slice after slice and patient by patient;
``strange`` refuses what is no slice, and ``kinds`` makes thirty kinds of such pictures; ``report`` writes the page,
``seg`` the lesion masks as a DICOM segmentation over the series they were found in.
"""

__all__ = ["kinds", "networks", "report", "scan", "seg", "strange"]

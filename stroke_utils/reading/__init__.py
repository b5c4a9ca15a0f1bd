"""From a person's scan to an answer that others can open.

``seg`` writes lesion masks as a DICOM segmentation over the series they were found in.
"""

__all__ = ["seg"]

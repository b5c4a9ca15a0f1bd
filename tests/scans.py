"""The drawn scan that tests of reading share; the package draws it."""

from stroke_utils.phantom.scan import DISTANCE, PIXEL, SHAPE, SLICES, TILT, TORN, Scan, save, write_scan

__all__ = ["DISTANCE", "PIXEL", "SHAPE", "SLICES", "TILT", "TORN", "Scan", "save", "write_scan"]

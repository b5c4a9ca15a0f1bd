"""The drawn scan that tests of reading share, which the package draws, and networks that answer it in no time."""

import numpy as np

from stroke_utils.data import regions
from stroke_utils.phantom.scan import DISTANCE, PIXEL, SHAPE, SLICES, TILT, TORN, Scan, save, write_scan

__all__ = ["DISTANCE", "PIXEL", "SHAPE", "SLICES", "TILT", "TORN", "Scan", "Stub", "save", "write_scan"]


class Stub:
    """Networks that call what is bright a bleeding and mark it; they count how often they are asked."""

    usual, threshold, run, remark, digest = None, 0.5, "a-run", "Not a medical device, trained on drawn heads", "d1"

    def __init__(self):
        self.asked = 0

    def about(self):
        network = {"task": "detection", "network": "<Stub>", "run": "quick/03/a-run", "weights_sha256": "ab" * 32}
        calibration = {"detection": {"temperature": 1.2, "ece": 0.031, "slices": 200, "part": "test"}}
        about = {"remark": self.remark, "learned_from": "Phantom", "networks": [network], "stroke_from": 0.5}
        return about | {"calibration": calibration, "unusual_from": 9.0}

    def calibrated(self, notebook, probability):
        return probability

    def look(self, rgb):
        self.asked += 1
        return float(self.regions_of(rgb).any()), np.zeros(3)

    def type_of(self, rgb):
        return 0.9

    def regions_of(self, rgb):
        inside = regions.depth(regions.whole_head(rgb[..., 0])) > 25
        return np.uint8(2 * (inside & (rgb[..., 0] >= 190)))

"""Scores: what is computed from truth and prediction, by which convention, with which interval.

It knows thresholds, conventions and intervals, and no network.
``metrics`` scores classifiers, ``calibration`` their probabilities and ``decision`` what acting on them is worth;
``overlap`` scores masks, ``extractors`` the rules that make them, ``brightness`` makes masks without a network, as a
baseline; ``compare`` tests pairs of models, ``forensics`` finds the confusion matrices behind printed tables;
``leakage`` compares ways to split, ``probes`` looks for shortcuts; ``together`` scores reading as a whole.
"""

__all__ = [
    "brightness",
    "calibration",
    "compare",
    "decision",
    "extractors",
    "forensics",
    "leakage",
    "metrics",
    "overlap",
    "probes",
    "together",
]

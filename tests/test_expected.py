"""Scores of the notebooks that this very session ran, against the bands of ``expected/<profile>.json``.

Collected with ``--nbval`` only, and run after the notebooks. Missing or older records fail, they never skip. What the
bands are worth is tested in ``course/test_verify.py``.
"""

import os

import pytest

from stroke_utils.course import verify

PROFILE = os.environ["STROKE_PROFILE"]  # the root's conftest.py sets it
BANDS = verify.expected(PROFILE)
CASES = [(notebook, metric) for notebook, named in BANDS.items() for metric in named]
NETWORKS = sorted({(notebook, metric.split(".")[1]) for notebook, metric in CASES})


@pytest.mark.parametrize(("notebook", "metric"), CASES)
def test_score_lies_in_its_band(notebook, metric, session_start):
    band = BANDS[notebook][metric]
    value, fault = verify.judged(verify.usable(PROFILE, notebook, session_start), metric, band)
    assert not fault, f"{metric} of {notebook} is {value}: {fault}; expected {verify.in_words(band)}"


@pytest.mark.parametrize(("notebook", "model"), NETWORKS)
def test_network_is_whole(notebook, model, session_start):
    assert not verify.broken(verify.usable(PROFILE, notebook, session_start), model)

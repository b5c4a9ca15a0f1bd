"""Scores of the notebooks that this very session ran, against the bands of ``expected/quick.json``.

Collected with ``--nbval`` only, and run after the notebooks. Missing or older records fail, they never skip.
"""

import json
import math
from pathlib import Path

import pytest

from stroke_utils.base import files, paths
from stroke_utils.results import parameters

BANDS = json.loads((Path(__file__).parent / "expected" / "quick.json").read_text(encoding="utf-8"))
TRAINING = ("03_phase1_detection", "04_phase2_classification", "05_segmentation")
GUESSING = {notebook: metrics.pop("guessing", {}) for notebook, metrics in BANDS.items()}  # reason by model
CASES = [(notebook, metric) for notebook, metrics in BANDS.items() for metric in metrics]


def latest_record(notebook, results, since):
    """Read the newest record of a notebook that was written after ``since``."""
    found = sorted((results / "quick" / notebook).glob("*/record.json"), key=lambda path: path.stat().st_mtime)
    assert found, f"{notebook} wrote no record in this session: did its last cell run?"
    assert found[-1].stat().st_mtime >= since, f"the record of {notebook} is older than this session"
    return json.loads(found[-1].read_text(encoding="utf-8"))


def look_up(record, path):
    """Follow a dotted path; a score that carries its interval gives its value and its trivial baseline."""
    for key in path.split("."):
        assert isinstance(record, dict) and key in record, f"no {key!r} of {path!r} in the record, but {list(record)}"
        record = record[key]
    return (record["value"], record.get("baseline")) if isinstance(record, dict) else (record, None)


def inside(value, band):
    """Tell whether a number lies in a band; an open end is no bound."""
    return math.isfinite(value) and band.get("min", -math.inf) <= value <= band.get("max", math.inf)


@pytest.mark.parametrize("notebook", TRAINING)
def test_every_training_notebook_has_bands(notebook):
    assert BANDS.get(notebook), f"tests/expected/quick.json has no band for {notebook}"


@pytest.mark.parametrize("notebook", TRAINING)
def test_every_model_of_quick_has_a_band_or_a_reason_why_it_guesses(notebook):
    banded = {metric.split(".")[1] for metric in BANDS[notebook]}
    assert banded | set(GUESSING[notebook]) == set(parameters.settings(notebook).models)
    assert not banded & set(GUESSING[notebook]) and all(GUESSING[notebook].values())


@pytest.mark.parametrize(("notebook", "model"), [(n, model) for n, models in GUESSING.items() for model in models])
def test_a_model_that_guesses_was_trained_and_scored(notebook, model, session_start):
    record = latest_record(notebook, paths.results_root(), session_start)
    value, baseline = look_up(record, f"metrics.{model}.validation.auc")
    assert baseline == 0.5 and 0.2 < value < 0.85, "a model that has learned something deserves a band"


@pytest.mark.parametrize(("notebook", "metric"), CASES)
def test_band_excludes_the_trivial_answer(notebook, metric):
    band = BANDS[notebook][metric]
    assert {"min", "max"} & set(band) and "trivial" in band, "a band needs min or max, and the trivial value"
    assert not inside(band["trivial"], band)


@pytest.mark.parametrize(("notebook", "metric"), CASES)
def test_score_lies_in_its_band(notebook, metric, session_start):
    value, baseline = look_up(latest_record(notebook, paths.results_root(), session_start), metric)
    band = BANDS[notebook][metric]
    assert inside(value, band), f"{metric} of {notebook} is {value}; expected {band}"
    assert baseline is None or not inside(baseline, band), f"the trivial baseline {baseline} lies inside {band}"


def test_older_missing_and_trivial_records_are_refused(tmp_path):
    with pytest.raises(AssertionError, match="no record in this session"):
        latest_record("03_x", tmp_path, 0)
    path = tmp_path / "quick" / "03_x" / "run" / "record.json"
    files.write_json(path, {"metrics": {"cnn": {"f1": {"value": 0.4, "baseline": 0.39}, "n": 3}}})
    with pytest.raises(AssertionError, match="older than this session"):
        latest_record("03_x", tmp_path, path.stat().st_mtime + 1)
    record = latest_record("03_x", tmp_path, path.stat().st_mtime)
    assert look_up(record, "metrics.cnn.f1") == (0.4, 0.39) and look_up(record, "metrics.cnn.n") == (3, None)
    with pytest.raises(AssertionError, match="no 'rnn'"):
        look_up(record, "metrics.rnn.f1")
    assert inside(0.4, {"min": 0.4}) and not inside(0.39, {"min": 0.4}) and not inside(math.nan, {"max": 1})

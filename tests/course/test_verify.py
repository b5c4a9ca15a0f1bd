"""Bands of expected scores: what they must let through, and that what is broken or has learned nothing is seen."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base import errors, files
from stroke_utils.course import commands, verify
from stroke_utils.evaluate import metrics, overlap
from stroke_utils.results import parameters, runs
from tests.expected import make_bands

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("quick", "smoke")
NOTEBOOKS = ("03_phase1_detection", "04_phase2_classification", "05_segmentation")
DETECTION = NOTEBOOKS[0]
BANDS = {profile: verify.expected(profile) for profile in PROFILES}
CASES = [(p, n, metric) for p in PROFILES for n, named in BANDS[p].items() for metric in named]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_network_has_a_band(profile, notebook):
    banded = {metric.split(".")[1] for metric in BANDS[profile][notebook]}
    assert banded == set(parameters.settings(notebook, profile).models)


@pytest.mark.parametrize(("profile", "notebook", "metric"), CASES)
def test_a_band_has_an_end_and_leaves_out_the_trivial_answer(profile, notebook, metric):
    band = BANDS[profile][notebook][metric]
    assert {"min", "max"} & set(band) and set(band) <= {"min", "max", "trivial", "seeds"}
    assert "trivial" not in band or not verify.inside(band["trivial"], band)
    assert all(verify.inside(value, band) for value in band.get("seeds", []))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_network_of_quick_must_learn(notebook):
    for metric, band in BANDS["quick"][notebook].items():
        assert {"min", "trivial"} <= set(band), metric
        assert len(band["seeds"]) >= (10 if ".cnn." in metric else 4), f"{metric} is of too few seeds"


def test_a_band_goes_as_far_beyond_its_seeds_as_these_lie_apart():
    found = make_bands.band([0.8, 0.9, 0.85], 0.5, "auc")
    assert found == {"min": 0.7, "trivial": 0.5, "seeds": [0.8, 0.9, 0.85]}
    assert make_bands.band([0.9, 0.91], 0.5, "auc") == {"min": 0.87, "trivial": 0.5, "seeds": [0.9, 0.91]}
    assert make_bands.band([0.5, 0.51], 0.0, "dice")["min"] == 0.4
    assert make_bands.band([0.55, 0.75], 0.5, "auc")["min"] == 0.52, "never as low as a guess"
    with pytest.raises(ValueError, match="auc: a seed has 0.510"):
        make_bands.band([0.51, 0.9], 0.5, "auc")


def test_the_tests_still_prove_that_something_learns():
    """Both CNNs have quick's work and quick's bands in smoke; of the other networks it asks only to be whole."""
    for notebook in NOTEBOOKS[:2]:
        quick, smoke = (
            {metric: band for metric, band in BANDS[profile][notebook].items() if metric.startswith("metrics.cnn.")}
            for profile in PROFILES
        )
        assert quick == smoke and all("trivial" in band for band in quick.values())
        settings = [vars(parameters.settings(notebook, profile)) for profile in PROFILES]
        assert parameters.of_network(settings[0], "cnn") == parameters.of_network(settings[1], "cnn")
    others = [band for p, n, m in CASES if p == "smoke" and "cnn" not in m for band in [BANDS[p][n][m]]]
    assert others and not any("trivial" in band for band in others)


# A run of detection, made up: six networks that have learned something.

TRUTH = np.arange(200) % 3 % 2
SCORES = np.random.default_rng(0).normal(TRUTH * 2.2, 1.0)
LEARNED = 1 / (1 + np.exp(1.1 - SCORES))
GUESSED = np.random.default_rng(1).uniform(0.4, 0.6, 200)


@functools.cache
def scores_of(probability):
    """What notebook 03 records of a detector; ``probability`` is a tuple."""
    found = metrics.classification_scores(TRUTH, np.nan_to_num(probability, nan=0.5))
    if np.isnan(probability).any():
        found = {name: score | {"value": None} for name, score in found.items()}
    return dict.fromkeys(("validation", "session1", "session1_at_half", "session1_macro_rule"), found)


def write_run(results, answers, profile="quick", finished="2026-01-02T03:04:05+00:00", run_id="made-up", **settings):
    """Write the record of a run with these answers by model, and what it leaves beside the record."""
    given = vars(parameters.settings(DETECTION, profile)) | {"models": list(answers)} | settings
    given.pop("data_dir")
    record = {
        "schema": runs.SCHEMA, "notebook": DETECTION, "run_id": run_id, "profile": profile, "seed": 0,
        "started": finished, "finished": finished, "wall_s": 1.0, "peak_memory_mib": 1, "parameters": given,
        "cohort": {"fingerprint": "abc", "origin": {"phantom": True}, "slices": 200, "problems": 0},
        "inputs": {}, "networks": {},
        "versions": {"python": "3"}, "hardware": {"machine": "x", "system": "y", "cores": 1},
        "git": {"commit": None, "dirty": None}, "metrics": {name: scores_of(tuple(q)) for name, q in answers.items()},
    }  # fmt: skip
    folder = results / profile / DETECTION / run_id
    for name, probability in answers.items():
        files.write_table(folder / name / "predictions.csv", pd.DataFrame({"probability": probability}))
        files.write_table(folder / name / "history.csv", pd.DataFrame({"loss": [1.0], "val_loss": [1.0]}))
    files.write_json(folder / "record.json", json.loads(json.dumps(record)))
    return folder / "record.json"


@pytest.fixture
def answers():
    """Answers of every detector."""
    return dict.fromkeys(parameters.settings(DETECTION).models, LEARNED)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results; only detection has bands there, so that one run is a whole course."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    bands = verify.expected
    monkeypatch.setattr(verify, "expected", lambda p: {DETECTION: bands(p)[DETECTION]})
    return tmp_path


def wrong(profile="quick", **more):
    """What is wrong with the records, by metric."""
    table = verify.verified(profile, **more)
    return table[table["ok"] != "yes"].set_index("metric")["ok"].to_dict()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_good_run_passes(results, answers, profile):
    write_run(results, answers, profile)
    assert wrong(profile) == {}
    table = verify.verified(profile)
    assert len(table) == len(BANDS[profile][DETECTION]) + 6 and set(table["notebook"]) == {DETECTION}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "spoiled",
    [1 - LEARNED, np.random.default_rng(2).permutation(LEARNED), np.full(200, 0.5), np.full(200, np.nan)],
    ids=["labels swapped", "labels shuffled", "constant", "not a number"],
)
def test_a_cnn_that_learned_from_wrong_labels_or_nothing_is_seen(results, answers, profile, spoiled):
    write_run(results, answers | {"cnn": spoiled}, profile)
    found = wrong(profile)
    assert {"cnn.validation.auc", "cnn.session1.auc", "cnn.session1_at_half.macro_f1"} <= set(found)
    assert all(metric.startswith("cnn") for metric in found)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (np.full(200, 0.73), "the same answer for every slice"),
        (np.where(np.arange(200) == 7, np.nan, GUESSED), "an answer is not finite"),
        (GUESSED + 1, "an answer is no probability"),
        (TRUTH.astype(float), "outside"),
    ],
    ids=["constant", "not a number", "no probability", "the labels themselves"],
)
def test_a_network_that_need_not_learn_must_still_be_whole(results, answers, spoiled, said):
    write_run(results, answers | {"resnet18": spoiled}, "smoke")
    found = wrong("smoke")
    assert said in found.values() and all(metric.startswith("resnet18") for metric in found)


def test_a_loss_that_is_not_finite_and_missing_files_are_seen(results, answers):
    folder = write_run(results, answers).parent / "resnet50"
    files.write_table(folder / "history.csv", pd.DataFrame({"loss": [1.0, np.nan], "val_loss": [1.0, 1.0]}))
    assert wrong() == {"resnet50: answers and losses": "a loss is not finite"}
    (folder / "history.csv").unlink()
    assert wrong() == {"resnet50: answers and losses": "history.csv is missing"}


def test_a_u_net_that_does_not_look_at_its_slice_is_seen():
    history = pd.DataFrame({"loss": [1.0], "val_loss": [1.0]})
    masks = np.random.default_rng(0).integers(0, 3, (4, 8, 8))
    soft = np.random.default_rng(1).dirichlet([1, 1, 1], (4, 8, 8))
    table = pd.DataFrame([overlap.soft_sums(mask, values) for mask, values in zip(masks, soft, strict=True)])
    assert verify.broken_tables(history, table) == ""
    blind = pd.DataFrame([overlap.soft_sums(mask, soft[0]) for mask in masks])
    assert verify.broken_tables(history, blind) == "the same answer for every slice"
    assert verify.broken_tables(history, table * np.nan) == "an answer is not finite"


def test_missing_older_and_other_records_do_not_count(results, answers):
    with pytest.raises(errors.UserError, match="nothing to check.*make reproduce PROFILE=quick"):
        verify.verified("quick")
    path = write_run(results, answers, finished="2026-01-02T03:04:05+00:00")
    assert wrong(since=1767323045.9) == {}  # the very second in which it finished
    with pytest.raises(errors.UserError, match="nothing to check"):
        verify.verified("quick", since=1767323046)
    write_run(results, answers, run_id="toy", finished="2026-01-03T00:00:00+00:00", own=["cnn epochs=1"])
    record = json.loads(path.read_text())
    assert [r["run_id"] for r in verify.usable("quick", DETECTION)] == ["made-up"], "other settings are another matter"
    record["cohort"]["origin"] = {}
    path.write_text(json.dumps(record))
    with pytest.raises(errors.UserError, match="nothing to check"):
        verify.verified("quick")


def test_of_several_runs_the_newest_with_the_network_counts(results, answers):
    write_run(results, answers)
    write_run(results, {"cnn": 1 - LEARNED}, run_id="later", finished="2026-02-02T03:04:05+00:00", seed=1)
    assert wrong() and all(metric.startswith("cnn.") for metric in wrong())
    write_run(results, {"cnn": LEARNED}, run_id="last", finished="2026-03-02T03:04:05+00:00", seed=2)
    assert wrong() == {}


def test_a_network_without_record_and_a_number_that_is_not_there_are_named(results, answers):
    path = write_run(results, {name: q for name, q in answers.items() if name != "resnet18"})
    assert set(wrong().values()) == {"no record of resnet18"}
    assert set(wrong()) == {"resnet18.session1.auc", "resnet18.validation.auc", "resnet18: answers and losses"}
    record = json.loads(path.read_text())
    del record["metrics"]["cnn"]["session1"]
    path.write_text(json.dumps(record))
    assert wrong()["cnn.session1.auc"] == "no 'session1' in the record made-up"


def test_a_baseline_inside_the_band_is_no_proof():
    record = {"run_id": "x", "metrics": {"cnn": {"f1": {"value": 0.4, "baseline": 0.39}, "n": 3}}}
    assert verify.judged([record], "metrics.cnn.f1", {"min": 0.38, "trivial": 0.3})[1].startswith(
        "the trivial baseline"
    )
    assert verify.judged([record], "metrics.cnn.f1", {"min": 0.395, "trivial": 0.3}) == (0.4, "")
    assert verify.judged([record], "metrics.cnn.n", {"max": 3}) == (3, "")


def test_inside():
    assert verify.inside(0.4, {"min": 0.4}) and not verify.inside(0.39, {"min": 0.4})
    assert not any(verify.inside(value, {"max": 1}) for value in (math.nan, -math.inf, None, "1"))


def test_the_command_prints_a_table_and_tells_by_its_status(results, answers, capsys):
    assert commands.main(["verify"]) == 2 and "nothing to check" in capsys.readouterr().err
    write_run(results, answers)
    assert commands.main(["verify"]) == 0
    said = capsys.readouterr().out
    checks = len(BANDS["quick"][DETECTION]) + 6
    band = verify.in_words(BANDS["quick"][DETECTION]["metrics.cnn.validation.auc"])
    assert "cnn.validation.auc" in said and band in said and f"{checks} of {checks} are as expected." in said
    write_run(results, answers | {"cnn": 1 - LEARNED})
    assert commands.main(["verify"]) == 1 and "outside" in capsys.readouterr().out

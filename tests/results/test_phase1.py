"""Where phase 2 gets phase 1's encoder from."""

import numpy as np
import pytest

from stroke_utils.base import files, paths
from stroke_utils.data.cohort import read_cohort
from stroke_utils.learn import models
from stroke_utils.results import parameters, phase1, runs


@pytest.fixture
def cohort(tiny_phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    return read_cohort(tiny_phantom)


@pytest.fixture
def made(monkeypatch):
    """Records that `runs` finds, in the order of finishing."""
    made = []
    monkeypatch.setattr(runs, "records", lambda profile, notebook: (made, []))
    return made


def leave_a_run(made, cohort, seed, fingerprint=None, weights=True):
    folder = paths.results_root() / "quick" / phase1.NOTEBOOK / f"run-seed{seed}-{len(made)}"
    record = {"profile": "quick", "notebook": phase1.NOTEBOOK, "run_id": folder.name, "seed": seed}
    made.append(record | {"cohort": {"fingerprint": fingerprint or cohort.fingerprint}})
    if weights:
        files.write_text(folder / "resnet18" / "best.weights.h5", "weights")
    return folder / "resnet18" / "best.weights.h5"


def test_the_newest_run_of_this_cohort_and_seed_counts(cohort, made):
    assert phase1.finished_weights("resnet18", cohort, "quick", 0) is None
    leave_a_run(made, cohort, 0, fingerprint="another")
    leave_a_run(made, cohort, 0, weights=False)
    leave_a_run(made, cohort, 1)
    assert phase1.finished_weights("resnet18", cohort, "quick", 0) is None
    older = leave_a_run(made, cohort, 0)
    assert phase1.finished_weights("resnet18", cohort, "quick", 0) == older
    newer = leave_a_run(made, cohort, 0)
    assert phase1.finished_weights("resnet18", cohort, "quick", 0) == newer
    assert phase1.finished_weights("resnet50", cohort, "quick", 0) is None


def test_without_a_run_the_encoder_is_trained_here_and_says_so(cohort, made, tmp_path, monkeypatch, capsys):
    settings = parameters.settings(phase1.NOTEBOOK)
    vars(settings).update(size=32, epochs=1, weights="none", validation=0.3)
    monkeypatch.setattr(parameters, "settings", lambda notebook, profile: settings)
    path = phase1.detector_weights("resnet18", cohort, "quick", 0, tmp_path / "encoder")
    assert "No finished run of phase 1 on this cohort has a ResNet-18: it is trained" in capsys.readouterr().out
    model = models.type_classifier("resnet18", 32)
    before = model.layers[3].get_weights()[0].copy()
    models.load_detectors_encoder(model, "resnet18", path)
    assert not np.array_equal(before, model.layers[3].get_weights()[0])


def test_a_finished_run_is_named(cohort, made, tmp_path, capsys):
    path = leave_a_run(made, cohort, 0)
    assert phase1.detector_weights("resnet18", cohort, "quick", 0, tmp_path) == path
    said = capsys.readouterr().out
    assert said.startswith("phase-1 encoder: results/quick/03_phase1_detection/run-seed0") and str(path) not in said

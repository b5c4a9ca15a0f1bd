"""Where phase 2 gets phase 1's encoder from."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stroke_utils.base import files, identity, paths
from stroke_utils.course.notebook_files import read_notebook
from stroke_utils.data.cohort import read_cohort
from stroke_utils.learn import models, predict, training
from stroke_utils.results import parameters, phase1, runs


@pytest.fixture
def cohort(tiny_phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    return read_cohort(tiny_phantom)


def leave_a_run(cohort, seed=0, weights=True, **changed):
    """What a finished run of phase 1 leaves: its record and its networks."""
    settings = vars(parameters.settings(phase1.NOTEBOOK)) | {"models": ["resnet18"], "seed": seed} | changed
    run = runs.Run(phase1.NOTEBOOK, settings)
    run.open(cohort)
    path = run.folder / "resnet18" / "best.weights.h5"
    if weights:
        files.write_text(path, f"weights of seed {seed}")
    run.finish(cohort, {})
    return path


@pytest.fixture
def found(cohort, monkeypatch):
    """A function that gives the encoder for seed 0 and how often it was trained; training leaves a file."""
    trained = []

    def train(name, settings, cohort, folder, run_id):
        trained.append(folder)
        files.write_text(folder / "best.weights.h5", "trained here")

    monkeypatch.setattr(phase1, "_train", train)
    return lambda: (phase1.encoder("auto", "resnet18", cohort, "quick", 0), len(trained))


def test_a_finished_run_of_the_same_settings_and_seed_gives_the_encoder(cohort, found, capsys):
    leave_a_run(cohort, 1)
    path = leave_a_run(cohort, 0, models=["resnet18", "cnn"], own=["cnn epochs=3", "resnet18 epochs=12"])
    encoder, trained = found()
    assert (encoder.path, trained) == (path, 0) and "phase-1 encoder: " in capsys.readouterr().out
    assert encoder.digest == phase1.wanted("auto", "resnet18", cohort, "quick", 0)["phase1_encoder"]
    assert path.parents[1].name in encoder.origin and identity.sha256(path) in encoder.origin
    path.unlink()
    without = phase1.wanted("auto", "resnet18", cohort, "quick", 0)["phase1_encoder"]
    assert without != encoder.digest, "what is trained for phase 2 is not called what 3's cells train"
    assert found()[0].digest == without


@pytest.mark.parametrize("other", [{"size": 32}, {"own": ["resnet18 epochs=1"]}, {"seed": 1}, {"weights": False}])
def test_a_run_of_other_settings_is_named_and_never_used(cohort, found, capsys, other):
    path = leave_a_run(cohort, **other)
    encoder, trained = found()
    assert trained == 1 and encoder.path != path and encoder.path.read_text() == "trained here"
    assert ("trained with other settings or code" in capsys.readouterr().out) is bool({"size", "own"} & set(other))
    assert found() == (encoder, 1), "what was trained once is found again"


def test_a_file_of_a_persons_own_is_named_by_its_content(cohort, tmp_path):
    file = tmp_path / "mine.weights.h5"
    file.write_text("a")
    first = phase1.wanted(str(file), "resnet18", cohort, "quick", 0)
    file.write_text("b")
    assert phase1.wanted(str(file), "resnet18", cohort, "quick", 0) != first
    assert phase1.encoder(str(file), "resnet18", cohort, "quick", 0).path == file
    assert phase1.wanted("none", "resnet18", cohort, "quick", 0) == {}
    assert phase1.encoder("none", "resnet18", cohort, "quick", 0) is None


def test_without_a_run_the_encoder_is_trained_here_and_says_so(cohort, monkeypatch, capsys):
    settings = parameters.settings(phase1.NOTEBOOK)
    vars(settings).update(size=32, epochs=1, weights="none")
    monkeypatch.setattr(parameters, "settings", lambda notebook, profile="quick": settings)
    encoder = phase1.encoder("auto", "resnet18", cohort, "quick", 0)
    assert "has this ResNet-18: it is trained here first" in capsys.readouterr().out
    model = models.type_classifier("resnet18", 32)
    before = model.layers[3].get_weights()[0].copy()
    models.load_detectors_encoder(model, "resnet18", encoder.path)
    assert not np.array_equal(before, model.layers[3].get_weights()[0])


def notebook_trains(name, settings, cohort, folder):
    """Train one network as the cells of notebook 3 do, up to the one that says how."""
    cells = read_notebook(paths.home() / "notebooks" / f"{phase1.NOTEBOOK}.ipynb").cells
    (imports,) = (cell.source for cell in cells if "stroke_utils.learn.models import" in cell.source)
    code = [cell.source for cell in cells if "training" in cell.metadata.get("tags", [])]
    code = code[: 1 + next(k for k, source in enumerate(code) if "def train(" in source)]
    run = SimpleNamespace(of=lambda n: SimpleNamespace(**parameters.of_network(settings, n)), reuse=False, run_id="a")
    there = {"p": SimpleNamespace(**settings), "run": run, "cohort": cohort, "titles": {name: "CNN"}}
    exec("\n".join([imports, *code]), there)
    there["train"](name, there["starts"][name], folder)


def test_what_is_trained_here_is_what_notebook_3_trains(cohort, tmp_path, monkeypatch):
    """All that decides a training is compared, up to its first step; both call the same function for the rest."""
    seen = []

    def look(model, examples, preprocess, schedule, folder, title, **options):
        rows = {split: examples.of(split) for split in ("train", "validation")}
        told = {split: ([Path(path).name for path in files], y.tolist()) for split, (files, y) in rows.items()}
        how = {name: value for name, value in options.items() if name not in ("reuse", "run_id")}
        configs = [part.get_config() for part in (*model.layers, model.optimizer)]
        made = [{name: value for name, value in config.items() if name != "name"} for config in configs]
        seen.append((told, str(made), str(model.loss), preprocess, schedule, how, model.get_weights()))

    monkeypatch.setattr(training, "train_classifier", look)
    monkeypatch.setattr(predict, "probabilities", lambda *_: None)
    settings = vars(parameters.settings(phase1.NOTEBOOK)) | {"models": ["cnn"], "size": 32, "weights": "none"}
    phase1._train("cnn", settings, cohort, tmp_path, "a")
    notebook_trains("cnn", settings, cohort, tmp_path)
    (*here, weights), (*there, others) = seen
    assert here == there and len(here[0]["train"][0]) > 10
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))

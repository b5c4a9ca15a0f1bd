"""Finished networks: of each model the newest of the wanted seed, on the same data, with its weights."""

from types import SimpleNamespace

import pandas as pd
import pytest

from stroke_utils.base import files
from stroke_utils.base.errors import UserError
from stroke_utils.results import runs, select

NOTEBOOK = "03_phase1_detection"
COHORT = SimpleNamespace(
    fingerprint="abc", slices=pd.DataFrame({"slice_id": ["1", "2"], "patient": ["P1", "P2"], "png": ["1.png", "2.png"]})
)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """Make a finished run; returns a function that does so and the folder of results."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    records = []
    monkeypatch.setattr(runs, "read_records", lambda profile, notebook=None: (records, []))

    def run(run_id, models=("cnn",), seed=0, fingerprint="abc", size=96, weights=True):
        for model in models:
            folder = tmp_path / "quick" / NOTEBOOK / run_id / model
            files.write_table(folder / "history.csv", pd.DataFrame({"epoch": [1], "loss": [1.0], "val_loss": [1.0]}))
            rows = {"slice_id": ["1", "2", "3"], "split": "test", "truth": 1, "probability": 0.5, "predicted": 1}
            files.write_table(folder / "predictions.csv", pd.DataFrame(rows))
            if weights:
                (folder / "best.weights.h5").write_bytes(b"x")
        about = {
            "profile": "quick",
            "notebook": NOTEBOOK,
            "run_id": run_id,
            "seed": seed,
            "finished": str(len(records)),
        }
        records.append(
            about | {"cohort": {"fingerprint": fingerprint}, "parameters": {"models": list(models), "size": size}}
        )

    return run


def found(seed=0):
    return select.finished("quick", NOTEBOOK, COHORT, seed)


def test_the_newest_run_of_each_model_counts(finished):
    finished("old", ["cnn", "resnet18"])
    finished("new")
    made = found()
    assert dict(zip(made["model"], made["run_id"], strict=True)) == {"cnn": "new", "resnet18": "old"}
    assert made["size"].tolist() == [96, 96]


def test_the_wanted_seed_counts_else_the_lowest(finished):
    finished("a", ["cnn", "resnet18"], seed=2)
    finished("b", ["cnn"], seed=1)
    assert dict(zip(*found(2)[["model", "seed"]].to_numpy().T, strict=True)) == {"cnn": 2, "resnet18": 2}
    assert dict(zip(*found(0)[["model", "seed"]].to_numpy().T, strict=True)) == {"cnn": 1, "resnet18": 2}


def test_other_data_and_lost_weights_do_not_count(finished):
    with pytest.raises(UserError, match="no finished run of 03_phase1_detection .* Run that notebook first"):
        found()
    finished("other", fingerprint="xyz")
    finished("lost", weights=False)
    with pytest.raises(UserError, match="no finished run"):
        found()
    finished("whole")
    assert found()["run_id"].tolist() == ["whole"]


def test_predictions_carry_what_is_known_of_each_slice(finished):
    finished("a")
    table = select.answers(found(), COHORT)["cnn"]
    assert table["slice_id"].tolist() == ["1", "2"] and table["patient"].tolist() == ["P1", "P2"]
    assert table["probability"].tolist() == [0.5, 0.5]

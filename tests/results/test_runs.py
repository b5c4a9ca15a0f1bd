import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base import unfinished
from stroke_utils.base.errors import UserError
from stroke_utils.data.cohort import Cohort, DataSet
from stroke_utils.results import parameters, runs


@pytest.fixture
def cohort():
    return Cohort(Path("/nowhere"), pd.DataFrame({"slice_id": ["1"]}), pd.DataFrame(), {"phantom": True}, "abc123")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    file = tmp_path / "defaults.yaml"
    file.write_text(
        "profile: quick\ndata_dir: ''\nseed: 0\nmodels: [cnn]\nlearning_rate: 0.001\nepochs: 3\nreuse: false\n"
    )
    monkeypatch.setattr(parameters, "parameters_file", lambda notebook, profile="quick": file)
    return tmp_path


PARAMETERS = {
    "profile": "quick", "data_dir": "", "seed": 0, "models": ["cnn"], "learning_rate": 0.001, "epochs": 3,
    "reuse": True,
}  # fmt: skip


def test_a_record_holds_what_is_needed_to_trace_a_number(home, cohort):
    run = runs.start("03", PARAMETERS)
    path = run.finish(cohort, {"cnn": {"session1": {"auc": runs_score(np.float64(0.9)) | {"n": np.int64(7)}}}})
    record = json.loads(path.read_text())
    assert path == home / "quick" / "03" / run.run_id / "record.json"
    assert run.run_id.startswith("cnn-seed0-") and len(run.run_id) == len("cnn-seed0-") + 8
    assert record["metrics"]["cnn"]["session1"]["auc"] == runs_score(0.9) | {"n": 7}
    assert record["conventions"] == {"auc": "area under the ROC curve: no threshold, ties count half"}
    hardware = record["hardware"]
    assert hardware["cpu"] and hardware["cores"] >= 1 and hardware["memory_gib"] > 0.5
    assert hardware["gpus"] is None or "tensorflow" in sys.modules
    assert runs.fault(record) is None
    assert record["cohort"]["fingerprint"] == "abc123" and record["cohort"]["origin"] == {"phantom": True}
    assert record["parameters"]["learning_rate"] == 0.001 and "data_dir" not in record["parameters"]
    assert record["versions"]["numpy"] == np.__version__
    assert record["peak_memory_mib"] > 10


@pytest.mark.parametrize("known", [lambda cohort: cohort, lambda cohort: cohort.data_set])
def test_a_record_keeps_of_a_cohort_what_tells_it_from_another(home, cohort, known):
    path = runs.start("03", PARAMETERS).finish(known(cohort), {})
    about = {"fingerprint": "abc123", "origin": {"phantom": True}, "slices": 1, "problems": 0}
    assert json.loads(path.read_text())["cohort"] == about


def test_identity_follows_parameters_and_cohort_but_not_the_place_of_the_data(home, cohort):
    def identity(fingerprint="abc123", **changed):
        run = runs.start("03", PARAMETERS | changed)
        run.open(DataSet(fingerprint, {}))
        return run.run_id

    assert identity() == identity(data_dir="/elsewhere", reuse=False)
    others = {
        identity(),
        identity(seed=1),
        identity(learning_rate=0.01),
        identity(models=["cnn", "resnet18"]),
        identity("other"),
    }
    assert len(others) == 5


def test_reuse_needs_a_finished_record(home, cohort):
    run = runs.start("03", PARAMETERS)
    run.open(cohort)
    assert not run.reuse
    run.finish(cohort, {})
    again = runs.start("03", PARAMETERS)
    again.open(cohort)
    assert again.reuse
    fresh = runs.start("03", PARAMETERS | {"reuse": False})
    fresh.open(cohort)
    assert not fresh.reuse
    killed = runs.start("03", PARAMETERS)
    killed.open(cohort)
    assert not killed.reuse, "a run that was begun again and killed must not look finished"


SETTINGS = {"profile": "quick", "data_dir": "", "seed": 0, "models": ["cnn"], "size": 32, "reuse": True, "recall": 0.88}


def detection(cohort, **changed):
    run = runs.Run("03_phase1_detection", SETTINGS | changed)
    run.open(cohort)
    return run


def trained(cohort, auc=0.9, **changed):
    """A finished run with the networks it left."""
    run = detection(cohort, reuse=False, **changed)
    for model in run.networks:
        (run.folder / model).mkdir(exist_ok=True)
        for name in ("best.weights.h5", "history.csv"):
            (run.folder / model / name).write_text("left by the training")
    run.finish(cohort, {"cnn": {"session1": {"auc": runs_score(auc)}}})
    return run


def test_a_run_that_reuses_networks_keeps_the_record_of_the_one_that_trained_them(home, cohort, monkeypatch):
    first = trained(cohort)
    before = (first.folder / "record.json").read_bytes()
    monkeypatch.setattr(runs, "git_state", lambda: {"commit": "f" * 40, "dirty": True})
    again = detection(cohort)
    assert again.reuse and again.folder == first.folder
    path = again.finish(cohort, {"cnn": {"session1": {"auc": runs_score(0.7)}}})
    assert (first.folder / "record.json").read_bytes() == before and path.name == "evaluation.json"
    (record,), refused = runs.read_records("quick")
    assert refused == [] and record["metrics"]["cnn"]["session1"]["auc"]["value"] == 0.7
    assert record["git"]["commit"] != "f" * 40 == record["evaluated"]["git"]["commit"]
    assert record["trained"] <= record["finished"] and runs.scores_file(first.folder) == path


def test_a_torn_evaluation_is_named_and_the_record_counts(home, cohort):
    run = trained(cohort)
    (run.folder / runs.EVALUATION).write_text("{")
    (record,), (said,) = runs.read_records("quick")
    assert record["metrics"]["cnn"]["session1"]["auc"]["value"] == 0.9 and "evaluation.json is no run record" in said
    assert runs.scores_file(run.folder).name == "record.json"


@pytest.mark.parametrize("name", ["cnn/best.weights.h5", "cnn/history.csv", "record.json"])
def test_a_run_that_lacks_something_is_not_reused(home, cohort, name):
    (trained(cohort).folder / name).unlink()
    assert not detection(cohort).reuse


@pytest.mark.parametrize("text", ["{", '{"schema": 2}'])
def test_a_run_whose_record_cannot_be_read_is_made_again(home, cohort, text):
    folder = trained(cohort).folder
    (folder / "record.json").write_text(text)
    run = detection(cohort)
    assert not run.reuse and run.earlier is None and not (folder / "record.json").exists()


def test_what_one_network_starts_from_names_that_network_alone(home, cohort):
    both = {"models": ["cnn", "resnet18"]}
    run, other = detection(cohort, **both), runs.Run("03_phase1_detection", SETTINGS | both)
    other.open(cohort, resnet18={"phase1_encoder": "abc"})
    assert other.networks["cnn"] == run.networks["cnn"] and other.networks["resnet18"] != run.networks["resnet18"]
    assert other.inputs == {"resnet18.phase1_encoder": "abc"} and other.run_id != run.run_id


def test_where_a_weights_file_lies_does_not_count(home, cohort, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "start.weights.h5").write_text("one")
    ids = {detection(cohort, weights=str(tmp_path / f / "start.weights.h5")).run_id for f in ("a", "b")}
    assert len(ids) == 1


def test_a_digest_of_records_follows_them(home, cohort):
    before = runs.records_digest("quick")
    trained(cohort)
    after = runs.records_digest("quick")
    assert before != after == runs.records_digest("quick")


def test_a_run_keeps_what_its_trainings_go_on_from_until_it_is_finished(home, cohort):
    kept = detection(cohort).folder / "cnn" / unfinished.STATE
    kept.parent.mkdir()
    kept.touch()
    run = detection(cohort)
    assert kept.exists(), "the run was stopped, and goes on"
    run.finish(cohort, {})
    assert not kept.exists()
    kept.touch()
    detection(cohort)
    assert not kept.exists(), "the run was finished, and is made anew"


def test_training_again_forgets_the_evaluation_of_the_networks_before(home, cohort):
    trained(cohort)
    detection(cohort).finish(cohort, {"cnn": {"session1": {"auc": runs_score(0.7)}}})
    trained(cohort, auc=0.8)
    assert runs.read_records("quick")[0][0]["metrics"]["cnn"]["session1"]["auc"]["value"] == 0.8


def test_a_network_is_named_by_what_makes_it_and_by_nothing_else(home, cohort, monkeypatch, tmp_path):
    weights = tmp_path / "start.weights.h5"
    weights.write_text("one")
    usual = detection(cohort).networks["cnn"]
    for same in ({"experiment_seeds": [5]}, {"models": ["cnn", "resnet18"]}, {"data_dir": "/x"}, {"profile": "paper"}):
        assert detection(cohort, **same).networks["cnn"] == usual, same
    others = ({"size": 64}, {"seed": 1}, {"weights": str(weights)})
    names = [detection(cohort, **other).networks["cnn"] for other in others]
    weights.write_text("two")
    names.append(detection(cohort, weights=str(weights)).networks["cnn"])
    monkeypatch.setattr(runs, "training_cells", lambda notebook: ["epochs = 5"])
    names.append(detection(cohort).networks["cnn"])
    assert len({usual, *names}) == 6


def test_the_cells_that_train_count_and_no_others():
    cells = runs.training_cells("03_phase1_detection")
    assert any("def train(" in cell for cell in cells) and not any("figures." in cell for cell in cells)
    assert runs.training_cells("99_none") == []


def test_a_run_beyond_the_paper_is_named_by_the_cells_that_train_and_claims_its_folder(home, cohort, monkeypatch):
    def opened(cells):
        monkeypatch.setattr(runs, "training_cells", lambda notebook: cells)
        run = runs.start("09", PARAMETERS)
        run.open(cohort)
        return run.run_id

    claims = []
    monkeypatch.setattr(runs.files, "claim", lambda target, what, shared: claims.append(target.name))
    names = [opened(cells) for cells in ([], ["epochs = 5"], ["epochs = 6"])]
    assert len(set(names)) == 3 and claims == names[1:]
    monkeypatch.setattr(runs, "WORKSHOP", ("learn.models",))
    assert opened(["epochs = 6"]) not in names


def test_results_that_cannot_be_written_are_named(tmp_path, cohort, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written.*STROKE_RESULTS"):
        detection(cohort)


def test_scores_are_flattened_and_foreign_files_are_named(home, cohort):
    run = runs.start("03", PARAMETERS)
    run.finish(cohort, {"cnn": {"session1": {"auc": runs_score(0.9)}, "threshold": 0.4}, "problems": 3})
    bad = home / "quick" / "03" / "broken"
    bad.mkdir()
    (bad / "record.json").write_text("{")
    old = home / "quick" / "03" / "old"
    old.mkdir()
    (old / "record.json").write_text(json.dumps({"schema": 0}))
    found, refused = runs.read_records("quick")
    table = runs.scores(found)
    assert table[["model", "part", "metric", "value", "n"]].values.tolist() == [["cnn", "session1", "auc", 0.9, 200]]
    assert len(refused) == 2
    assert "is no run record" in refused[0] and "schema 0, this version reads 3" in refused[1]


def test_a_record_that_does_not_fit_its_schema_is_neither_written_nor_read(home, cohort):
    run = runs.start("03", PARAMETERS)
    lacking = {"cnn": {"session1": {"auc": {k: v for k, v in runs_score(0.9).items() if k != "n"}}}}
    with pytest.raises(UserError, match=r"\$.metrics.cnn.session1.auc: 'n' is a required property"):
        run.finish(cohort, lacking)
    assert not [*run.folder.iterdir()], "nothing half is left"
    path = run.finish(cohort, {"cnn": {"session1": {"auc": runs_score(0.9)}}})
    whole = json.loads(path.read_text())
    for spoil in (lambda r: r["cohort"].pop("fingerprint"), lambda r: r.update(seed="none"),
                  lambda r: r["metrics"]["cnn"]["session1"]["auc"].update(value="high")):  # fmt: skip
        record = json.loads(json.dumps(whole))
        spoil(record)
        path.write_text(json.dumps(record))
        found, refused = runs.read_records("quick")
        assert not found and len(refused) == 1 and "does not fit its schema ($" in refused[0]


def test_records_of_before_the_new_fields_are_read(home, cohort):
    path = runs.start("03", PARAMETERS).finish(cohort, {})
    record = json.loads(path.read_text())
    del record["conventions"]
    record["hardware"] = {"machine": "x86_64", "system": "Linux", "cores": 2}
    path.write_text(json.dumps(record))
    assert runs.read_records("quick") == ([record], [])


def test_trained_models_without_a_record_are_named(home, cohort):
    run = runs.start("03", PARAMETERS)
    run.finish(cohort, {}).unlink()
    assert runs.read_records("quick") == ([], [])
    (run.folder / "cnn").mkdir()
    (run.folder / "cnn" / "history.csv").touch()
    found, refused = runs.read_records("quick")
    assert not found and refused == [
        f"results/quick/03/{run.run_id} has trained models but no record: unfinished, or removed."
    ]


def test_definitions_are_those_of_the_scores_at_hand():
    score = runs_score(0.5)
    nested = {"cnn": {"session1": {"macro_f1": score, "soft_iou": score, "unheard_of": score}, "threshold": 0.4}}
    assert set(runs.score_definitions(nested)) == {"macro", "soft"}
    assert "with background" in runs.score_definitions(nested)["soft"]


def runs_score(value):
    return {"value": value, "low": 0.8, "high": 0.95, "n": 200, "baseline": 0.5, "unit": "slices"}


def test_numbers_that_json_lacks_become_null(home, cohort):
    path = runs.start("03", PARAMETERS).finish(cohort, {"a": float("nan"), "b": [np.inf, 1]})
    assert json.loads(path.read_text())["metrics"] == {"a": None, "b": [None, 1]}


def test_the_middle_seed_is_one_that_was_measured():
    four = pd.DataFrame({"value": [0.9, np.nan, 0.7, 0.6, 0.8], "seed": range(5)})
    found = runs.middle_seed(four)
    assert (found["seed"], found["value"]) == (2, 0.7), "the lower middle one; a seed without a value does not count"
    assert (found["lowest"], found["highest"], found["seeds"]) == (0.6, 0.9, 4)
    assert runs.middle_seed(four[1:2])["seeds"] == 0

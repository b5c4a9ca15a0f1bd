"""What `make reproduce` leaves out on a person's data, and what it says of that."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from stroke_utils.base import paths, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.course import plan, reproduce
from stroke_utils.course.plan import make_plan, trains
from stroke_utils.course.reproduce import left_out
from stroke_utils.data import splits
from stroke_utils.data.cohort import read_cohort
from stroke_utils.results import studies
from stroke_utils.results.parameters import goes_beyond

SESSION = ("session1/PNG/a.png", "session1/PNG/b.png")
ALWAYS = ["00_start_here", "01_exploration", "03_phase1_detection", "06_results_figures", "07_table_forensics"]


def draw(path, colour=None):
    """Write an RGB PNG that is not square and that no other equals."""
    number = sum(map(ord, str(path))) % 200, sum(i * ord(c) for i, c in enumerate(str(path))) % 200
    image = Image.new("RGB", (9, 8), (number[0],) * 3)
    if not colour:  # a mask has one background
        image.putpixel((1, 1), (number[1],) * 3)
    for x in range(9 if colour else 0):
        image.putpixel((x, 0), colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def paint(original, overlay, colour):
    """Write a slice with a lesion's border painted over its first row."""
    image = Image.open(original)
    for x in range(9):
        image.putpixel((x, 0), colour)
    overlay.parent.mkdir(parents=True, exist_ok=True)
    image.save(overlay)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Ten slices of none and ten of hemorrhage, numbered alike in both folders."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    for i in range(10):
        for folder in ("no_hemorrhage", "hemorrhage"):
            draw(tmp_path / "data" / folder / f"{i:03d}.png")
    return tmp_path / "data"


def test_the_first_notebook_reads_no_data_and_the_first_that_does_says_what_the_phantom_is(monkeypatch):
    monkeypatch.delenv("STROKE_DATA", raising=False)
    asked = make_plan()
    assert asked.notebooks[0] == "00_start_here" and not asked.reads_data("00_start_here")
    assert asked.first_reader == "01_exploration" and asked.values(asked.first_reader)["phantom_size"] == "quick"
    assert "PLAN.first_reader" in (paths.home() / "Snakefile").read_text(encoding="utf-8")


def with_session(root):
    for name in SESSION:
        draw(root / name)
    (root / "session1" / "labels.csv").write_text("image_id,Stroke\na,0\nb,1\n")


@pytest.mark.parametrize("session", [True, False])
def test_none_and_one_type_run_detection_and_say_what_is_left_out(data, session):
    if session:
        with_session(data)
    asked = make_plan(data=str(data))
    assert asked.notebooks == ALWAYS
    said = left_out(asked)
    assert "02_mask_extraction: There is no overlay of" in said
    assert "04_phase2_classification: The training part has no usable slice of the class ischemia." in said
    assert "05_segmentation: The training part has no usable slice of the class ischemia." in said
    detection = read_cohort(data, quiet=True).verdicts()[0]
    assert detection.lacks == () and detection.untested == ("" if session else "session 1 is missing")


def test_with_both_types_and_overlays_all_run_with_a_test_or_without(data):
    for i in range(4):
        for folder, kind in (("hemorrhage", "hemorrhage"), ("ischemia", "ischemia")):
            place = data / folder / f"{i:03d}.png"
            draw(place)
            paint(place, data / folder / "OVERLAY" / place.name, vocabulary.BORDER_COLOURS[kind][0])
    asked = make_plan(data=str(data))
    assert asked.left_out == () and left_out(asked) == "" and len(asked.notebooks) == 8
    assert [judged.untested for judged in read_cohort(data, quiet=True).verdicts()[1:]] == ["session 2 is missing"] * 2
    for name, kind in (("x", "ischemia"), ("y", "hemorrhage")):
        draw(data / "session2" / "PNG" / f"{name}.png")
        draw(data / "session2" / "MASKS" / f"{name}.png", vocabulary.MASK_COLOURS[kind])
    asked = make_plan(data=str(data))
    assert asked.left_out == () and left_out(asked) == "" and len(asked.notebooks) == 8


BEYOND = "08_leakage_and_shortcuts"


def test_what_goes_beyond_the_paper_is_run_only_where_it_is_asked_for():
    paper, beyond = make_plan(), make_plan(beyond=True)
    assert BEYOND not in paper.notebooks and paper.targets == paper.notebooks
    assert BEYOND in beyond.targets and not set(beyond.targets) & set(paper.targets)
    assert beyond.notebooks == [*paper.notebooks, *beyond.targets]  # the others where one of these needs them
    assert [goes_beyond(stem) for stem in ("07_x", "08_x", "10_x", "notes")] == [False, True, True, False]
    assert trains(BEYOND) and trains("03_phase1_detection") and not trains("06_results_figures")
    assert {paper.outputs(n)[0] for n in paper.notebooks} <= {beyond.outputs(n)[0] for n in beyond.notebooks}


def test_what_goes_beyond_takes_the_first_seed_and_the_data(data):
    asked = make_plan(data=str(data), seeds="3,1", beyond=True)
    assert asked.changes(BEYOND, *asked.jobs(BEYOND)[0]) == {"seed": "1", "data_dir": str(data)}
    assert len(asked.outputs(BEYOND)) == 1


@pytest.mark.parametrize("split", ["", "models"])
def test_what_looks_at_finished_networks_waits_for_all_of_them(split):
    asked = make_plan(seeds="3,1", split=split, beyond=True)
    copies = set(asked.copies_before("09_trust", 1))
    for stem in ("02_mask_extraction", "03_phase1_detection"):
        assert {asked.output(stem, 1, model=model) for model in asked.parts(stem)} <= copies
    assert len(copies) == 1 + len(asked.parts("03_phase1_detection"))
    other = make_plan(seeds="3,1", split=split, weights="none", beyond=True)
    assert asked.outputs("09_trust") != other.outputs("09_trust"), "other networks are looked at"


def test_a_scan_is_read_after_all_three_tasks_were_learned():
    asked = make_plan(seeds="3,1", beyond=True)
    copies = set(asked.copies_before("11_read_a_scan", 1))
    for stem in ("03_phase1_detection", "04_phase2_classification", "05_segmentation"):
        assert asked.output(stem, 1) in copies
    other = make_plan(seeds="3,1", weights="none", beyond=True)
    assert asked.outputs("11_read_a_scan") != other.outputs("11_read_a_scan"), "other networks answer"


@pytest.mark.parametrize("need", ["detection", "type", "regions"])
def test_trust_needs_all_three_tasks(data, monkeypatch, need):
    lacks = dict.fromkeys(("detection", "type", "regions", "overlays", "heads"), "") | {need: "Nothing."}
    monkeypatch.setattr(plan, "_lacks", lambda cohort: lacks)
    assert dict(make_plan(data=str(data), beyond=True).left_out)["09_trust"] == "Nothing."


def test_an_audit_needs_both_classes(data, monkeypatch):
    needs = dict.fromkeys(" ".join(plan.NEEDS.values()).split(), "")
    monkeypatch.setattr(plan, "_lacks", lambda cohort: needs | {"detection": "Nothing."})
    assert BEYOND in dict(make_plan(data=str(data), beyond=True).left_out)
    assert BEYOND not in dict(make_plan(data=str(data)).left_out)


def test_a_split_by_head_takes_a_fifth_of_the_heads_of_each_class():
    def lacks(patients):
        rows = [
            {"slice_id": f"{label}{k}", "label": label, "part": "train", "patient": patient, "overlay": None}
            for label, heads in patients.items()
            for k, patient in enumerate(heads)
        ]
        return plan._lacks(SimpleNamespace(slices=pd.DataFrame(rows), verdicts=list))["heads"]

    enough = [f"P{k}" for k in range(plan.FEWEST_HEADS)]
    assert round(1 / splits.VALIDATION) == plan.FEWEST_HEADS
    assert lacks({"none": enough, "ischemia": [None] * plan.FEWEST_HEADS}) == "", "a slice without a patient is alone"
    assert "there are 2 of ischemia" in lacks({"none": enough, "ischemia": ["P7", "P8"] * 9})


def test_the_data_are_read_once_for_all_notebooks_of_a_run(data, monkeypatch):
    first = make_plan(data=str(data))
    monkeypatch.setattr(plan, "read_cohort", None)
    assert make_plan(data=str(data)) == first
    assert json.loads(next((data.parent / "derived" / "uses").glob("*/lacks.json")).read_text())["detection"] == ""


def test_data_that_nothing_can_be_trained_on_are_refused_before_anything_runs(data):
    for path in (data / "no_hemorrhage").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="Nothing can be trained on .*no usable slice of the class none.*check"):
        make_plan(data=str(data))


ONE, SEGMENTATION = studies.NOTEBOOK, studies.SEGMENTATION


def test_a_study_is_one_notebook_with_each_seed_and_all_variants():
    asked = make_plan(study="one_model")
    assert asked.targets == [ONE] and asked.seeds == (0, 1, 2)
    copies = asked.outputs(ONE)
    assert len(set(copies)) == 3 and all(f"seed{k}-" in path for k, path in enumerate(copies))
    given = asked.changes(ONE, 2)
    assert given["seed"] == "2" and given["variants"].split(",") == list(vocabulary.VARIANTS)
    assert make_plan(study="one_model", seeds="4", weights="imagenet").changes(ONE, 4)["weights"] == "imagenet"
    assert "weights" not in make_plan(study="one_model", weights="phantom").changes(ONE, 0)  # no U-Net has it
    plain = make_plan(beyond=True)
    assert ONE in plain.targets and "variants" not in plain.changes(ONE, 0)
    assert plain.outputs(ONE)[0] not in copies


def test_records_of_other_data_or_settings_are_not_of_a_study():
    asked = make_plan(study="one_model")
    record = {"notebook": ONE, "seed": 1, "cohort": {"origin": {"phantom": True}}}
    record |= {"parameters": asked.values(ONE) | {"seed": 1, "variants": list(vocabulary.VARIANTS)}}
    started = record | {"parameters": record["parameters"] | {"weights": "imagenet"}}
    stronger = record | {"parameters": record["parameters"] | {"recipe": "strong"}}
    assert asked.made(record) and not asked.made(started) and not asked.made(stronger)
    assert make_plan(study="one_model", weights="imagenet").made(started)
    assert not asked.made(record | {"cohort": {"origin": None}})


@pytest.fixture
def phantom(monkeypatch, tmp_path):
    """No data folder, and a folder of results of its own."""
    monkeypatch.delenv("STROKE_DATA", raising=False)
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    return tmp_path


@pytest.mark.parametrize("split", ["", "models"])
def test_the_study_of_recipes_has_a_copy_for_each_way_and_seed(phantom, split):
    asked = make_plan(study="recipes", split=split)
    assert asked.targets == [SEGMENTATION] and asked.asked_for() == ["02_mask_extraction", SEGMENTATION]
    assert asked.jobs(SEGMENTATION) == [(seed, way) for seed in (0, 1, 2) for way in studies.WAYS]
    names = [re.fullmatch(rf"{SEGMENTATION}-(.+)-seed(\d)-\w{{8}}\.ipynb", path.rpartition("/")[2]).groups()
             for path in asked.outputs(SEGMENTATION)]  # fmt: skip
    assert names == [(way, str(seed)) for seed, way in asked.jobs(SEGMENTATION)]
    assert len({path[-14:] for path in asked.outputs(SEGMENTATION)}) == len(names), "each is told by its digest as well"
    (before,) = asked.outputs("02_mask_extraction")
    assert all(asked.copies_before(SEGMENTATION, *job) == [before] for job in asked.jobs(SEGMENTATION))
    assert [len(make_plan(study="recipes", seeds=seeds).outputs(SEGMENTATION)) for seeds in ("4", "0,1")] == [9, 18]


def test_each_way_is_given_its_parameters_and_no_other(phantom):
    asked = make_plan(study="recipes")
    given = {way: asked.changes(SEGMENTATION, 1, way) for way in asked.parts(SEGMENTATION)}
    same = {"seed": "1", "reuse": "true", "profile": studies.RECIPE_RUNS}
    assert given == {way: same | its for way, its in studies.WAYS.items()}
    assert {its["recipe"] for its in given.values()} == set(vocabulary.RECIPES)
    started = make_plan(study="recipes", weights="imagenet")
    found = {way: started.changes(SEGMENTATION, 0, way)["weights"] for way in studies.WAYS}
    kept = {"paper+start", "strong+start", "strong+start+time"}
    assert {way for way, weights in found.items() if weights == "phantom"} == kept
    assert set(found.values()) == {"phantom", "imagenet"}
    assert asked.changes("02_mask_extraction", 0) == {} and make_plan().parts(SEGMENTATION) == [""]
    plain = {"seed": "1", "reuse": "true"}
    assert make_plan(study="one_model").changes(SEGMENTATION, 1) == make_plan().changes(SEGMENTATION, 1) == plain


def test_a_record_of_another_way_start_or_size_is_not_of_the_study_of_recipes(phantom):
    asked = make_plan(study="recipes")

    def record(**given):
        values = asked.values(SEGMENTATION) | {"models": ["resnet50"], "profile": studies.RECIPE_RUNS} | given
        cohort = {"origin": {"phantom": True}}
        return {"notebook": SEGMENTATION, "seed": 2, "parameters": values, "cohort": cohort}

    start = {"models": ["mobilenetv2"], "weights": "phantom", "pixels": "imagenet"}
    assert all(map(asked.made, [record(), record(recipe="strong"), record(recipe="strong", **start), record(**start)]))
    assert not any(map(asked.made, [record(size=96), record(weights="imagenet"), record(recipe="paper+crop", **start)]))
    assert not make_plan("smoke", study="recipes").made(record()), "it has other epochs"


def test_a_study_is_refused_where_its_name_its_networks_or_its_data_are_wrong(data):
    for given, said in (
        ({"study": "recipe"}, "'recipe' is no study. Known: one_model, recipes"),
        ({"study": True}, "True is no study"),
        ({"study": "recipes", "models": "resnet50"}, "MODELS=resnet50: a study says itself"),
        ({"study": "recipes", "data": str(data)}, "not enough for the study recipes. The training part has no usable"),
    ):
        with pytest.raises(UserError, match=said):
            make_plan(**given)


def test_the_table_of_a_study_goes_to_git_only_where_a_reader_can_repeat_it(phantom, monkeypatch):
    asked = []

    def table(*given):
        asked.append(given)
        return pd.DataFrame({"step": ["paper"], "difference": [0.123456]})

    for name, study in list(studies.STUDIES.items()):
        monkeypatch.setitem(studies.STUDIES, name, studies.Study(study.notebook, study.ways, table, study.runs))
    monkeypatch.setattr(studies, "table_path", lambda name: phantom / "docs" / f"{name}.csv")
    found = make_plan(study="recipes")
    assert str(phantom / "docs" / "recipes.csv") in reproduce._studied(found)
    assert (phantom / "docs" / "recipes.csv").read_text() == "step,difference\npaper,0.1235\n"
    assert asked[0] == ("recipes", (0, 1, 2), found.made) and studies.RECIPE_RUNS == "recipes"
    reproduce._studied(make_plan(study="one_model"))
    assert asked[1][0] == "quick" and (phantom / "docs" / "one_model.csv").is_file()
    for given in ({"seeds": "0"}, {"weights": "imagenet"}, {"profile": "smoke"}):
        for path in (phantom / "docs").glob("*.csv"):
            path.unlink()
        profile = given.get("profile", "quick")
        kept = phantom / "results" / profile / "studies" / "recipes.csv"
        assert str(kept) in reproduce._studied(make_plan(study="recipes", **given)) and kept.is_file()
        assert not list((phantom / "docs").glob("*.csv"))


def test_snakemake_would_run_each_way_once(phantom):
    home = paths.home()
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(home / "Snakefile"), "--directory", str(phantom)]
    call += ["--cores", "2", "--dry-run", "--config", "study=recipes", "seeds=0,1"]
    done = subprocess.run(call, cwd=phantom, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    copies = re.findall(rf"output: \S*/{SEGMENTATION}-(\S+)-seed(\d)-\w+\.ipynb", done.stdout + done.stderr)
    assert sorted(copies) == sorted((way, str(seed)) for seed in (0, 1) for way in studies.WAYS)

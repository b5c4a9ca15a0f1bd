"""nnU-Net's files by the words of its documentation, the very split of notebook 05, and its answers beside ours."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import io

from stroke_utils.base import files
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import BORDER_COLOURS, MASK_CLASSES, MASK_COLOURS, TYPES
from stroke_utils.course import commands, notebook_files
from stroke_utils.data import class_masks, masks, splits
from stroke_utils.data.cohort import read_cohort
from stroke_utils.evaluate import leakage, overlap
from stroke_utils.learn import recipes
from stroke_utils.results import nnunet, runs
from tests.data.test_cohort import sixteen_bits

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"ischemia": "Ischemia", "hemorrhage": "Bleeding"}
SHAPES = {"a b": (40, 60), "a-b": (60, 40), "A b": (33, 57), "İnme ığş": (40, 41), "çekim №2": (50, 50)}
"""Names and shapes of the odd slices: three that are alike in small ASCII letters, Turkish ones, no square."""


def slice_and_paint(root, folder, name, label, shape=(40, 40), mode="RGBA", seed=0, mask=False):
    """Write one slice with its overlay, or with the organiser's mask; return its grey values and its class mask."""
    rng = np.random.default_rng([seed, *name.encode()])
    grey = rng.integers(0, 256, shape, dtype=np.uint8)
    classes = np.zeros(shape, np.uint8)
    y, x = rng.integers(4, 20, 2)
    classes[y : y + 9, x : x + 7] = MASK_CLASSES.index(label)
    for kind in ("PNG", "MASKS" if mask else "OVERLAY"):
        (root / folder / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).convert(mode).save(root / folder / "PNG" / f"{name}.png")
    paint = np.stack([grey * 0 if mask else grey] * 3, axis=-1)
    paint[classes > 0] = MASK_COLOURS[label] if mask else BORDER_COLOURS[label][0]
    Image.fromarray(paint).save(root / folder / ("MASKS" if mask else "OVERLAY") / f"{name}.png")
    return grey, classes


def write_data(root, labels=TYPES, session2=True):
    """Write a cohort of small slices; return grey values and class masks by slice id."""
    made = {}
    for label in labels:
        for k in range(9):
            name = f"{10010 + 100 * TYPES.index(label) + k}"
            made[name] = slice_and_paint(root, FOLDERS[label], name, label, mode=("RGBA", "RGB", "L")[k % 3])
        for k in range(4 if session2 else 0):
            name = f"{12010 + 100 * TYPES.index(label) + k}"
            made[name] = slice_and_paint(root, "session2", name, label, (40, 52), mask=True)
    for k, (name, shape) in enumerate(SHAPES.items()):
        made[name] = slice_and_paint(root, FOLDERS[labels[k % len(labels)]], name, labels[k % len(labels)], shape)
    return made


@pytest.fixture(scope="module")
def module_derived(tmp_path_factory):
    """Derived data of this module's own; what is kept by digest is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROKE_DERIVED", str(tmp_path_factory.mktemp("derived")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory, module_derived):
    """Folder of a cohort with odd slices, and what is in it: read it, never write to it."""
    root = tmp_path_factory.mktemp("data") / "İnme veri"
    made = write_data(root)
    (root / "patients.csv").write_text(
        "image_id,patient\n" + "".join(f"{name},P{k // 2}\n" for k, name in enumerate(made))
    )
    return root, made


@pytest.fixture(scope="module")
def cohort(data):
    return read_cohort(data[0], quiet=True)


@pytest.fixture(scope="module")
def exported(cohort, tmp_path_factory):
    """The cohort as a data set: read it, never write to it."""
    return nnunet.export(cohort, tmp_path_factory.mktemp("raw"), nnunet.settings_of(None), quiet=True)


def copy_of(exported, tmp_path):
    return Path(shutil.copytree(exported.folder, tmp_path / exported.folder.name))


# The format, by the words of nnU-Net's documentation (dataset_format.md, manual_data_splits.md) and with the reader
# that it uses for PNG, skimage's. It shares nothing with the code under test.


def faults(folder):
    """Give in words what nnU-Net's documentation forbids in a data set; nothing in a good one."""
    if not re.fullmatch(r"Dataset\d{3}_.+", folder.name):
        yield "a data set is called DatasetXXX_Name"
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    if missing := {"channel_names", "labels", "numTraining", "file_ending"} - set(about):
        yield f"dataset.json lacks {missing}"
        return
    channels, labels, ending = about["channel_names"], about["labels"], about["file_ending"]
    if list(channels) != [str(k) for k in range(len(channels))]:
        yield "channel_names count from '0'"
    if labels.get("background") != 0 or sorted(labels.values()) != list(range(len(labels))):
        yield "labels are name to int, consecutive, and background is 0"
    if ending not in (".png", ".bmp", ".tif"):
        yield "the file ending is none of a natural image"
    cases = {}
    for part in ("Tr", "Ts"):
        if part == "Ts" and not (folder / "imagesTs").is_dir():
            continue
        cases[part] = []
        for image in sorted((folder / f"images{part}").iterdir()):
            named = re.fullmatch(r"(.+)_(\d{4})" + re.escape(ending), image.name)
            if not named or named[2] not in [f"{k:04d}" for k in range(len(channels))]:
                yield f"{image.name} is not CASE_XXXX{ending}"
                continue
            cases[part].append(named[1])
            label = folder / f"labels{part}" / f"{named[1]}{ending}"
            if not label.is_file():
                yield f"{named[1]} has no label"
                continue
            grey, truth = io.imread(image), io.imread(label)
            if grey.ndim != 2 or grey.dtype != np.uint8:
                yield f"{image.name} is not one grey channel"
            if truth.shape != grey.shape:
                yield f"{named[1]}: image and label have different geometry"
            elif not set(np.unique(truth).tolist()) <= set(labels.values()):
                yield f"{named[1]}: values that labels does not have"
        if len(list((folder / f"labels{part}").iterdir())) != len(cases[part]):
            yield f"labels{part} has others than images{part}"
    if len(cases["Tr"]) != about["numTraining"]:
        yield "numTraining is another number"
    if set(cases["Tr"]) & set(cases.get("Ts", [])):
        yield "a case of training is in the test"
    folds = json.loads((folder / "splits_final.json").read_text(encoding="utf-8"))
    if not isinstance(folds, list) or not all(set(fold) == {"train", "val"} for fold in folds):
        yield "splits_final.json is no list of train and val"
        return
    for fold in folds:
        both = fold["train"] + fold["val"]
        if not fold["train"] or not fold["val"] or sorted(both) != sorted(cases["Tr"]):
            yield "a fold is not all cases of imagesTr, each once"


def edit_json(path, change):
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def one(folder, part):
    return sorted((folder / part).iterdir())[0]


def rewrite(path, change):
    image = Image.open(path)
    image.load()
    change(image).save(path)


SPOILT = {
    "called DatasetXXX_Name": lambda d: d.rename(d.with_name("Dataset5_Stroke")),
    "lacks {'file_ending'}": lambda d: edit_json(d / "dataset.json", lambda v: v.pop("file_ending")),
    "count from '0'": lambda d: edit_json(d / "dataset.json", lambda v: v.update(channel_names={"1": "grey"})),
    "background is 0": lambda d: edit_json(d / "dataset.json", lambda v: v["labels"].update(hemorrhage=3)),
    "none of a natural image": lambda d: edit_json(d / "dataset.json", lambda v: v.update(file_ending=".jpg")),
    "is not CASE_XXXX.png": lambda d: one(d, "imagesTr").rename(d / "imagesTr" / "a.png"),
    "has no label": lambda d: one(d, "labelsTs").unlink(),
    "not one grey channel": lambda d: rewrite(one(d, "imagesTs"), lambda i: i.convert("RGB")),
    "different geometry": lambda d: rewrite(one(d, "imagesTr"), lambda i: i.crop((0, 0, 9, 9))),
    "others than imagesTr": lambda d: shutil.copy(one(d, "labelsTr"), d / "labelsTr" / "more.png"),
    "values that labels does not have": lambda d: rewrite(one(d, "labelsTr"), lambda i: i.point(lambda v: v * 9)),
    "numTraining is another": lambda d: edit_json(d / "dataset.json", lambda v: v.update(numTraining=3)),
    "no list of train and val": lambda d: (d / "splits_final.json").write_text('{"train": []}'),
    "each once": lambda d: edit_json(d / "splits_final.json", lambda v: v[0]["val"].append(v[0]["train"][0])),
}


def test_a_data_set_is_as_nnunets_documentation_says(exported):
    assert list(faults(exported.folder)) == []
    about = json.loads((exported.folder / "dataset.json").read_text(encoding="utf-8"))
    assert about["labels"] == {"background": 0, "ischemia": 1, "hemorrhage": 2} and about["file_ending"] == ".png"
    assert len(about["channel_names"]) == 1, "and its name is none that nnU-Net normalises in a way of its own:"
    assert about["channel_names"]["0"].lower() not in {"ct", "nonorm", "rescale_to_0_1", "rescale_0_1", "rgb_to_0_1"}


@pytest.mark.parametrize("said", SPOILT)
def test_each_fault_of_the_format_would_be_seen(exported, tmp_path, said):
    spoilt = SPOILT[said](copy_of(exported, tmp_path))
    folder = spoilt if isinstance(spoilt, Path) and spoilt.is_dir() else tmp_path / exported.folder.name
    assert any(said in fault for fault in faults(folder)), list(faults(folder))


def test_a_palette_label_would_be_seen(exported, tmp_path):
    folder = copy_of(exported, tmp_path)
    label = one(folder, "labelsTr")
    masks.write_class_mask(label, np.asarray(Image.open(label)))
    assert any("different geometry" in fault for fault in faults(folder)), "skimage gives it as colours"


def test_pixels_and_names_of_odd_slices_come_through(exported, data):
    made, cases = data[1], exported.cases
    assert set(cases["slice_id"]) == set(made) and exported.left_out == {}
    names = dict(zip(cases["slice_id"], cases["case"], strict=True))
    assert names["10010"] == "10010" and names["İnme ığş"] == "inme_igs" and names["çekim №2"] == "cekim_no2"
    assert {names["a b"], names["a-b"], names["A b"]} == {"a_b", "a_b_2", "a_b_3"}
    assert all(re.fullmatch("[a-z0-9_]+", case) for case in cases["case"]) and cases["case"].is_unique
    for row in cases.itertuples():
        grey, classes = made[row.slice_id]
        part = "Ts" if row.split == "test" else "Tr"
        assert np.array_equal(io.imread(exported.folder / f"images{part}" / f"{row.case}_0000.png"), grey), row.slice_id
        assert np.array_equal(io.imread(exported.folder / f"labels{part}" / f"{row.case}.png"), classes), row.slice_id
        assert grey.shape == (row.height, row.width)
    kept, about = nnunet.read_cases(exported.folder)
    pd.testing.assert_frame_equal(kept, cases, check_dtype=False)
    assert about["run"] is None and about["settings"]["mask_method"] == "difference"
    (fold,) = json.loads((exported.folder / "splits_final.json").read_text())
    assert (len(fold["train"]), len(fold["val"])) == (20, 3) and (cases["split"] == "test").sum() == 8


def test_names_are_short_their_own_and_never_empty():
    names = nnunet.case_names(["脳", "脑", "x" * 300, "x" * 301, "a", "a_2", "A", "..", "1/2"])
    assert names == ["slice", "slice_2", "x" * 80, f"{'x' * 80}_2", "a", "a_2", "a_3", "slice_3", "1_2"]
    assert len(set(nnunet.case_names(["a"] * 3000))) == 3000


# The split


def split_by_notebook(cohort, settings, folder):
    """Run the very cells of notebook 05 that split the slices and find their masks."""
    cells = notebook_files.read_notebook(ROOT / "notebooks" / "05_segmentation.ipynb").cells
    needed = ("write_class_masks(", "splits.split(", "split.csv")
    found = {"cohort": cohort, "p": settings, "folder": folder, "files": files, "TYPES": TYPES, "splits": splits}
    found |= {"class_masks": class_masks, "recipes": recipes, "leakage": leakage}
    sources = [
        cell.source for cell in cells if cell.cell_type == "code" and any(word in cell.source for word in needed)
    ]
    assert len(sources) == 3
    exec("\n".join(sources), found)
    return found["slices"], found["references"]


@pytest.mark.parametrize(
    ("seed", "method", "recipe"), [(0, "difference", "paper"), (1, "difference", "strong"), (2, "border", "paper")]
)
def test_the_split_is_the_one_that_notebook_05_makes(cohort, tmp_path, seed, method, recipe):
    settings = nnunet.settings_of(None, "quick", seed)
    settings.mask_method, settings.recipe = method, recipe
    slices, references = split_by_notebook(cohort, settings, tmp_path)
    ours, left_out = nnunet.split_slices(cohort, settings)
    assert ours["slice_id"].tolist() == slices["slice_id"].tolist() and left_out == {}
    assert ours["split"].tolist() == slices["split"].tolist() and ours["truth"].tolist() == references.tolist()


def test_both_hand_the_two_numbers_on_to_the_papers_rule(cohort, tmp_path, monkeypatch):
    seen, write = [], class_masks.write_class_masks

    def noted(cohort, method, **options):
        seen.append(options)
        return write(cohort, method, **options)

    for module in (class_masks, nnunet):
        monkeypatch.setattr(module, "write_class_masks", noted)
    settings = nnunet.settings_of(None)
    settings.hsv_least = [120, 60]
    split_by_notebook(cohort, settings, tmp_path)
    nnunet.split_slices(cohort, settings)
    assert seen == [{"saturation": 120, "value": 60}] * 2


def leave_a_run(cohort, predict, seed=3, models=("resnet50", "efficientnetb3")):
    """What a finished run of notebook 05 leaves; ``predict`` gives a mask for the true one and the model."""
    settings = nnunet.settings_of(None, "quick", seed)
    run = runs.Run(nnunet.NOTEBOOK, vars(settings) | {"models": [*models]})
    folder = run.open(cohort)
    slices, truth = split_by_notebook(cohort, settings, folder)
    for model in models:
        rows = []
        for row in slices[slices["split"] != "train"].itertuples():
            reference = masks.read_class_mask(truth[row.Index])
            about = {name: getattr(row, name) for name in ("slice_id", "split", "label", "patient")}
            rows.append(about | overlap.mask_scores(reference, predict(reference, model)))
        files.write_table(folder / model / "predictions.csv", pd.DataFrame(rows))
    run.finish(cohort, {})
    return folder


def shifted(reference, model):
    return np.roll(reference, 1 if model == "resnet50" else 3, axis=1)


@pytest.fixture
def finished(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    return leave_a_run(cohort, shifted)


def test_a_runs_own_split_and_masks_are_exported(cohort, finished, tmp_path):
    record = nnunet.find_run(finished.name)[1]
    done = nnunet.export(cohort, tmp_path, nnunet.settings_of(record), finished, quiet=True)
    split = pd.read_csv(finished / "split.csv", dtype=str)
    assert dict(zip(done.cases["slice_id"], done.cases["split"], strict=True)) == dict(
        split[["slice_id", "split"]].values
    )
    (fold,) = json.loads((done.folder / "splits_final.json").read_text())
    ids = dict(zip(done.cases["case"], done.cases["slice_id"], strict=True))
    assert {ids[case] for case in fold["val"]} == set(split.loc[split["split"] == "validation", "slice_id"])
    assert list(faults(done.folder)) == []
    split.iloc[1:].to_csv(finished / "split.csv", index=False)  # one that the run did not have
    slices, left_out = nnunet.split_slices(cohort, nnunet.settings_of(record), finished)
    assert left_out == {split["slice_id"][0]: "It is not in the run's split."} and len(slices) == len(split) - 1


def test_a_run_of_before_the_two_numbers_were_one_list_is_exported(cohort, finished, tmp_path):
    def as_before(record):
        saturation, value = record["parameters"].pop("hsv_least")
        record["parameters"] |= {"saturation": saturation + 20, "value": value + 10}

    edit_json(finished / "record.json", as_before)
    settings = nnunet.settings_of(nnunet.find_run(finished)[1])
    done = nnunet.export(cohort, tmp_path, settings, finished, quiet=True)
    about = nnunet.read_cases(done.folder)[1]
    assert about["settings"] == {"seed": 3, "mask_method": "difference", "hsv_least": [120, 60]}


def test_a_run_of_other_data_or_none_is_one_message(cohort, finished, tmp_path):
    edit_json(finished / "record.json", lambda record: record["cohort"].update(fingerprint="abc"))
    settings = nnunet.settings_of(nnunet.find_run(finished)[1])
    with pytest.raises(UserError, match=rf"is of other data \(no name, fingerprint abc\) than .*{cohort.fingerprint}"):
        nnunet.export(cohort, tmp_path, settings, finished)
    with pytest.raises(
        UserError, match=rf"no such run. Finished runs of 05_segmentation:\n  .*{re.escape(finished.name)}"
    ):
        nnunet.find_run("last")
    shutil.copytree(finished, tmp_path / "results" / "smoke" / nnunet.NOTEBOOK / finished.name)
    with pytest.raises(UserError, match="several profiles have a run of this name"):
        nnunet.find_run(finished.name)
    edit_json(finished / "record.json", lambda record: record.update(notebook="03_phase1_detection"))
    with pytest.raises(UserError, match="is a run of 03_phase1_detection"):
        nnunet.find_run(finished)
    assert not [*tmp_path.glob("Dataset*")]


# What cannot be read


@pytest.fixture
def own_data(tmp_path, module_derived):
    """A folder of data that a test may spoil."""
    write_data(tmp_path / "data")
    return tmp_path / "data"


def test_slices_that_cannot_be_read_are_left_out_with_their_reason(own_data, tmp_path):
    deep = own_data / "Bleeding" / "PNG" / "10113.png"
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(deep)  # 16 bits, grey: the cohort sets it aside
    (own_data / "Bleeding" / "OVERLAY" / "10114.png").unlink()
    sixteen_bits(own_data / "Ischemia" / "PNG" / "10015.png")
    paint = np.full((8, 8, 3), 0x12, np.uint8)
    paint[2:4, 2:5] = BORDER_COLOURS["ischemia"][0]
    Image.fromarray(paint).save(own_data / "Ischemia" / "OVERLAY" / "10015.png")
    cohort = read_cohort(own_data, quiet=True)
    settings = nnunet.settings_of(None)
    first = nnunet.export(cohort, tmp_path / "a", settings, quiet=True)
    assert first.left_out == {"10114": "It has neither an overlay nor a mask."}
    assert "10113" not in set(first.cases["slice_id"]) and list(faults(first.folder)) == []
    assert (io.imread(first.folder / "imagesTr" / "10015_0000.png") == 0x12).all(), "16 bits a colour become 8"
    (own_data / "Ischemia" / "PNG" / "10016.png").write_bytes(b"no picture")  # after the folder was read
    Image.fromarray(np.zeros((9, 11), np.uint8)).save(own_data / "Ischemia" / "PNG" / "10017.png")
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(own_data / "Ischemia" / "PNG" / "10018.png")
    (own_data / "session2" / "MASKS" / "12010.png").write_bytes(b"")
    second = nnunet.export(cohort, tmp_path / "b", settings, quiet=True)
    assert set(second.left_out) == {"10114", "10016", "10017", "10018", "12010"}
    assert second.left_out["10017"] == "The slice is 11×9 and its mask 40×40."
    assert "16-bit" in second.left_out["10018"] and "cannot identify" in second.left_out["10016"]
    assert list(faults(second.folder)) == [] and len(second.cases) == len(first.cases) - 4
    assert nnunet.read_cases(second.folder)[1]["left_out"] == second.left_out
    assert "Stroke slices left out: 5\n  10114: It has neither" in second.report()
    assert "Files set aside before that: 2; `stroke-regions check FOLDER`" in second.report(), "10113 and its overlay"


def test_nothing_is_left_of_an_export_that_fails(own_data, tmp_path):
    cohort, settings = read_cohort(own_data, quiet=True), nnunet.settings_of(None)
    nnunet.split_slices(cohort, settings)  # makes the masks
    lost = own_data / "Ischemia" / "PNG" / "10011.png"
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(UserError, match="10011.png is gone since this run looked"):
        nnunet.export(cohort, tmp_path / "raw", settings, quiet=True)
    lost.write_bytes(kept)
    for path in own_data.glob("*/PNG/*.png"):
        if "session2" not in str(path):
            path.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0 slices to train on and 0 to validate are left.*23 cannot be used"):
        nnunet.export(cohort, tmp_path / "raw", settings, quiet=True)
    assert [*(tmp_path / "raw").iterdir()] == []


@pytest.mark.parametrize("given", [{"number": 0}, {"number": 1000}, {"name": "a b"}, {"name": "../x"}, {"name": ""}])
def test_numbers_and_names_that_are_none(cohort, tmp_path, given):
    with pytest.raises(UserError, match="expected a number from 1 to 999 and a name"):
        nnunet.export(cohort, tmp_path, nnunet.settings_of(None), **given)


def test_a_number_is_given_once(cohort, exported):
    with pytest.raises(UserError, match="Dataset501_Stroke has the number 501 already"):
        nnunet.export(cohort, exported.folder.parent, nnunet.settings_of(None), name="Other")


# nnU-Net's answers


def predicted_by(exported, tmp_path, change=lambda classes: classes, part="Ts"):
    """Write a folder of predictions as nnU-Net leaves it: masks, and files of its own."""
    out = tmp_path / "predicted"
    out.mkdir()
    for path in (exported.folder / f"labels{part}").iterdir():
        io.imsave(out / path.name, change(io.imread(path)), check_contrast=False)
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json", "summary.json"):
        (out / name).write_text("{}")
    return out


def test_labels_as_predictions_score_one(exported, tmp_path):
    found = nnunet.score(predicted_by(exported, tmp_path), exported.folder)
    assert found.problems.empty and found.expected == len(found.table) == 8
    assert found.table[["lesion_dice", "lesion_iou", "typed_dice", "tolerant_iou"]].eq(1).all(axis=None)
    assert found.table["hd95"].eq(0).all()
    assert list(found.conventions.index) == nnunet.CONVENTIONS == list(overlap.CONVENTIONS)[4:]
    np.testing.assert_array_equal(found.conventions["value"], found.conventions["perfect"])
    assert found.conventions["unit"].eq("patients").all() and found.conventions.loc["lesion_dice", "baseline"] == 0
    table = found.beside()
    assert table.loc["nnU-Net", "lesion dice"] == "1.00 (1.00–1.00)" and table.loc["n", "lesion dice"] == "8"


def test_validation_is_scored_by_its_name(exported, tmp_path):
    out = predicted_by(exported, tmp_path, part="Tr")
    with pytest.raises(UserError, match="has no prediction of session2, and 23 of other parts. Say which part"):
        nnunet.score(out, exported.folder)
    found = nnunet.score(out, exported.folder, "validation")
    assert len(found.table) == 3 and found.problems["kind"].tolist() == ["other_part"] * 20


def test_masks_of_a_u_net_score_as_the_u_net_and_stand_in_one_table(cohort, finished, tmp_path):
    done = nnunet.export(cohort, tmp_path / "raw", nnunet.settings_of(None, seed=3), finished, quiet=True)
    out = predicted_by(done, tmp_path, lambda classes: shifted(classes, "resnet50"))
    found = nnunet.score(out, done.folder, run=nnunet.run_of(done.folder))
    assert list(found.scores) == ["resnet50", "efficientnetb3", "nnunet"]
    same, other, ours = (pd.DataFrame(parts["session2"]) for parts in found.scores.values())
    pd.testing.assert_frame_equal(ours, same)
    assert not ours.equals(other)
    table = found.beside()
    assert list(table.index) == ["U-Net-ResNet50", "U-Net-EfficientNetB3", "nnU-Net", "trivial baseline", "n"]
    assert table.shape[1] == len(nnunet.CONVENTIONS)
    # By hand: a rectangle 7 wide, moved by 1, keeps 6 of 7 columns; by 3, 4 of 7.
    assert found.scores["nnunet"]["session2"]["lesion_dice"]["value"] == pytest.approx(6 / 7)
    assert found.scores["efficientnetb3"]["session2"]["lesion_dice"]["value"] == pytest.approx(4 / 7)
    sorted(out.glob("*.png"))[0].unlink()
    fewer = nnunet.score(out, done.folder, run=finished)
    assert {len(fewer.table), *(s["session2"]["lesion_dice"]["n"] for s in fewer.scores.values())} == {7}, "all alike"
    found.keep(tmp_path / "scores")
    kept = pd.read_csv(tmp_path / "scores" / "scores.csv")
    assert len(kept) == 3 * len(nnunet.CONVENTIONS) and set(kept["part"]) == {"session2"}
    assert len(pd.read_csv(tmp_path / "scores" / "predictions.csv")) == 8


def test_a_run_of_another_split_or_other_masks_is_refused(cohort, finished, exported, tmp_path):
    out = predicted_by(exported, tmp_path, part="Tr")
    with pytest.raises(UserError, match="has another split or other masks"):
        nnunet.score(out, exported.folder, "validation", finished)  # of seed 3
    done = nnunet.export(cohort, tmp_path / "raw", nnunet.settings_of(None, seed=3), finished, quiet=True)
    table = pd.read_csv(finished / "resnet50" / "predictions.csv")
    files.write_table(finished / "resnet50" / "predictions.csv", table.assign(reference_px=table["reference_px"] + 1))
    with pytest.raises(UserError, match="has another split or other masks"):
        nnunet.score(out, done.folder, "validation", finished)
    (finished / "resnet50" / "predictions.csv").unlink()
    with pytest.raises(UserError, match=r"has no predictions.csv any more"):
        nnunet.score(out, done.folder, "validation", finished)


WRONG = {
    "missing": (lambda path: path.unlink(), "no prediction of this case"),
    "wrong_size": (lambda path: rewrite(path, lambda i: i.crop((0, 0, 40, 40))), "It is 40×40, its slice 52×40."),
    "odd_values": (lambda path: rewrite(path, lambda i: i.point(lambda v: v * 127)), "the values"),
    "odd_values, colours": (lambda path: rewrite(path, lambda i: i.convert("RGB")), "It has mode RGB"),
    "odd_values, a palette": (lambda path: masks.write_class_mask(path, np.asarray(Image.open(path))), "It has mode P"),
    "unreadable": (lambda path: path.write_bytes(path.read_bytes()[:60]), "It cannot be read"),
    "unreadable, no picture": (lambda path: path.write_bytes(b"x"), "It cannot be read"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_wrong_prediction_is_reported_and_not_scored(exported, tmp_path, kind):
    out = predicted_by(exported, tmp_path)
    first = sorted(out.glob("*.png"))[0]
    spoil, said = WRONG[kind]
    spoil(first)
    found = nnunet.score(out, exported.folder)
    (problem,) = found.problems.itertuples()
    assert (problem.file, problem.kind) == (first.name, kind.partition(",")[0]) and said in problem.detail
    assert first.stem not in set(found.table["case"]) and (len(found.table), found.expected) == (7, 8)
    assert found.conventions.loc["lesion_dice", ["value", "n"]].tolist() == [1, 7]
    assert f"Problems: 1\n  {problem.kind}: 1\n    {first.name}: " in found.report()


def test_files_of_no_case_are_extra(exported, tmp_path):
    out = predicted_by(exported, tmp_path)
    shutil.copy(sorted(out.glob("*.png"))[0], out / "another.png")
    found = nnunet.score(out, exported.folder)
    assert found.problems.values.tolist() == [["another.png", "extra", "cases.json has no such case."]]
    assert len(found.table) == 8


def test_a_folder_without_predictions_is_one_message(exported, tmp_path):
    with pytest.raises(UserError, match=r"No prediction in .*imagesTs can be scored; expected such files as 12010.png"):
        nnunet.score(exported.folder / "imagesTs", exported.folder)
    with pytest.raises(UserError, match="is no folder. Give the folder that nnU-Net wrote"):
        nnunet.score(tmp_path / "nowhere", exported.folder)
    with pytest.raises(UserError, match=r"has no cases.json. Give a folder that"):
        nnunet.score(tmp_path, tmp_path)
    (tmp_path / "cases.json").write_text('{"cases": {}}')
    with pytest.raises(UserError, match="is none that `stroke-regions nnunet export` wrote"):
        nnunet.score(tmp_path, tmp_path)


def test_data_of_one_type_without_a_session_2(tmp_path, module_derived):
    write_data(tmp_path / "data", ("ischemia",), session2=False)
    done = nnunet.export(
        read_cohort(tmp_path / "data", quiet=True), tmp_path / "raw", nnunet.settings_of(None), quiet=True
    )
    assert list(faults(done.folder)) == [] and not (done.folder / "imagesTs").exists()
    said = done.report()
    assert "No slice to train on is labelled hemorrhage." in said and "there is no imagesTs" in said
    assert "--part validation" in said and "nnUNetv2_predict" not in said
    out = predicted_by(done, tmp_path, part="Tr")
    with pytest.raises(UserError, match="The data set has no slices of session2. Say --part validation."):
        nnunet.score(out, done.folder)
    found = nnunet.score(out, done.folder, "validation")
    assert "hemorrhage_dice" not in found.conventions.index and found.conventions.loc["ischemia_dice", "value"] == 1
    assert "nnU-Net" in found.report()


def test_a_type_that_one_network_alone_predicts_is_no_column(exported, tmp_path):
    found = nnunet.score(predicted_by(exported, tmp_path), exported.folder)
    fewer = {name: s for name, s in found.scores["nnunet"]["session2"].items() if name != "pooled_ischemia_dice"}
    for scores in (
        {"a": fewer, "b": found.scores["nnunet"]["session2"]},
        {"a": found.scores["nnunet"]["session2"], "b": fewer},
    ):
        table = nnunet.Scored(
            found.table,
            {m: {"session2": s} for m, s in scores.items()},
            found.conventions,
            found.problems,
            "session2",
            8,
        ).beside()
        assert "pooled ischemia dice" not in table and "lesion dice" in table


# The command line


def test_export_and_score_by_the_command_line(data, tmp_path, monkeypatch, capsys, cohort):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    run, raw = leave_a_run(cohort, shifted), tmp_path / "nnU-Net's raw"
    words = [
        "nnunet",
        "export",
        "--data",
        str(data[0]),
        "--run",
        run.name,
        "--out",
        str(raw),
        "--id",
        "7",
        "--name",
        "Mine",
    ]
    assert commands.main(words) == 0
    said, folder = capsys.readouterr().out, raw / "Dataset007_Mine"
    assert f"{folder}: 20 slices to train, 3 to validate, 8 to test\nStroke slices left out: none" in said
    assert "nnUNetv2_train 7 2d 0" in said and nnunet.read_cases(folder)[1]["run"] == run.name
    (step,) = [line for line in said.splitlines() if "nnunet score" in line]
    out = tmp_path / "PREDICTED"
    shutil.copytree(folder / "labelsTs", out)
    monkeypatch.chdir(tmp_path)
    assert commands.main(shlex.split(step)[1:]) == 0, "as the export says it"
    said = capsys.readouterr().out
    assert "session2: 8 of 8 slices" in said and re.search(r"U-Net-ResNet50 +U-Net-EfficientNetB3 +nnU-Net", said)
    assert "Problems: none" in said and "Intervals resample patients" in said
    one(tmp_path, "PREDICTED").unlink()
    assert commands.main(["nnunet", "score", str(out), "--dataset", str(folder), "--out", "scores"]) == 1
    assert "7 of 8" in capsys.readouterr().out and (tmp_path / "scores" / "problems.csv").is_file()
    shutil.rmtree(run)
    assert commands.main(["nnunet", "score", str(out), "--dataset", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "is not here: no U-Nets beside" in said and "U-Net-ResNet50" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "--run", "nowhere"], "--run nowhere: there is no such run"),
        (["export", "--run", "x", "--seed", "1"], "A run has a profile and a seed of its own"),
        (["export", "--profile", "qiuck"], "There is no profile 'qiuck'"),
        (["score", "{}", "--dataset", "{}"], "has no cases.json"),
    ],
)
def test_a_persons_mistake_is_one_message_and_2(data, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    words = [word.format(tmp_path) for word in words] + (["--out", str(tmp_path)] if words[0] == "export" else [])
    assert commands.main(["nnunet", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err and "Traceback" not in told.err and not [*tmp_path.glob("Dataset*")]


@pytest.mark.parametrize("name", ["export", "score"])
def test_each_action_has_help_with_its_examples(name, capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(["nnunet", name, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "Exit status: 0" in said
    examples = [each for each in commands.COMMANDS["nnunet"].examples if f" {name} " in each]
    assert len(examples) >= 2 and all(f"  stroke-regions {each}\n" in said for each in examples)


@pytest.mark.parametrize("words", [[], ["exprot"], ["export"], ["score", "x"], ["export", "--out", "x", "--fast"]])
def test_what_cannot_be_understood_ends_in_2(words):
    with pytest.raises(SystemExit) as end:
        commands.main(["nnunet", *words])
    assert end.value.code == 2

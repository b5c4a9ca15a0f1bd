"""Bad weather: full disks, folders that can't be written, files that vanish, clocks that jump, two runs at once.

What is lost is named in one message, what was there before stays, and nothing half-written has a final name.
"""

import ast
import contextlib
import datetime
import errno
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import papermill
import pytest

from stroke_utils.base import files, unfinished
from stroke_utils.base.errors import UserError
from stroke_utils.course import commands, forecast, headless, reproduce
from stroke_utils.course.plan import make_plan
from stroke_utils.data import checks, class_masks, dicom, masks, read_cohort
from stroke_utils.data.cohort import DataSet
from stroke_utils.data.layouts import SliceFile
from stroke_utils.figures import canvas
from stroke_utils.learn import inputs, models, predict, starts, tfrecords, training
from stroke_utils.phantom import make_phantom
from stroke_utils.results import runs
from tests.course.test_headless import course  # noqa: F401 - a fixture
from tests.course.test_headless import write as write_notebook

PACKAGE = Path(files.__file__).resolve().parents[1]
DEPTHS = (0, 100, 3000)  # bytes that fit before the disk is full: none, the head of a file, some of it


@contextlib.contextmanager
def room(size):
    """Let no file grow beyond ``size`` bytes: a real failure of the system, in the middle of any library's writing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def small_network():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Dense(700)(keras.layers.Flatten()(image))
    return training.compile_classifier(keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x)), 1e-3)


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    """What writes files of each kind, by the name of the file."""
    rng, model = np.random.default_rng(0), small_network()
    noise = rng.integers(0, 255, (200, 200), dtype=np.uint8)
    state = training.State(model, training.Schedule(1, 1), "a")
    figure = plt.figure()
    figure.subplots().imshow(noise)
    plt.close(figure)
    source = tmp_path_factory.mktemp("dicom")
    from stroke_utils.phantom import dicom as phantom_dicom

    about = dict(seed=0, patient="P1", instance=1, width=80, low=0, pixel=0.5, spacing=5.0, position=0.0)
    phantom_dicom.write(source / "1.dcm", rng.integers(0, 80, (90, 90)).astype(float), **about)

    return {
        "text.txt": lambda path: files.write_text(path, "x" * 9000),
        "record.json": lambda path: files.write_json(path, {"x": "y" * 9000}),
        "figure.png": lambda path: canvas.save(figure, path),
        "mask.png": lambda path: masks.write_class_mask(path, noise % 3),
        "dicom.png": lambda path: dicom.write_png(source / "1.dcm", path),
        unfinished.STATE: lambda path: state.save(path),
    }


NAMES = ("text.txt", "record.json", "figure.png", "mask.png", "dicom.png", unfinished.STATE)


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fills_up_leaves_the_earlier_file_and_one_message(tmp_path, writers, name):
    target = tmp_path / "İnme run" / name
    writers[name](target)
    assert target.stat().st_size > max(DEPTHS)
    before = target.read_bytes(), {path.name for path in target.parent.iterdir()}
    for depth in DEPTHS:
        with room(depth), pytest.raises(UserError) as said:
            writers[name](target)
        assert f"while writing {name} to {target.parent}. Free some" in str(said.value)
        assert "and run again: what is finished stays" in str(said.value)
        assert (target.read_bytes(), {path.name for path in target.parent.iterdir()}) == before
    writers[name](target)  # once there is room all is well


def test_weights_on_a_full_disk_leave_the_earlier_file(tmp_path, monkeypatch):
    """HDF5 fails when it writes, or when it closes its file; after a real failure it may crash at the end of Python."""
    model, path = small_network(), tmp_path / "best.weights.h5"
    state = training.State(model, training.Schedule(1, 1), "a")
    state.rows = [{"epoch": 1, "loss": 0.1, "val_loss": 0.1}]
    start = tmp_path / "mobilenetv2.weights.h5"
    training._write_finished(model, state, tmp_path, "small")
    starts.save_backbone("mobilenetv2", model, start)
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    save, tail = keras.Model.save_weights, "unable to extend file properly, errno = 28, error message = 'No space left'"
    for error in (OSError(errno.ENOSPC, f"Can't write data (…, {tail})"), RuntimeError(f"Can't decrement id ({tail})")):

        def torn(network, filepath, error=error):
            save(network, filepath)
            Path(filepath).write_bytes(Path(filepath).read_bytes()[:900])
            raise error

        monkeypatch.setattr(keras.Model, "save_weights", torn)
        for write in (
            lambda: training._write_finished(model, state, tmp_path, "small"),
            lambda: starts.save_backbone("mobilenetv2", model, start),
        ):
            with pytest.raises(
                UserError, match=r"No space left on the disk while writing \w+.weights.h5 to .*Free some"
            ):
                write()
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before and path in before


def test_folders_that_are_made_in_one_piece_are_not_there_where_the_disk_fills_up(tmp_path, slices):
    makers = {
        "records": lambda path: tfrecords.write_records(slices, slices["class_mask"], 40, path, quiet=True),
        "phantom": lambda path: make_phantom(path, "tiny", 0, quiet=True, workers=1),
    }
    before = {path.name for path in tmp_path.iterdir()}
    for name, make in makers.items():
        for depth in (0, 500):
            with room(depth), pytest.raises(UserError, match=r"while writing \S+ to .*Free some space there"):
                make(tmp_path / name)
        assert {path.name for path in tmp_path.iterdir()} - {f".{name}.lock"} == before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on the disk while writing a.h5 to"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Your disk quota is used up while writing a.h5 to"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/x"),
            "No space left on the disk while writing x to /tmp",
        ),
        (RuntimeError("Can't decrement id ref count (…, errno = 28, error message = …)"), "No space left on the disk"),
        (
            training.tf.errors.ResourceExhaustedError(None, None, "a; No space left on device"),
            "No space left on the disk",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"results cannot be written \(Permission denied\), and a.h5",
        ),
        (OSError(errno.EROFS, "Read-only file system"), "or set STROKE_RESULTS to a folder of yours"),
    ],
)
def test_what_libraries_say_of_a_disk_is_understood(tmp_path, monkeypatch, error, said):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    with pytest.raises(UserError, match=said), files.explained(tmp_path / "results" / "a.h5"):
        raise error
    other = PermissionError(errno.EACCES, "Permission denied", "/somewhere/else/b.png")
    for unlike in (other, ValueError("shapes differ"), training.tf.errors.ResourceExhaustedError(None, None, "OOM")):
        with pytest.raises(type(unlike)), files.explained(tmp_path / "results" / "a.h5"):
            raise unlike


BEHIND = ("atomic_path", "atomic_folder")
WRITES = {"write_bytes", "write_text", "save", "savez", "savefig", "save_weights", "save_as", "save_model", "write",
          "to_csv", "to_json", "dump", "TFRecordWriter", "File"}  # fmt: skip
KNOWN = {
    "base/files.py": {"write_text", "write", "to_csv", "open"},  # the others' own; the note in a lock
    "learn/backend.py": {"open"},  # nowhere
    "phantom/writer.py": {"save", "write"},  # of one slice, in the folder of `_make`
    "phantom/dicom.py": {"save_as"},
    "learn/tfrecords.py": {"write", "TFRecordWriter"},  # of one shard, in the folder of `write_records`
    "learn/starts.py": {"File"},  # reads
    "learn/training.py": {"save"},  # of a State, by its own method
    "course/headless.py": {"write"},  # the copy while it runs, which has no final name
    "course/refresh.py": {"save"},  # into memory
    "course/commands.py": {"write"},  # of a report, by `files.write_text`
    "phantom/scan.py": {"save_as", "write", "write_bytes", "write_text"},  # a disc that is drawn anew where it is torn
    "reading/networks.py": {"write"},  # of what is usual, by its own method
    "reading/report.py": {"save"},  # into memory
    "course/cards.py": {"write"}, "course/book.py": {"write"},  # of `cards`, by `files.write_text`
}  # fmt: skip
"""What writes without :mod:`stroke_utils.base.files` in sight, and why it may."""


def raw_writes(code):
    """Return the names of calls that write files outside a ``with atomic_…`` block."""
    found = []

    def visit(node, behind):
        if isinstance(node, ast.With):
            calls = [item.context_expr.func for item in node.items if isinstance(item.context_expr, ast.Call)]
            names = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
            behind = behind or bool(names & set(BEHIND))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "files"
            found.extend([] if behind or ours else [node.func.attr])
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open" and not behind:
            mode = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else "r"
            found.extend(["open"] if set(mode) & set("wx+") else [])
        for child in ast.iter_child_nodes(node):
            visit(child, behind)

    visit(ast.parse(code), False)
    return found


def test_every_file_is_written_whole():
    assert raw_writes("with files.atomic_path(t) as p:\n p.write_text('x')\npath.write_text('x')\nopen(p, 'w')") == [
        "write_text", "open",
    ]  # fmt: skip
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        names = set(raw_writes(path.read_text(encoding="utf-8")))
        if names - KNOWN.get(str(path.relative_to(PACKAGE)), set()):
            found[str(path.relative_to(PACKAGE))] = names
    assert not found, "write through base.files, or say in KNOWN why not"


def executed(notebook, log, *_, **__):
    """Stand for papermill: the copy of a notebook of no cells."""
    nbformat.write(nbformat.v4.new_notebook(metadata={"papermill": {"duration": -3600.0}}), log)


@pytest.mark.parametrize("where", ["at work", "at its end"])
def test_a_disk_that_fills_up_under_a_notebook_is_one_message(tmp_path, monkeypatch, capsys, where):
    def full(*given, **more):
        if where == "at work":
            raise OSError(errno.ENOSPC, "No space left on device")
        executed(*given)

    monkeypatch.setattr(papermill, "execute_notebook", full)
    monkeypatch.setattr(commands.signal, "signal", lambda *_: None)
    notebook, output = write_notebook(tmp_path / "a.ipynb"), tmp_path / "out.ipynb"
    output.write_text("earlier")
    words = ["run", str(notebook), "--output", str(output)]
    with room(700 if where == "at its end" else 10**9), monkeypatch.context() as m:
        m.setattr(headless.nbformat, "write", lambda page, path: Path(path).write_text("x" * 700))
        m.setattr(headless, "read_notebook", lambda path: nbformat.v4.new_notebook(metadata={"papermill": {}}))
        m.setattr(headless, "check_parameters", lambda path, values: values)
        m.setattr(Path, "read_bytes", lambda path: b"x" * 800)
        assert commands.main(words) == 2
    said = capsys.readouterr().err
    assert "No space left" in said or "No file may be this large here" in said
    assert "Traceback" not in said and said.count("run again") == 1 and str(tmp_path) in said
    assert output.read_text() == "earlier"


def test_a_full_disk_elsewhere_ends_a_command_in_one_message(monkeypatch, capsys):
    def full(given):
        raise OSError(errno.ENOSPC, "No space left on device", "/run/kernel.json")

    monkeypatch.setitem(commands.COMMANDS, "verify", commands.Command(full, "", (), commands.no_arguments))
    assert commands.main(["verify"]) == 2
    assert "No space left on the disk while writing kernel.json to /run. Free" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["phantom", "--size", "tiny", "--out", "{}/heads"], ["run", "{}/../a.ipynb", "--output", "{}/out.ipynb"]]
)
def test_a_place_that_cannot_be_written_ends_a_command_in_one_message(tmp_path, monkeypatch, capsys, words):
    monkeypatch.setattr(commands.signal, "signal", lambda *_: None)
    write_notebook(tmp_path / "a.ipynb")
    (tmp_path / "file").write_text("no folder")
    assert commands.main([word.format(tmp_path / "file").replace("file/..", "") for word in words]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'file'} cannot be written" in said and len(said.splitlines()) == 1


def everything(folder):
    """Names, sizes and times of all files and folders: a folder's time changes with each file that comes or goes."""
    found = [folder, *folder.rglob("*")]
    return {path: (os.lstat(path).st_size, os.lstat(path).st_mtime_ns, os.lstat(path).st_mode) for path in found}


def test_a_folder_of_data_is_only_read(tmp_path, tiny_phantom, monkeypatch):
    """Users' data may lie on a read-only mount; whatever is computed goes elsewhere."""
    data = tmp_path / 'İnme "veri" seti'
    shutil.copytree(tiny_phantom, data)
    for path in [data, *data.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    before = everything(data)
    cohort = read_cohort(data, quiet=True)
    made = class_masks.write_class_masks(cohort, quiet=True).set_index("slice_id")["class_mask"].dropna()
    strokes = cohort.slices[cohort.slices["slice_id"].isin(made.index)][:6]
    paths = inputs.resized(strokes, 32, cohort.fingerprint, quiet=True)
    references = strokes["slice_id"].map(made)
    tfrecords.check_records(tfrecords.ensure_records(strokes, references, 32, quiet=True))
    assert len(paths) == 6 and not cohort.obstacles()
    assert everything(data) == before


def test_a_file_that_vanishes_is_named_and_nothing_is_mislabelled(tmp_path, slices, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    lost = Path(slices.loc[3, "png"])
    lost.unlink()
    said = f"^{re.escape(str(lost))} is gone since this run looked for its files. Put it back and run again."
    with pytest.raises(UserError, match=said):
        inputs.resized(slices, 16, "f", quiet=True)
    kept = list((tmp_path / "derived").rglob("*.png"))
    assert lost.name not in {path.name for path in kept} and not [p for p in kept if p.name.startswith(".")]
    for make in (
        lambda: tfrecords.ensure_records(slices, slices["class_mask"], 8, quiet=True),
        lambda: tfrecords.write_records(slices, slices["class_mask"], 8, tmp_path / "records", quiet=True),
        lambda: predict.probabilities(small_network(), slices["png"], inputs.raw, 8),
        lambda: checks.inspect(SliceFile(lost, "png", "train", "ischemia", "3"), True, {}),
        lambda: checks._fault(lost, Path(slices.loc[2, "png"]), "overlay"),
    ):
        with pytest.raises(UserError, match=said):
            make()
    assert not (tmp_path / "records").exists()
    row = SimpleNamespace(
        slice_id="3", png=str(lost), overlay=str(lost), mask=None, label="ischemia", width=40, height=40
    )
    with pytest.raises(UserError, match=said):
        class_masks._write_one(row, tmp_path, "difference", {}, {})


def test_a_full_disk_is_no_fault_of_a_file_of_the_data(tmp_path, slices, monkeypatch):
    def full(*_):
        raise UserError("No space left on the disk")

    monkeypatch.setattr(checks, "_inspect_png", full)
    with pytest.raises(UserError, match="No space left"):
        checks.inspect(SliceFile(Path(slices.loc[3, "png"]), "png", "train", "ischemia", "3"), True, {})


def test_a_training_whose_file_vanishes_keeps_its_epochs(tmp_path, slices, monkeypatch):
    target = np.arange(7)[:, None] % 2
    monkeypatch.setattr(training.State, "COST", float("inf"))
    begin = training._EpochLine.on_epoch_begin

    def lose(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            for path in slices["png"]:
                Path(path).unlink(missing_ok=True)

    monkeypatch.setattr(training._EpochLine, "on_epoch_begin", lose)
    train = inputs.image_batches(slices["png"], target, inputs.raw, 8, 1, seed=0, epochs=60)
    held = inputs.image_batches(slices["png"], target, inputs.raw, 8)
    with pytest.raises(UserError, match=r"^\S+\.png is gone since this run looked for its files"):
        training.fit(small_network(), train, held, training.Schedule(60, 1), tmp_path / "run", "small", run_id="a")
    assert (tmp_path / "run" / unfinished.STATE).is_file() and (tmp_path / "run" / "history.csv").is_file()
    assert not (tmp_path / "run" / "best.weights.h5").exists()


class Clock(datetime.datetime):
    """A clock on the wall that can be set."""

    date = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.date


def test_durations_and_the_newest_run_survive_a_clock_that_jumps(tmp_path, monkeypatch):
    fake = SimpleNamespace(datetime=Clock, timedelta=datetime.timedelta, UTC=datetime.UTC)
    monkeypatch.setattr(runs, "datetime", fake)
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    data = DataSet("f", {})

    def run(seed, start, end):
        Clock.date = datetime.datetime(2026, *start, tzinfo=datetime.UTC)
        begun = runs.Run("07", {"profile": "quick", "seed": seed})
        Clock.date = datetime.datetime(2026, *end, tzinfo=datetime.UTC)
        record = files.read_json(begun.finish(data, {}))
        assert record["started"] <= record["finished"] and 0 <= record["wall_s"] < 60
        return record["run_id"]

    ahead = run(0, (9, 1), (9, 1))  # by a clock that was months ahead
    back = run(1, (9, 1), (5, 1))  # it is set right during the run
    first, last = run(2, (5, 2), (5, 2)), run(3, (5, 3), (5, 3))
    found, said = runs.read_records("quick", "07")
    assert [record["run_id"] for record in found] == [ahead, back, first, last]
    assert len(said) == 2 and all("later than now: a clock was wrong" in line for line in said)
    Clock.date = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)  # one whose battery is empty
    assert [record["run_id"] for record in runs.read_records("quick", "07")[0]] == [first, last, ahead, back]


def test_no_duration_is_told_by_the_date(tmp_path, monkeypatch):
    """Only the monotonic clock never jumps; the date is for dates."""
    wall = re.compile(r"time\.time\(|\.now\(|utcnow")
    found = {path: wall.search(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    dated = {str(path.relative_to(PACKAGE)) for path, hit in found.items() if hit}
    assert dated == {"course/derived.py", "course/reproduce.py", "results/runs.py"}, "ages of files, dates of records"
    monkeypatch.setattr(papermill, "execute_notebook", executed)
    page = write_notebook(tmp_path / "a.ipynb")
    assert headless.run(page, {}, tmp_path / "out.ipynb")
    assert 0 <= nbformat.read(tmp_path / "out.ipynb", 4).metadata.papermill.duration < 60
    executed(page, tmp_path / "back.ipynb")  # as papermill alone leaves it where a clock was set back
    nbformat.write(nbformat.v4.new_notebook(metadata={"papermill": {"duration": 1200.0}}), tmp_path / "good.ipynb")
    jobs = [
        forecast.Job(tmp_path / f"{name}.ipynb", minutes) for name, minutes in (("back", 10), ("good", 10), ("new", 20))
    ]
    assert forecast.left(jobs, True, tmp_path / "new.ipynb", 0) == "2 of 3 notebooks done, about 40 min left"


def test_files_of_tomorrow_stop_no_course(course):  # noqa: F811 - the fixture
    """Snakemake refuses an output that is older than its input, as all are after a clock was set back."""
    page = course / "notebooks" / "01_exploration.ipynb"
    old, tomorrow = course / "notebooks" / "03_phase1_detection.ipynb", time.time() + 86_400
    os.utime(page, (tomorrow, tomorrow))
    os.utime(old, (1e9, 1e9))
    reproduce._none_of_tomorrow(make_plan())
    assert page.stat().st_mtime <= time.time() and old.stat().st_mtime == 1e9


def test_a_notebook_that_lost_its_tag_is_one_message(course, monkeypatch, capsys):  # noqa: F811 - the fixture
    page = course / "notebooks" / "03_phase1_detection.ipynb"
    notebook = nbformat.read(page, 4)
    del notebook.cells[1].metadata["tags"]
    nbformat.write(notebook, page)
    said = r"03_phase1_detection.ipynb has no cell tagged 'parameters'; exactly one .*Cell Tags. Or restore"
    with pytest.raises(UserError, match=said):
        make_plan()
    monkeypatch.setattr(commands.signal, "signal", lambda *_: None)
    assert commands.main(["run", str(page), "--output", str(course / "out.ipynb")]) == 2
    assert re.search(said, capsys.readouterr().err) and not (course / "out.ipynb").exists()


def test_two_writers_of_one_file_never_mix(tmp_path):
    target, texts = tmp_path / "a.txt", {"a" * 50_000, "b" * 50_000}
    files.write_text(target, min(texts))
    threads = [threading.Thread(target=lambda t=t: [files.write_text(target, t) for _ in range(60)]) for t in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert target.read_text() in texts
    assert list(tmp_path.iterdir()) == [target]


HOLDER = """
import sys, time
from stroke_utils.base import files
files.claim(sys.argv[1], "the run x", shared=sys.argv[2] == "shared")
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["alone", "shared"])
def test_a_second_process_waits_for_a_run_and_then_says_who_has_it(tmp_path, capsys, how):
    target = tmp_path / "x"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(target), how], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        owner = f"Process {holder.pid} on " if how == "alone" else "[Aa]nother process"
        with pytest.raises(UserError, match=rf"{owner}.* works on the run x, and two would write the same files"):
            files.claim(target, "the run x", patience=0.1, poll=0.05)
        if how == "shared":
            files.claim(target, "the run x", shared=True, patience=0.1)
            files.release(target)
        threading.Timer(0.3, holder.kill).start()
        files.claim(target, "the run x", patience=20, poll=0.05)  # the kernel frees what a killed process had
        files.claim(target, "the run x", patience=0)  # a cell that is run again
        files.release(target)
        assert not any(path.read_text() for path in tmp_path.iterdir()), "a later message must not name this process"
    finally:
        holder.kill()
        holder.communicate()
        files.release(target)
    assert "Another process works on the run x; waiting up to" in capsys.readouterr().out


def test_a_run_that_trains_is_one_process_s_until_it_is_finished(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    claims = []
    monkeypatch.setattr(files, "claim", lambda target, what, shared: claims.append((Path(target).name, what, shared)))
    monkeypatch.setattr(files, "release", lambda target: claims.append(Path(target).name))
    run = runs.Run("04_phase2_classification", {"profile": "quick", "seed": 0, "models": []})
    run.finish(DataSet("f", {}), {})
    assert claims == [(run.run_id, f"the run {run.run_id}", False), run.run_id]
    claims.clear()
    runs.Run("01_exploration", {"profile": "quick", "seed": 0}).open(DataSet("f", {}))
    assert claims == [], "what trains nothing writes the same files whoever is last"


@pytest.mark.parametrize("how", [urllib.error.URLError("Name or service not known"), TimeoutError("timed out")])
def test_weights_that_cannot_be_fetched_are_named_with_folder_and_checksum(tmp_path, monkeypatch, how):
    from keras.src.utils import file_utils

    def fail(*_, **__):
        raise how

    monkeypatch.setattr(file_utils, "urlretrieve", fail)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # for the message; Keras has read it when it was imported
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    with pytest.raises(UserError) as said:
        models.build_backbone("resnet18", 32, "imagenet")
    assert (tmp_path / "keras" / "models").is_dir(), "it is where Keras has just looked"
    for part in (
        f"  folder:   {tmp_path / 'keras' / 'models'}\n",
        "  file:     resnet18_imagenet_1000_no_top.h5\n",
        "  checksum: MD5 318e3ac0cd98d51e917526c9f62f0b50",
    ):
        assert part in str(said.value)

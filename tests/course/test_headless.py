"""Headless runs: parameters, kernel, messages, recovery; and the plan of the whole course."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from stroke_utils.base import errors, unfinished
from stroke_utils.course import commands, headless, notebook_files, plan, refresh
from stroke_utils.course.plan import make_plan

PARAMETERS = """profile = "quick"  # a
seed = 0  # b
reuse = False  # c
dropout = 0.1  # d
models = ["cnn"]  # e
data_dir = ""
phantom_size = "quick"
"""


def write(path, *cells, kernel="python3", parameters=PARAMETERS):
    """Write a notebook of a parameters cell and ``cells``; text that starts with # is Markdown."""
    new = nbformat.v4
    parameters = new.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    made = [new.new_markdown_cell(c) if c.startswith("#") else new.new_code_cell(c) for c in cells]
    made = [new.new_markdown_cell("# Title"), parameters, *made]
    metadata = {"kernelspec": {"name": kernel, "display_name": "x", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new.new_notebook(cells=made, metadata=metadata), path)
    return path


def command(*words, **more):
    """Start the command line in a process of its own that hears Ctrl-C, which a shell's background jobs ignore."""
    more |= {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    call = commands.here("run", *words)
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def outputs(path):
    """All text that the cells of an executed notebook printed."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return "".join(o.get("text", "") for c in cells for o in c.outputs)


def test_parameters_of_a_notebook(tmp_path):
    found = notebook_files.defaults(write(tmp_path / "a.ipynb"))
    expected = {"profile": "quick", "seed": 0, "reuse": False, "dropout": 0.1, "models": ["cnn"], "data_dir": ""}
    assert found == expected | {"phantom_size": "quick"}


def test_parameters_must_be_literals_in_exactly_one_cell(tmp_path):
    path = write(tmp_path / "a.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "seed = int(3)"
    nbformat.write(notebook, path)
    with pytest.raises(errors.UserError, match="literals only, found: seed = int"):
        notebook_files.defaults(path)
    notebook.cells.pop(1)
    nbformat.write(notebook, path)
    with pytest.raises(errors.UserError, match="has no cell tagged 'parameters'.*Cell Tags"):
        notebook_files.defaults(path)


def test_command_line_values_take_the_type_of_the_table(tmp_path):
    path = write(tmp_path / "a.ipynb")
    given = {"seed": "3", "reuse": "true", "dropout": "1e-3", "models": "cnn, resnet18", "data_dir": "2021"}
    expected = {"seed": 3, "reuse": True, "dropout": 0.001, "models": ["cnn", "resnet18"], "data_dir": "2021"}
    assert notebook_files.check_parameters(path, given) == expected


@pytest.mark.parametrize(("given", "said"), [({"sed": 1}, "seed"), ({"seed": "x"}, "seed"), ({"reuse": 1}, "reuse")])
def test_wrong_parameters_are_refused(tmp_path, given, said):
    path = write(tmp_path / "a.ipynb")
    with pytest.raises(errors.UserError, match=f"a.ipynb: .*'{said}'"):
        notebook_files.check_parameters(path, given)


def test_the_kernel_is_this_environment_and_the_folder_the_notebooks(tmp_path, monkeypatch, capfd):
    decoy = tmp_path / "decoy" / "kernels" / "python3"
    decoy.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "-f", "{connection_file}"], "display_name": "decoy", "language": "python"}
    (decoy / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "decoy"))
    code = "import os, sys\nprint(seed, sys.executable, os.getcwd(), sep='|')"
    path, out = write(tmp_path / "nb" / "a.ipynb", "## Work", code), tmp_path / "out" / "a.ipynb"
    assert headless.run(path, {"seed": 4}, out)
    assert outputs(out).strip().split("|") == ["4", sys.executable, str(tmp_path / "nb")]
    assert not list((tmp_path / "out" / "logs").glob("*.ipynb"))
    assert notebook_files.OwnKernelManager(kernel_name="no-such-kernel").kernel_spec.argv[0] == sys.executable
    assert "a: started, 3 cells" in capfd.readouterr().err


def test_a_failed_cell_is_named_and_the_copy_stays(tmp_path, capfd):
    path = write(tmp_path / "a.ipynb", "## First", "x = 1", "### Trouble here\ntext", "print('so far')\nx / 0")
    assert not headless.run(path, {}, tmp_path / "out.ipynb", tmp_path / "log.ipynb")
    said = capfd.readouterr().err
    assert 'out: FAILED in cell 3 of 3 ("Trouble here")' in said
    assert "ZeroDivisionError: division by zero" in said and str(tmp_path / "log.ipynb") in said
    assert not (tmp_path / "out.ipynb").exists()
    assert "so far" in outputs(tmp_path / "log.ipynb")
    assert "ZeroDivisionError" in (tmp_path / "log.ipynb").read_text()


def test_a_training_that_goes_on_or_was_finished_is_said_where_the_notebook_is_run(tmp_path, capfd):
    said = f"training\\nCNN: {unfinished.WENT_ON} 3\\nResNet18: {unfinished.WAS_DONE}"
    path = write(tmp_path / "a.ipynb", f"print('{said}')")
    assert headless.run(path, {}, tmp_path / "out.ipynb", tmp_path / "log.ipynb")
    said = capfd.readouterr().err
    assert "out: CNN: went on from epoch 3" in said and "out: ResNet18: was finished before" in said
    assert "out: training" not in said


@pytest.mark.parametrize(
    ("code", "timeout", "said"),
    [("import time\ntime.sleep(60)", 2, "longer than 2 s"), ("import os\nos._exit(1)", None, "The kernel died")],
)
def test_a_hung_and_a_dead_kernel_are_told_apart(tmp_path, capfd, code, timeout, said):
    path = write(tmp_path / "a.ipynb", "## Work", code)
    assert not headless.run(path, {}, tmp_path / "out.ipynb", tmp_path / "log.ipynb", timeout=timeout)
    assert said in capfd.readouterr().err
    assert said in outputs(tmp_path / "log.ipynb")


def test_a_mistyped_key_stops_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    path = write(tmp_path / "a.ipynb", "open('ran', 'w')")
    (tmp_path / "p.yaml").write_text("sede: 1\nreuse: maybe\n")
    words = ["run", path, "--parameters", tmp_path / "p.yaml", "-p", "dropout", "2", "--output", tmp_path / "out.ipynb"]
    assert commands.main([*map(str, words)]) == 2
    said = capsys.readouterr().err
    assert "'sede' (did you mean 'seed'?)" in said and "'reuse' is 'maybe'" in said and "'dropout' is '2'" in said
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_ends_its_kernel_and_starts_again(tmp_path, how):
    code = "import os, time\nif os.path.exists('wait'):\n    print(os.getpid(), file=open('pid', 'w'))\n"
    path = write(tmp_path / "a.ipynb", code + "    time.sleep(120)\nprint('done')")
    (tmp_path / "wait").touch()
    process = command(path, "--output", tmp_path / "out.ipynb", start_new_session=True)
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 120
    while not (pid.exists() and pid.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0 and not (tmp_path / "out.ipynb").exists()
    assert gone(int(pid.read_text()))
    (tmp_path / "wait").unlink()
    if how is signal.SIGKILL:  # the hardest of the three
        assert headless.run(path, {}, tmp_path / "out.ipynb") and outputs(tmp_path / "out.ipynb") == "done\n"


def gone(pid, patience=20):
    """Tell whether a process ends within ``patience`` seconds."""
    for _ in range(patience * 5):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if (
            Path(f"/proc/{pid}/stat").exists()
            and Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] == "Z"
        ):
            return True
        time.sleep(0.2)
    return False


def test_it_ends_with_its_parent_when_told_so(tmp_path):
    path = write(tmp_path / "a.ipynb", "import os, time\nprint(os.getpid(), file=open('pid', 'w'))\ntime.sleep(120)")
    call = commands.here("run", path, "--output", tmp_path / "o.ipynb")
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *call, "--end-with-parent"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout of two throwaway notebooks, as STROKE_HOME: a folder with blanks, quotes and Turkish letters."""
    tmp_path = tmp_path / 'Ayşe\'nin "ev"i'
    for stem in ("01_exploration", "03_phase1_detection"):
        code = "from stroke_utils.base import paths\nprint(data_dir, seed, sep='|')"
        write(tmp_path / "notebooks" / f"{stem}.ipynb", code)
        for profile in ("quick", "paper"):
            file = tmp_path / "params" / profile / f"{stem}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"profile: {profile}\nseed: 5\nphantom_size: {profile}\n")
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("STROKE_DATA", raising=False)
    return tmp_path


def test_plan(course):
    plan = make_plan()
    assert (plan.profile, plan.data, plan.seeds) == ("quick", "", (5,))
    plan = make_plan("paper", str(course / "params"), "2, 0 1")
    assert plan.seeds == (0, 1, 2)
    names = [Path(o).name for n in plan.notebooks for o in plan.outputs(n)]
    stems = ["01_exploration", *(f"03_phase1_detection-seed{k}" for k in range(3))]
    assert [name.rpartition("-")[0] for name in names] == stems and len({name[-14:] for name in names}) == 4
    assert plan.executed == course / "elsewhere" / "paper" / "executed"


def test_weights_are_given_to_every_training_notebook_that_can_start_so(course, tmp_path):
    stems = ("03_phase1_detection", "05_segmentation")
    for stem in stems:
        body = 'profile = "quick"  # a\nseed = 5  # b\nweights = "phantom"  # c'
        write(course / "notebooks" / f"{stem}.ipynb", "print(weights)", parameters=body)
        for profile in ("quick", "paper"):
            (course / "params" / profile / f"{stem}.yaml").write_text(f"profile: {profile}\nseed: 5\n")

    def given(weights):
        return [make_plan(weights=weights).changes(stem, 5).get("weights") for stem in stems]

    assert given("") == [None, None] and given("imagenet") == ["imagenet"] * 2 and given("none") == ["none"] * 2
    assert given("phantom") == ["phantom", None], "no U-Net has that start"
    (tmp_path / "mine").mkdir()
    assert given(str(tmp_path / "mine")) == [str(tmp_path / "mine")] * 2
    before = make_plan(weights=str(tmp_path / "mine")).output(stems[0], 5)
    assert before != make_plan(weights="imagenet").output(stems[0], 5) != make_plan().output(stems[0], 5)
    (tmp_path / "mine" / "resnet50.h5").write_bytes(b"weights")
    assert make_plan(weights=str(tmp_path / "mine")).output(stems[0], 5) != before, "other files are another start"
    with pytest.raises(errors.UserError, match=r"WEIGHTS=imagnet is no file or folder. Give none, imagenet, phantom"):
        make_plan(weights="imagnet")


def test_models_narrow_the_training_notebooks_and_leave_out_those_without_one(course):
    body = 'profile = "quick"  # a\nseed = 5  # b\nmodels = ["cnn", "resnet18"]  # c'
    for stem, known in (("03_phase1_detection", "[cnn, resnet18]"), ("05_segmentation", "[resnet50]")):
        write(course / "notebooks" / f"{stem}.ipynb", "print(models, seed)", parameters=body)
        for profile in ("quick", "paper"):
            file = course / "params" / profile / f"{stem}.yaml"
            file.write_text(f"profile: {profile}\nseed: 5\nmodels: {known}\n")
    plan = make_plan(seeds="0,1", models="resnet18, cnn")
    assert plan.notebooks == ["01_exploration", "03_phase1_detection"]
    assert plan.wanted("03_phase1_detection") == ["cnn", "resnet18"]
    assert make_plan(models="resnet50").notebooks == ["01_exploration", "05_segmentation"]
    assert len(make_plan().notebooks) == 3
    with pytest.raises(
        errors.UserError, match=r"no notebook of this profile trains rnn. Known: cnn, resnet18, resnet50"
    ):
        make_plan(models="cnn,rnn")


def test_what_a_profile_leaves_out_is_as_in_the_notebook_and_needs_no_data_folder(course):
    for stem in ("01_exploration", "03_phase1_detection"):
        (course / "params" / "less").mkdir(exist_ok=True)
        (course / "params" / "less" / f"{stem}.yaml").write_text("profile: less\ndropout: 0.5\n")
    plan = make_plan("less")
    assert (plan.data, plan.seeds) == ("", (0,)) and plan.executed == course / "elsewhere" / "less" / "executed"
    values = plan.values("03_phase1_detection")
    found = [values[name] for name in ("profile", "dropout", "models", "phantom_size")]
    assert found == ["less", 0.5, ["cnn"], "quick"]
    assert make_plan("less", models="cnn").wanted("03_phase1_detection") == ["cnn"]


def test_the_data_folder_defaults_to_the_environment(course, monkeypatch):
    monkeypatch.setenv("STROKE_DATA", str(course / "params"))
    assert make_plan("paper").data == str(course / "params")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"profile": "papre"}, "'papre'.*did you mean 'paper'"),
        ({"profile": "paper"}, "DATA="),
        ({"data": "/no/such/folder"}, "does not exist"),
        ({"seeds": "0,x"}, "SEEDS=0,1,2"),
        ({"seeds": "-1"}, "SEEDS=0,1,2"),
    ],
)
def test_mistakes_of_a_request(course, given, said):
    with pytest.raises(errors.UserError, match=said):
        make_plan(**given)


def test_an_empty_data_folder_is_refused(course):
    (course / "empty").mkdir()
    with pytest.raises(errors.UserError, match="is empty"):
        make_plan(data=str(course / "empty"))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("paper/03_phase1_detection", "profile: paper\nsede: 1\n", "paper/03_phase1_detection.*'seed'"),
        ("paper/03_phase1_detection", "profile: paper\nseed: -1\nreuse: 3\n", "'seed' is -1.*\n.*'reuse' is 3"),
        ("quick/01_exploration", "profile: paper\n", "01_exploration.*'profile' is 'paper'; expected 'quick'"),
        ("quick/01_exploration", "a: [\n", "not valid YAML"),
        ("quick/09_more", "seed: 1\n", "09_more.yaml: belongs to no notebook"),
    ],
)
def test_mistakes_in_parameters_files_of_any_profile(course, file, text, said):
    (course / "params" / f"{file}.yaml").write_text(text)
    with pytest.raises(errors.UserError, match=said):
        make_plan()


def test_a_missing_parameters_file_is_named(course):
    (course / "params" / "paper" / "01_exploration.yaml").unlink()
    with pytest.raises(errors.UserError, match=r"paper/01_exploration\.yaml"):
        make_plan()


def test_snakemake_knows_every_notebook_and_runs_only_what_changed(course):
    for part in ("Snakefile", "stroke_utils"):
        (course / part).symlink_to(Path(__file__).parents[2] / part)
    data = course / 'İnme\'s "{x}" data'  # blanks, quotes, braces and Turkish letters
    data.mkdir()
    (data / "x").touch()
    # One that works on no slices knows no data folder.
    write(course / "notebooks" / "07_more.ipynb", "print(seed)", parameters='profile = "quick"\nseed = 0')
    for profile in ("quick", "paper"):
        (course / "params" / profile / "07_more.yaml").write_text(f"profile: {profile}\n")
    call = commands.here("reproduce", "--data", data, "--cores", "2")
    first = subprocess.run([*call, "--seeds", "0,1"], capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("finished") == 4 and "Executed notebooks" in first.stdout
    results = course / "elsewhere" / "quick"
    (copy,) = (results / "executed").glob("03_phase1_detection-seed1-????????.ipynb")
    assert f"{data}|1" in outputs(copy)
    book = (results / "book.html").read_text()
    assert str(results / "book.html") in first.stdout and f"{copy.name}</code>" in book
    (course / "params" / "quick" / "03_phase1_detection.yaml").write_text("seed: 5\ndropout: 0.2\n")
    write(course / "notebooks" / "07_more.ipynb", "1 / 0", parameters='profile = "quick"\nseed = 0')
    second = subprocess.run([*call, "--seeds", "1"], capture_output=True, text=True, timeout=300)
    assert second.returncode == 1 and second.stderr.count("started") == 2, "only what changed runs"
    assert "CalledProcessError" not in second.stderr, "the notebook has said why"
    assert re.search("03_phase1_detection-seed1-[0-9a-f]{8}: finished", second.stderr), "one failure stops no other"
    assert len([*(results / "executed").glob("03_phase1_detection-seed1-*.ipynb")]) == 2, "nothing is overwritten"
    assert re.search("07_more-[0-9a-f]{8} stopped with ZeroDivisionError", second.stdout)
    assert "ZeroDivisionError" in (results / "book.html").read_text()
    (course / "Snakefile").unlink()
    (course / "Snakefile").write_text("rule all:\n    input: unknown_name\n")
    third = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert third.returncode == 1 and "name 'unknown_name' is not defined" in third.stderr


def test_ctrl_c_ends_the_course_at_once_and_binds_no_book(course):
    for part in ("Snakefile", "stroke_utils"):
        (course / part).symlink_to(Path(__file__).parents[2] / part)
    for path in (course / "notebooks").glob("*.ipynb"):
        write(path, f"import time\nopen({str(course / 'at_work')!r}, 'w')\ntime.sleep(120)")
    call = commands.here("reproduce", "--data", course / "params", "--cores", "2")
    process = subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (course / "at_work").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Stopped; what is finished stays." in said
    assert "book.html" not in said and "No book" not in said and not list(course.rglob("book.html"))


def test_refresh_writes_whole_and_machine_free(tmp_path):
    path = write(tmp_path / "a.ipynb", "import sys\nprint('out')\nprint('/some/path', file=sys.stderr)")
    dropped = refresh.execute(path)
    assert dropped == ["stderr of In[2]: /some/path"]
    notebook = nbformat.read(path, as_version=4)
    assert outputs(path) == "out\n"
    assert [c.execution_count for c in notebook.cells if c.cell_type == "code"] == [1, 2]
    assert notebook.metadata == {"kernelspec": refresh.KERNELSPEC, "language_info": refresh.LANGUAGE}
    assert all(set(c.metadata) <= {"tags"} for c in notebook.cells)


def test_refresh_leaves_a_failing_notebook_alone(tmp_path):
    path = write(tmp_path / "a.ipynb", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(errors.UserError, match=r"a\.ipynb failed in cell 2 of 2"):
        refresh.execute(path)
    assert path.read_bytes() == before


def test_refresh_copies_the_latest_figures_only(tmp_path):
    for age, run in enumerate(("new", "old")):
        folder = tmp_path / "results" / "quick" / "06_results_figures" / run
        (folder / "figures").mkdir(parents=True)
        Image.new("RGB", (40, 40), (age, 0, 0)).save(folder / "figures" / f"{run}.png")
        for place in ("figures", "tables"):
            (folder / place).mkdir(exist_ok=True)
            (folder / place / f"{place}_{run}.csv").write_text("a\n1\n")
        (folder / "record.json").write_text("{}")
        os.utime(folder / "record.json", (1e9 - age, 1e9 - age))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "gone.png").touch()
    copied = refresh.copy_figures(tmp_path / "results", tmp_path / "figures")
    assert [path.name for path in copied] == ["figures_new.csv", "new.png", "tables_new.csv"]
    assert set(copied) == set((tmp_path / "figures").iterdir())


def png_of(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_small_png_keeps_the_picture():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 64, 3))
    painted = ramp.copy()
    painted[100, :, 0] = 255  # one colour in the place of a grey
    for picture in (ramp, painted, np.full((40, 40, 3), (200, 30, 60), np.uint8)):
        small = refresh.small_png(png_of(picture))
        assert len(small) < len(png_of(picture)) and np.array_equal(pixels_of(small), picture)


def test_small_png_leaves_a_scan_grey_beside_a_colour_map():
    scan = np.random.default_rng(0).integers(0, 256, (120, 120), dtype=np.uint8)
    scan[0] = np.linspace(0, 1, 120) > 0.5
    scan[0] *= 255
    scan = np.repeat(scan[..., None], 3, axis=2)
    warm = scan.copy()
    warm[..., 0], warm[..., 2] = 128 + warm[..., 0] // 2, np.arange(120, dtype=np.uint8)
    picture = np.concatenate([scan, warm])
    small = refresh.small_png(png_of(picture))
    found, grey = pixels_of(small), (picture == picture[..., :1]).all(axis=-1)
    assert len(small) < len(png_of(picture)) / 2, "it has more than 256 colours, so a palette must pay"
    assert (found[grey] == found[grey][:, :1]).all(), "a learner takes a tint for a finding"
    assert np.abs(found - picture)[grey].max() <= 2 and np.array_equal(found[0], picture[0])
    assert np.abs(found - picture).max() <= 16


def test_clock_and_heading():
    assert [headless.clock(s) for s in (0, 61.9, 3700)] == ["0:00", "1:01", "1:01:40"]
    new = nbformat.v4
    cells = [new.new_markdown_cell("# A\n## B\ntext"), new.new_code_cell("# not one"), new.new_code_cell("x")]
    assert notebook_files.last_heading(cells, 2) == "B" and notebook_files.last_heading(cells, 0) == ""


def test_kernels_of_two_processes_share_no_address():
    one, two = notebook_files.OwnKernelManager(), notebook_files.OwnKernelManager()
    assert one.transport == two.transport == "ipc" and one.ip != two.ip
    assert Path(one.ip).parent.is_dir() and len(one.ip) < 90


def named(course, notebook="03_phase1_detection", **given):
    """Name of the executed copy of a notebook as the course stands now."""
    return Path(make_plan(**{"seeds": "5"} | given).output(notebook, 5)).name


def test_a_copy_has_another_name_when_anything_that_makes_it_changes(course):
    write(course / "notebooks" / "04_phase2_classification.ipynb", "print(seed)")
    for profile in ("quick", "paper"):
        (course / "params" / profile / "04_phase2_classification.yaml").write_text("seed: 5\n")
    detection = course / "params" / "quick" / "03_phase1_detection.yaml"
    seen, after = {named(course)}, named(course, "04_phase2_classification")
    detection.write_text("seed: 5\ndropout: 0.25\n")
    seen.add(named(course))
    assert named(course, "04_phase2_classification") != after, "phase 2 starts from phase 1's weights"
    (course / "params" / "paper" / "03_phase1_detection.yaml").write_text("seed: 5\ndropout: 0.75\n")
    seen.add(named(course))
    seen.add(named(course, data=str(course / "params")))
    (course / "params" / "more").touch()
    seen.add(named(course, data=str(course / "params")))
    path = write(course / "notebooks" / "03_phase1_detection.ipynb", "print(seed, 1)")
    seen.add(named(course))
    assert len(seen) == 6
    now = named(course)
    os.utime(path)
    assert named(course) == now, "a new time of the same file is no change"


def test_files_that_are_no_code_count_where_a_notebook_reads_them():
    found = {path.name for path in plan._other_files()}
    assert {"record.schema.json", "data_sheet.md.j2"} <= found and "book.html.j2" not in found


def test_other_models_run_again(course):
    body = 'profile = "quick"  # a\nseed = 5  # b\nmodels = ["cnn", "resnet18"]  # c'
    for stem in ("03_phase1_detection", "04_phase2_classification"):
        write(course / "notebooks" / f"{stem}.ipynb", "print(models, seed)", parameters=body)
        for profile in ("quick", "paper"):
            (course / "params" / profile / f"{stem}.yaml").write_text("seed: 5\nmodels: [cnn, resnet18]\n")
    for stem in ("03_phase1_detection", "04_phase2_classification"):
        assert len({named(course, stem, models=models) for models in ("", "cnn", "resnet18")}) == 3

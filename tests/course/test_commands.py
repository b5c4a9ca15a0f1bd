"""The command line: one spelling, one subcommand a task, help with examples, exit statuses, and a fast start."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stroke_utils.course import commands

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    *("check", "audit", "phantom", "reproduce", "run", "refresh", "verify", "book", "read", "pretrain"),
    *("clean-derived", "nnunet"),
)


def texts():
    """The path and text of every file that a person reads or that calls the command line."""
    kinds = {".py", ".md", ".ipynb", ".yaml", ".j2", ".sh", ""}
    folders = [ROOT / name for name in ("stroke_utils", "tests", "notebooks", "params", ".ci")]
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in kinds]
    found += [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md"]
    found += [ROOT / name for name in ("Makefile", "Snakefile", "pyproject.toml", "conftest.py", "environment.yml")]
    return {path: path.read_text(encoding="utf-8") for path in found if path.is_file()}


def test_the_script_of_the_environment_is_this_command_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {commands.NAME: "stroke_utils.course.commands:main"}
    assert tuple(commands.COMMANDS) == NAMES


def test_there_is_no_second_spelling():
    module = re.compile(r"""-m["',\s]+stroke_utils\b""")
    assert [path for path, text in texts().items() if module.search(text)] == []
    assert module.search("python -m " + "stroke_utils.course") and module.search('"-m", ' + '"stroke_utils.course"')
    package = {path: text for path, text in texts().items() if path.is_relative_to(ROOT / "stroke_utils")}
    parsing = {path.name for path, text in package.items() if "argparse" in text or "__main__" in text}
    assert parsing == {"commands.py"}


def test_every_command_that_is_written_down_exists():
    said = {name for path, text in texts().items() if path != Path(__file__).resolve()
            for name in re.findall(r"stroke-regions ([a-z][a-z-]*)", text)}  # fmt: skip
    assert {"check", "run", "reproduce"} <= said <= set(NAMES)


def test_help_lists_the_subcommands(capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(["--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and all(re.search(rf"^ +{name}\s+\w", said, re.MULTILINE) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_help_with_examples_that_can_be_parsed(name, capsys):
    with pytest.raises(SystemExit) as end:
        commands.main([name, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "Exit status: 0" in said
    for example in commands.COMMANDS[name].examples:
        assert f"stroke-regions {example}" in said
        words = shlex.split(example)
        given, further = commands.parser_for(words).parse_known_args(words)
        assert given.command == name and (not further or commands.COMMANDS[name].passes_on)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["chekc", "x"], "invalid choice: 'chekc'"),
        (["check", "x", "--fast"], "check does not know --fast"),
        (["verify", "--prof", "quick"], "verify does not know --prof"),
        (["phantom", "--size", "huge"], "invalid choice: 'huge'"),
        (["run", "x.ipynb"], "--output"),
    ],
)
def test_what_cannot_be_understood_ends_in_2(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(words)
    assert end.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "/no/such/folder"], "does not exist"),
        (["reproduce", "--profile", "qiuck"], "There is no profile 'qiuck'"),
        (["reproduce", "--cores", "two"], "CORES=two is no whole number"),
        (["reproduce", "--study", "recipe"], "'recipe' is no study. Known: one_model, recipes."),
        (["reproduce", "--study", "recipes", "--models", "cnn"], "Leave MODELS out"),
        (["run", "nowhere.ipynb", "--output", "x.ipynb"], "/nowhere.ipynb. Check the path."),
        (["refresh", "03_phase"], "No such notebook: 03_phase. There are 00_start_here, "),
        (["verify", "--profile", "paper"], "No scores are expected of profile 'paper'"),
        (["book", "--seeds", "one"], "SEEDS=one is no list of whole numbers"),
    ],
)
def test_a_persons_mistake_is_one_message_and_2(words, said, capsys, monkeypatch):
    monkeypatch.setattr("stroke_utils.course.reproduce.end_with_parent", lambda end: None)
    monkeypatch.setattr("stroke_utils.course.reproduce.signal.signal", lambda *_: None)
    monkeypatch.setattr("stroke_utils.course.commands.signal.signal", lambda *_: None)
    assert commands.main(words) == 2
    told = capsys.readouterr()
    assert said in told.err and "Traceback" not in told.err and not told.out


def test_ctrl_c_is_a_word_and_130(monkeypatch, capsys):
    def interrupted(given):
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "check", commands.Command(interrupted, "", (), commands.check_arguments))
    assert commands.main(["check", "x"]) == 130 and "Stopped." in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_traceback(tiny_phantom):
    with subprocess.Popen(
        commands.here("check", tiny_phantom), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()  # as `head` does once it has its lines
        said = process.stderr.read()
    assert process.returncode == 141 and "Traceback" not in said and "BrokenPipe" not in said


def test_audit_says_what_it_found_and_ends_in_1_on_an_alarm(tiny_phantom, monkeypatch, capsys):
    from stroke_utils.evaluate import probes

    assert commands.main(["audit", str(tiny_phantom)]) == 0
    said = capsys.readouterr().out
    assert "outside the head" in said and "cannot tell" in said and said.endswith("Alarms: none\n")
    monkeypatch.setattr(probes, "LEAST", 1)
    monkeypatch.setattr(probes, "probe", lambda *given: {"verdict": probes.TELLS, "auc": 0.9, "unit": "patients"})
    assert commands.main(["audit", str(tiny_phantom)]) == 1
    assert "Alarms: outside the head, brain deleted" in capsys.readouterr().out


def test_help_and_check_load_nothing_heavy(tiny_phantom):
    code = (
        "import sys; from stroke_utils.course.commands import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pandas', 'nbformat', 'snakemake', 'tensorflow'} & set(sys.modules)\n"
        "main(['check', sys.argv[1]])\n"
        "sys.exit(str(heavy | {'tensorflow', 'keras', 'matplotlib', 'snakemake', 'nbformat'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny_phantom)], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == "set()", done.stderr
    assert "Training" in done.stdout


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("python", "stroke-regions"),
        ("python3", "stroke-regions"),
        ("/x/bin/python3.12", "/x/bin/stroke-regions"),
    ],
)
def test_make_calls_the_command_of_the_chosen_environment(python, command):
    for target in ("reproduce", "refresh", "verify", "clean-derived"):
        call = ["make", "--no-print-directory", "-n", target, f"PY={python}"]
        said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert re.search(rf"^{command} {target}\b", said, re.MULTILINE), said


@pytest.mark.parametrize(("target", "study"), [("study", "one_model"), ("recipes", "recipes")])
def test_make_names_the_study(target, study):
    call = ["make", "--no-print-directory", "-n", target, "PY=python"]
    said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^stroke-regions reproduce .*--seeds .* --study {study}$", said, re.MULTILINE | re.DOTALL), said


def test_make_says_what_an_environment_without_the_package_lacks():
    call = ["make", "--no-print-directory", "verify", "PY=/nowhere/bin/python"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There is no /nowhere/bin/stroke-regions: install the package" in done.stderr


def test_a_scan_is_read_and_what_stands_in_the_way_is_said_before_networks_load(tmp_path, monkeypatch, capsys):
    from stroke_utils.reading import networks, scan
    from tests.data.test_odd_dicom import ct, head
    from tests.scans import Stub

    ct(tmp_path / "in" / "a.dcm", head())
    (tmp_path / "file").write_text("")
    words = ["read", str(tmp_path / "in"), "--out"]
    monkeypatch.setattr(networks, "find", lambda given, profile: pytest.fail("networks are looked for"))
    assert commands.main([*words, str(tmp_path / "file")]) == 2 and "cannot be written" in capsys.readouterr().err
    assert commands.main([*words, str(tmp_path)]) == 2 and "--out DIR" in capsys.readouterr().err
    monkeypatch.setattr(networks, "find", lambda given, profile: {})
    monkeypatch.setattr(networks, "Networks", lambda found, data: Stub())
    assert commands.main([*words, str(tmp_path / "out")]) == 0
    assert all((tmp_path / "out" / name).is_file() for name in ("report.html", "report.pdf", "answer.json"))
    assert "1 slices answered" in capsys.readouterr().out

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(scan, "read", stopped)
    assert commands.main([*words, str(tmp_path / "out")]) == 130 and "goes on from here" in capsys.readouterr().err

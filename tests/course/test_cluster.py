"""The course on a stubbed Slurm: what jobs ask for, a job for each network and seed, and a killed job that goes on."""

import itertools
import json
import math
import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from stroke_utils.base import unfinished
from stroke_utils.base.errors import UserError
from stroke_utils.course import cluster, commands
from stroke_utils.course.notebook_files import check_parameters
from stroke_utils.course.plan import EMPTY, ONCE, PER_SEED, make_plan
from stroke_utils.results.parameters import read_parameters
from tests import slurm_stubs
from tests.course.test_headless import outputs, write

ROOT = Path(__file__).resolve().parents[2]
DETECTION, TYPE, RESULTS = "03_phase1_detection", "04_phase2_classification", "06_results_figures"
VARIABLES = (cluster.PARTITION, cluster.GPU_PARTITION, cluster.ACCOUNT, cluster.GPUS)

PARAMETERS = """profile = "quick"  # a
seed = 0  # b
models = {models}  # c
other_starts = ["none"]  # d
experiment_seeds = [0, 1]  # e
data_dir = ""
"""

# A training in five lines: an epoch is a line in a file, and a notebook that runs again goes on after the last one.
TRAINING = f"""import os, pathlib, time
state = pathlib.Path(os.environ["STROKE_RESULTS"], "-".join(["epochs", *models, str(seed)]))
done = len(state.read_text().split()) if state.exists() else 0
print("{unfinished.WENT_ON}" if done else "began", done)
for epoch in range(done, 4):
    print(epoch, file=open(state, "a"))
    while epoch == 2 and not done and pathlib.Path(os.environ["STROKE_RESULTS"], "hold-" + state.name).exists():
        open(os.environ["STROKE_RESULTS"] + "/at-work", "w").close()
        time.sleep(0.1)
"""


def make_course(home, models, stems):
    """Write a checkout of throwaway notebooks, of which all but 06 train, with a data folder and one for results."""
    for stem in stems:
        trains = stem != RESULTS
        body = (
            PARAMETERS.format(models=json.dumps(models)) if trains else 'profile = "quick"\nseed = 0\ndata_dir = ""\n'
        )
        write(home / "notebooks" / f"{stem}.ipynb", TRAINING if trains else "print(profile)", parameters=body)
        for profile in ("quick", "paper"):
            file = home / "params" / profile / f"{stem}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"profile: {profile}\nseed: 0\n")
    for part in ("Snakefile", "stroke_utils"):
        (home / part).symlink_to(ROOT / part)
    for folder in ("data", "results"):
        (home / folder).mkdir()
    (home / "data" / "x").touch()


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout of throwaway notebooks, two of which train, as STROKE_HOME; and no word on Slurm."""
    make_course(tmp_path, ["cnn", "resnet18", "mobilenetv2"], (DETECTION, TYPE, RESULTS))
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    for name in ("STROKE_DATA", "SNAKEMAKE_PROFILE", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def slurm(course, monkeypatch):
    """Stubs of Slurm's commands, first on the path."""
    folder = course / "slurm"
    monkeypatch.setenv("PATH", os.pathsep.join([str(slurm_stubs.install(folder)), os.environ["PATH"]]))
    return folder


def split(course, **given):
    return make_plan(data=str(course / "data"), split="models", **given)


def test_each_network_and_seed_has_a_copy_of_its_own(course):
    plan = split(course, seeds="0,1")
    assert plan.jobs(DETECTION) == [(s, m) for s in (0, 1) for m in ("cnn", "resnet18", "mobilenetv2")]
    assert plan.jobs(RESULTS) == [(0, "")]
    names = [Path(path).name for path in plan.outputs(DETECTION)]
    assert names[1].startswith(f"{DETECTION}-resnet18-seed0-") and len(set(names)) == 6
    assert [plan.changes(DETECTION, *job)["models"] for job in plan.jobs(DETECTION)][:3] == [
        "cnn", "resnet18", "mobilenetv2",
    ]  # fmt: skip
    assert split(course, models="resnet18,cnn").jobs(DETECTION) == [(0, "cnn"), (0, "resnet18")]
    with pytest.raises(UserError, match="SPLIT=seeds is unknown. Write SPLIT=models"):
        make_plan(split="seeds")


def test_an_experiment_is_made_by_the_job_of_one_network_only(course):
    plan = split(course)
    left_out = {m: {k for k, v in plan.changes(DETECTION, 0, m).items() if v == EMPTY} for _, m in plan.jobs(DETECTION)}
    both = {"experiment_seeds", "other_starts"}
    assert left_out == {"cnn": {"other_starts"}, "resnet18": both, "mobilenetv2": {"experiment_seeds"}}
    assert EMPTY not in plan.changes(TYPE, 0, "cnn").values(), "04 asks for ResNet-18 itself"
    assert EMPTY not in make_plan(data=plan.data).changes(DETECTION, 0).values()
    alone = split(course, models="resnet18").changes(DETECTION, 0, "resnet18")
    assert EMPTY not in alone.values()
    page = course / "notebooks" / f"{DETECTION}.ipynb"
    assert check_parameters(page, {"experiment_seeds": EMPTY}) == {"experiment_seeds": []}


def test_the_networks_of_the_other_starts_stand_from_the_smallest_to_the_largest():
    cells = nbformat.read(ROOT / "notebooks" / f"{DETECTION}.ipynb", as_version=4).cells
    (table,) = [
        output.data["text/plain"].splitlines()
        for cell in cells
        for output in cell.get("outputs", [])
        if "parameter value" in output.get("data", {}).get("text/plain", "")
    ]
    weights = {row.split()[-2]: int(row.split()[-1].replace(",", "")) for row in table[1:]}
    order = ONCE[DETECTION]["other_starts"]
    assert set(weights) - {"cnn"} == set(order), "the CNN has no start"
    sizes = [weights[name] for name in order[:-1]]
    assert sizes == sorted(sizes) and order[-1] == "resnet18"


def test_types_wait_for_the_encoder_they_start_from_and_for_no_other(course):
    plan = split(course, seeds="0,1")
    assert plan.copies_before(TYPE, 1, "resnet18") == [plan.output(DETECTION, 1, model="resnet18")]
    assert plan.copies_before(TYPE, 1, "cnn") == []
    assert len(plan.copies_before(RESULTS, 0)) == 12
    before = {m: plan.output(TYPE, 1, model=m) for m in ("cnn", "resnet18")}
    page = course / "notebooks" / f"{DETECTION}.ipynb"
    page.write_text(page.read_text().replace("print(epoch", "print(epoch + 1"))
    again = split(course, seeds="0,1")
    assert again.output(TYPE, 1, model="cnn") == before["cnn"]
    assert again.output(TYPE, 1, model="resnet18") != before["resnet18"]
    assert again.output(RESULTS, 0) != plan.output(RESULTS, 0)
    whole = make_plan(data=plan.data, seeds="0,1")
    assert whole.copies_before(TYPE, 1) == [whole.output(DETECTION, 1)]


def test_what_jobs_ask_for(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert cluster.resources("quick", DETECTION) == {"mem_mb": 8000, "runtime": 90}
    assert cluster.resources("smoke", RESULTS) == {"mem_mb": 4000, "runtime": 30}
    assert cluster.resources("paper", TYPE) == {"mem_mb": 32000, "runtime": 1440}
    assert cluster.resources("of mine", TYPE) == cluster.resources("paper", TYPE)
    monkeypatch.setenv(cluster.PARTITION, "main")
    monkeypatch.setenv(cluster.GPU_PARTITION, "gpu")
    monkeypatch.setenv(cluster.GPUS, "2")
    monkeypatch.setenv(cluster.ACCOUNT, "lab")
    of_results = {"mem_mb": 8000, "runtime": 240, "slurm_partition": "main", "slurm_account": "lab"}
    assert cluster.resources("paper", RESULTS) == of_results, "it trains nothing, so it gets no GPU"
    assert cluster.resources("paper", TYPE) == {
        "mem_mb": 32000, "runtime": 1440, "gpu": 2, "slurm_partition": "gpu", "slurm_account": "lab",
    }  # fmt: skip
    monkeypatch.delenv(cluster.GPU_PARTITION)
    assert cluster.resources("paper", TYPE)["slurm_partition"] == "main"
    monkeypatch.setenv(cluster.GPUS, "one")
    with pytest.raises(UserError, match="STROKE_SLURM_GPUS is 'one'; expected a whole number"):
        cluster.resources("paper", TYPE)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("slrum", "", ""), "'slrum' is no EXECUTOR. Known: local, slurm."),
        (("local", "", "4"), "JOBS=4 counts jobs on a cluster"),
        (("slurm", "4", ""), "CORES=4 counts cores of this machine"),
        (("slurm", "", "0"), "JOBS=0 is no whole number from 1 on"),
        (("local", "two", ""), "CORES=two is no whole number"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(given, said):
    with pytest.raises(UserError, match=said):
        cluster.check(*given)


def test_a_machine_without_slurm_or_its_plugin_is_told_so_before_anything_starts(course, slurm, monkeypatch, capsys):
    cluster.check("slurm", "", "30")
    (slurm / "bin" / "sbatch").unlink()
    call = ["reproduce", "--data", str(course / "data"), "--executor", "slurm"]
    assert commands.main(call) == 2
    said = capsys.readouterr().err
    assert "this machine has no sbatch on its PATH" in said and "login node" in said and len(said.splitlines()) == 1
    assert not (course / "results" / "quick").exists() and not (course / ".snakemake").exists()
    for name in ("sacct", "squeue"):
        (slurm / "bin" / name).unlink()
    with pytest.raises(UserError, match="no sbatch, no sacct or squeue on its PATH"):
        cluster.check("slurm", "", "")
    monkeypatch.setattr(cluster, "PLUGIN", "snakemake_executor_plugin_nowhere")
    with pytest.raises(UserError, match="plugin snakemake-executor-plugin-nowhere, which is not installed"):
        cluster.check("slurm", "", "")


def test_two_networks_and_seeds_run_on_slurm_and_a_killed_job_goes_on(course, slurm, monkeypatch):
    for path in [*course.glob(f"*/{TYPE}.ipynb"), *course.glob(f"params/*/{TYPE}.yaml")]:
        path.unlink()
    data = course / 'İnme\'s {x} "$HOME" data'  # a job must not lose what a shell takes for its own
    (course / "data").rename(data)
    monkeypatch.setenv(cluster.GPU_PARTITION, "gpu")
    monkeypatch.setenv(cluster.GPUS, "1")
    monkeypatch.setenv(cluster.ACCOUNT, "lab")
    (course / "results" / "hold-epochs-resnet18-1").touch()
    slurm_stubs.kill_once(slurm, "resnet18-seed1", course / "results" / "at-work", "NODE_FAIL")
    call = commands.here("reproduce", "--data", data, "--seeds", "0,1", "--models", "cnn,resnet18", "--split", "models")
    call += ["--executor", "slurm", "--jobs", "4", "--slurm-init-seconds-before-status-checks", "1"]
    call += ["--set-resources", f"{RESULTS}:runtime=7", "--latency-wait", "5"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + "".join(p.read_text() for p in course.rglob("*.log"))
    found = slurm_stubs.jobs(slurm)
    training = [job for job in found if DETECTION in job["comment"]]
    assert {job["comment"].split("wildcards_-")[-1][:-9] for job in training} == {
        f"{model}-seed{seed}" for model, seed in itertools.product(("cnn", "resnet18"), (0, 1))
    }
    wanted = {"mem": "8000", "minutes": "90", "cpus_per_task": "2", "gpus": "1", "partition": "gpu", "account": "lab"}
    assert [{name: job.get(name) for name in wanted} for job in training] == [wanted] * 5
    (last,) = [job for job in found if RESULTS in job["comment"]]
    assert found[-1] == last and "gpus" not in last, "the records are read when all are there"
    asked = [last[name] for name in ("mem", "minutes", "cpus_per_task", "partition", "account")]
    assert asked == ["4000", "7", "2", "main", "lab"]
    assert all(job["no_requeue"] for job in found), "Slurm itself would start a killed job a second time"
    assert sorted(job["state"] for job in found) == ["COMPLETED"] * 5 + ["NODE_FAIL"]
    killed = next(job for job in found if job["state"] == "NODE_FAIL")
    (again,) = [job for job in training if job["comment"] == killed["comment"] and job is not killed]
    assert again["exclude"] == slurm_stubs.NODE, "not on the node that failed"
    assert (course / "results" / "epochs-resnet18-1").read_text().split() == list("0123"), "no epoch twice"
    copies = {path.name[len(DETECTION) + 1 : -15]: path for path in course.rglob(f"executed/{DETECTION}-*.ipynb")}
    assert f"{unfinished.WENT_ON} 3" in outputs(copies["resnet18-seed1"]) and "began 0" in outputs(copies["cnn-seed1"])
    said = ("submitted with SLURM jobid", "failed due to a node failure", "6 of 6 steps (100%) done")
    assert "Executed notebooks" in done.stdout and [text for text in said if text not in done.stderr] == []


def test_the_forecast_of_the_page_is_what_it_says_it_is():
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (detection|type|segmentation) \| (\S+) \|(.*)\|$", page, re.MULTILINE)
    notebooks = dict(zip(("detection", "type", "segmentation"), PER_SEED, strict=True))
    total, slices = 0.0, {"detection": 6951 * 0.8, "type": 2394 * 0.8, "segmentation": 2394 * 0.9}
    for task, network, numbers in rows:
        seconds, times, steps, hours = (float(cell.replace(",", "")) for cell in numbers.split("|"))
        quick, paper = (
            read_parameters(ROOT / "params" / name / f"{notebooks[task]}.yaml") for name in ("quick", "paper")
        )
        factor = (paper["size"] / quick["size"]) ** 2 * paper["batch"] / quick["batch"]
        assert times == pytest.approx(factor, abs=0.051), network
        assert steps == math.ceil(slices[task] / paper["batch"]) * paper["epochs"]
        assert hours == pytest.approx(seconds * factor * steps / 3600, abs=0.051), network
        total += hours
    assert len(rows) == 11 and f"Together {total:.0f} hours for one seed" in page


def test_the_page_says_what_jobs_ask_for():
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for profile, name in (("quick", "quick, smoke"), ("paper", "paper, yours")):
        rows = page.split(f"| {name} |")[1].split("\n| paper")[0].split("\n\n")[0]
        asked = {tuple(map(int, found)) for found in re.findall(r"\| (\d{4,}) \| (\d+) \| (\d+) \|", rows)}
        found = [cluster.needs(profile, notebook) for notebook in (*PER_SEED, RESULTS, "phantom")]
        assert asked == {(each.mem_mb, each.runtime, each.cores) for each in found}
    assert all(f"`{name}`" in page for name in VARIABLES)

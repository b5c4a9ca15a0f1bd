"""Six networks and five seeds on stubs of Slurm: ``python -m tests.bench.slurm [SLOTS]``.

A throwaway course of two tiny notebooks, of which one stands for a training, runs on Snakemake's plugin for Slurm with
the stubs of ``tests/slurm_stubs.py``, SLOTS jobs (2) at a time on this machine. One job is killed in its third epoch.
Prints what each kind of job asked for, how it ended, and what Snakemake itself costs. Linux only.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from stroke_utils.course import commands
from tests import slurm_stubs
from tests.course.test_cluster import DETECTION, RESULTS, make_course

MODELS = ("cnn", "resnet18", "resnet50", "mobilenetv2", "efficientnetb0", "efficientnetv2b0")
SEEDS, KILLED = 5, "resnet50-seed3"


def main(slots: int) -> bool:
    """Run it in a folder that is removed; tell whether all went as it must."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_course(home, MODELS, (DETECTION, RESULTS))
        stubs = home / "slurm"
        path = os.pathsep.join([str(slurm_stubs.install(stubs, slots)), os.environ["PATH"]])
        environment = os.environ | {"PATH": path}
        environment |= {"STROKE_HOME": str(home), "STROKE_RESULTS": str(home / "results"), "STROKE_SLURM_GPUS": "1"}
        model, seed = KILLED.split("-seed")
        (home / "results" / f"hold-epochs-{model}-{seed}").touch()
        slurm_stubs.kill_once(stubs, KILLED, home / "results" / "at-work", "NODE_FAIL")
        call = commands.here("reproduce", "--data", home / "data", "--seeds", ",".join(map(str, range(SEEDS))))
        call += ["--executor", "slurm", "--jobs", "30", "--split", "models"]
        call += ["--slurm-init-seconds-before-status-checks", "1"]
        begun = time.monotonic()
        done = subprocess.run(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        minutes = (time.monotonic() - begun) / 60
        jobs = pd.DataFrame(slurm_stubs.jobs(stubs)).fillna({"gpus": "0", "exclude": ""})
        jobs["rule"] = jobs["comment"].str.extract("rule_([a-z0-9_]+?)(?:_wildcards|$)")
        asked = ["rule", "mem", "minutes", "cpus_per_task", "gpus", "state"]
        table = jobs.groupby(asked).agg(jobs=("id", "count"), cpu_s=("cpu_s", "mean")).round(1).reset_index()
        print(table.to_string(index=False))
        killed = (home / "results" / f"epochs-{model}-{seed}").read_text().split()
        copies = len(list((home / "results" / "quick" / "executed").glob(f"{DETECTION}-*.ipynb")))
        print(f"{copies} of {len(MODELS) * SEEDS} copies, {minutes:.1f} minutes; epochs of the killed one:", *killed)
        good = done.returncode == 0 and copies == len(MODELS) * SEEDS and killed == list("0123")
        print("as it must be" if good else f"NOT as it must be\n{done.stderr[-5000:]}")
        return good


if __name__ == "__main__":
    sys.exit(0 if main(int((sys.argv[1:] or ["2"])[0])) else 1)

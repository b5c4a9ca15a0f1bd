"""The course on a cluster: what its jobs ask for, what must be there before the first is submitted, and which settings.

Snakemake's executor plugin submits the jobs and follows them; here is only what the course adds to it.
"""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stroke_utils.base.errors import UserError, check_known
from stroke_utils.course.plan import PER_SEED, trains

EXECUTORS = ("local", "slurm")
"""Where jobs run: on the cores of this machine, or where Slurm puts them."""

PROFILE = Path(__file__).resolve().parent / "profiles" / "slurm"
"""Snakemake's settings for Slurm."""

PLUGIN = "snakemake_executor_plugin_slurm"

JOBS = "30"
"""How many jobs are submitted at a time where nobody says; all of a batch of six networks and five seeds."""

PARTITION, GPU_PARTITION = "STROKE_SLURM_PARTITION", "STROKE_SLURM_GPU_PARTITION"
ACCOUNT, GPUS = "STROKE_SLURM_ACCOUNT", "STROKE_SLURM_GPUS"
"""Environment variables: where jobs go, where those that train go, on whose account, and GPUs for each that trains."""


@dataclass(frozen=True)
class Needs:
    """What one job asks for.

    Attributes:
        mem_mb: memory in megabytes; Slurm kills a job that takes more.
        runtime: minutes; Slurm kills a job that takes longer, and its training goes on in the next.
        cores: processor cores.
    """

    mem_mb: int
    runtime: int
    cores: int


SHORT = {"quick": Needs(4000, 30, 2), "": Needs(8000, 240, 2)}
"""Notebooks that train nothing, by profile, ``""`` for all others. In quick they take 0.5 GB and half a minute, after
one to three minutes of drawing the phantom. Not measured on a release of 6951 slices: ours, with room."""

TRAINING = {
    "quick": {
        "03_phase1_detection": Needs(8000, 90, 2),
        "04_phase2_classification": Needs(8000, 30, 2),
        "05_segmentation": Needs(8000, 60, 2),
    },
    "": dict.fromkeys(PER_SEED, Needs(32000, 1440, 8)),
}
BEYOND = {"quick": Needs(8000, 90, 2), "": Needs(32000, 1440, 8)}
"""Notebooks that train. Quick: four to ten times the minutes and two to four times the memory of the stored runs (20, 4
and 13 minutes, 2.3, 1.9 and 3.2 GiB, on two cores). Others, such as paper: ours, for nothing was measured. A day is
what most clusters let a job run; a longer training goes on in the next job. Those beyond the paper likewise."""

LIKE_QUICK = {"smoke": "quick"}
"""Profiles that do the work of another, or less."""


def needs(profile: str, notebook: str) -> Needs:
    """Return what a job of a notebook asks for in a profile."""
    profile = LIKE_QUICK.get(profile, profile)
    table = TRAINING if notebook in PER_SEED else BEYOND if trains(notebook) else SHORT
    found = table.get(profile, table[""])
    return found[notebook] if notebook in PER_SEED else found


def resources(profile: str, notebook: str) -> dict[str, object]:
    """Return what a job asks Slurm for, by Snakemake's names; GPUs, partition and account only where they are given.

    Raises:
        UserError: the number of GPUs is none.
    """
    asked, training = needs(profile, notebook), trains(notebook)
    found: dict[str, object] = {"mem_mb": asked.mem_mb, "runtime": asked.runtime}
    given = os.environ.get(GPUS, "").strip() or "0"
    if not (given.isascii() and given.isdigit()):
        raise UserError(f"{GPUS} is {given!r}; expected a whole number, the GPUs of each job that trains, or unset it.")
    if training and int(given):
        found["gpu"] = int(given)
    partition = (os.environ.get(GPU_PARTITION) if training else "") or os.environ.get(PARTITION)
    found |= {"slurm_partition": partition} if partition else {}
    account = os.environ.get(ACCOUNT)
    return found | ({"slurm_account": account} if account else {})


def check(executor: str, cores: str, jobs: str) -> None:
    """Refuse what cannot work before anything is submitted.

    Raises:
        UserError: an unknown executor, ill numbers, a missing plugin, or a machine without Slurm's commands.
    """
    check_known(executor, EXECUTORS, "EXECUTOR")
    for name, value in (("CORES", cores), ("JOBS", jobs)):
        if value and not (value.isascii() and value.isdigit() and int(value)):
            raise UserError(f"{name}={value} is no whole number from 1 on. Write for instance {name}=2.")
    if executor == "local":
        if jobs:
            raise UserError(f"JOBS={jobs} counts jobs on a cluster, and EXECUTOR=local uses none. Write CORES={jobs}.")
        return
    if cores:
        raise UserError(
            f"CORES={cores} counts cores of this machine, and EXECUTOR={executor} uses others: write JOBS=30."
        )
    if importlib.util.find_spec(PLUGIN) is None:
        name = PLUGIN.replace("_", "-")
        raise UserError(
            f"EXECUTOR=slurm needs Snakemake's plugin {name}, which is not installed here. `make env` installs it from "
            "requirements.lock."
        )
    missing = [name for name in ("sbatch", "scancel", "sinfo") if not shutil.which(name)]
    missing += [] if shutil.which("sacct") or shutil.which("squeue") else ["sacct or squeue"]
    if missing:
        raise UserError(
            f"EXECUTOR=slurm calls Slurm's commands, and this machine has no {', no '.join(missing)} on its PATH. "
            "Start it where you submit jobs, on a login node of the cluster; some want `module load slurm` first."
        )
    resources("quick", PER_SEED[0])  # refuses ill GPUs

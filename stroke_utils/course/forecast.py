"""What is left of a whole run of the course, told while one of its notebooks runs."""

import functools
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stroke_utils.base import files
from stroke_utils.course.notebook_files import read_notebook
from stroke_utils.course.plan import Plan

STATED = re.compile(r"^\| time \| (\d+)(?:–(\d+))? minutes? on 2 cores", re.MULTILINE)
"""How a notebook's first cell says its minutes in the profile quick: a number, or two with a dash between."""

SHORT = 0.5
"""Minutes of a notebook that takes less than one."""


@dataclass(frozen=True)
class Job:
    """One notebook of a run of the course.

    Attributes:
        output: its executed copy, there once it is finished.
        minutes: what it takes on two cores in quick, by its own words.
    """

    output: Path
    minutes: float


def write_jobs(plan: Plan, notebooks: Path) -> Path:
    """Write the notebooks of a plan and their minutes to a file for :func:`read_jobs`, and return its path."""
    jobs = {}
    for notebook in plan.asked_for():
        found = STATED.search(read_notebook(notebooks / f"{notebook}.ipynb").cells[0].source)
        minutes = statistics.mean(float(x) for x in found.groups() if x) if found else SHORT
        networks = len(plan.values(notebook).get("models", [])) or 1  # a copy of one part trains one of them
        jobs |= {
            plan.output(notebook, seed, model=part): minutes / (networks if part else 1)
            for seed, part in plan.jobs(notebook)
        }
    return files.write_json(plan.executed / "course.json", {"stated": plan.profile == "quick", "jobs": jobs})


def read_jobs(path: str | Path) -> tuple[list[Job], bool]:
    """Read the jobs of :func:`write_jobs`, and whether their minutes are of this profile."""
    found = files.read_json(Path(path))
    return [Job(Path(output), minutes) for output, minutes in found["jobs"].items()], found["stated"]


def left(jobs: Sequence[Job], stated: bool, at_work: Path, spent: float) -> str:
    """Say how much of a course is done and about how long the rest takes.

    The minutes that notebooks state are of one machine and one profile. The finished ones tell how much longer or
    shorter they take here, and the forecast is scaled by that.

    Args:
        jobs: all notebooks of the run, in any order.
        stated: whether their minutes are of this profile; if not, nothing is forecast before a notebook is finished.
        at_work: output of the one at work.
        spent: seconds it has taken so far.
    """
    done = [job for job in jobs if job.output != at_work and job.output.is_file()]
    count = f"{len(done)} of {len(jobs)} notebooks done"
    timed = [job for job in done if _taken(job) > 0]  # papermill by itself goes by the date, and clocks are set back
    taken, said = sum(map(_taken, timed)) / 60, sum(job.minutes for job in timed)
    enough = taken > 0 and (said >= 1 or not stated)
    if not enough and not stated:
        return count
    pace = taken / said if enough else 1.0
    rest = sum(job.minutes * pace for job in jobs if job not in done and job.output != at_work)
    rest += sum(max(0.0, job.minutes * pace - spent / 60) for job in jobs if job.output == at_work)
    return f"{count}, about {max(1, math.ceil(rest))} min left"


@functools.cache  # asked every second, and a copy has megabytes; once it is there it stays as it is
def _taken(job: Job) -> float:
    """Return the seconds that an executed copy says it took."""
    return float(read_notebook(job.output).metadata.get("papermill", {}).get("duration") or 0.0)

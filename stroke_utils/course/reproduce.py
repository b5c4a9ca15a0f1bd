"""Run the whole course: ``python -m stroke_utils.course.reproduce --profile quick`` (what ``make reproduce`` calls).

Checks everything a person can mistype before the first notebook starts, then lets Snakemake run what is missing or out
of date, then shows the results and binds them into a book. The Snakefile builds its rules from the same :class:`Plan`.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import pandas as pd

from stroke_utils.base import files, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course.headless import clock, end_with_parent, short_path
from stroke_utils.course.plan import LAST, Plan, make_plan


def summary(plan: Plan) -> str:
    """Return the results table that the last notebook wrote, if any, and where everything lies."""
    root = paths.results_root() / plan.profile
    tables = sorted((root / LAST).glob("*/tables/results.csv"), key=lambda path: path.stat().st_mtime)
    copies = [Path(output) for notebook in plan.notebooks for output in plan.outputs(notebook)]
    if tables:
        table = pd.read_csv(tables[-1], dtype=str, keep_default_na=False).to_string(index=False)
        places = [f"Figures and tables:  {short_path(tables[-1].parents[1])}"]
    else:
        table = "\n".join(f"  {short_path(copy)}" for copy in copies)
        places = []
    places.append(f"Executed notebooks:  {short_path(plan.executed)}")
    places.append(f"Run records:         {short_path(root)}/<notebook>/<run>")
    origin = plan.data or "the phantom, a made-up cohort: these scores say nothing about patients"
    return "\n".join(["", table, "", f"Data:                {origin}", *places])


def main(arguments: list[str] | None = None) -> int:
    """Run the course from the command line; further arguments go to Snakemake. Return an exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stroke_utils.course.reproduce", description="Run the whole course."
    )
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data", default="", help="data folder (default: STROKE_DATA, else the phantom)")
    parser.add_argument("--seeds", default="", help="for instance 0,1,2 (default: the parameters files' seed)")
    parser.add_argument("--models", default="", help="for instance cnn,resnet18 (default: the parameters files')")
    parser.add_argument("--cores", default="", help="how many cores to use (default: all)")
    given, further = parser.parse_known_args(arguments)
    # When make is killed this process, and with it every notebook at work, must end too.
    end_with_parent(lambda: os._exit(1))
    start, home, stopped = time.monotonic(), paths.home(), []

    def stop(*signal_and_frame: object) -> None:
        # Snakemake answers Ctrl-C as it does a failure; only after a failure is there something to bind.
        stopped.append(True)
        signal.default_int_handler(*signal_and_frame)

    signal.signal(signal.SIGINT, stop)
    try:
        if given.cores and not given.cores.isdigit():
            raise UserError(f"CORES={given.cores} is no whole number. Write for instance CORES=2.")
        plan = make_plan(given.profile, given.data, given.seeds, given.models)
        # Snakemake's own lock outlives a killed run; this one the kernel frees, so the same command starts again.
        with files.lock(home / ".snakemake" / "reproduce", "results in this folder"):
            done = _snakemake(plan, given.cores or "all", further)
            if done:
                print(summary(plan))
            if not stopped:
                print(_bound(plan))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if not done:
        print("Stopped; what is finished stays. The same command goes on from there.", file=sys.stderr)
        return 1
    print(f"Done in {clock(time.monotonic() - start)}.")
    return 0


def _bound(plan: Plan) -> str:
    """Bind the book of what has been executed; say where it lies, or why there is none."""
    from stroke_utils.course import book

    try:
        return book.summary(*book.bind(plan))
    except UserError as error:
        return f"No book: {error}"


def _snakemake(plan: Plan, cores: str, further: list[str]) -> bool:
    """Let Snakemake run what is missing or out of date; tell whether all is there."""
    from snakemake.cli import main as snakemake

    home = paths.home()
    config = {"profile": plan.profile, "seeds": ",".join(map(str, plan.seeds)), "data": plan.data}
    config |= {"models": ",".join(plan.models)} if plan.models else {}
    config = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in config.items()]  # JSON is YAML
    command = ["--snakefile", str(home / "Snakefile"), "--directory", str(home), "--cores", cores, "--nolock"]
    command += ["--rerun-incomplete", "--keep-going", "--quiet", "all", *further, "--config", *config]
    try:
        snakemake(command)
    except SystemExit as end:
        return not end.code
    return True


if __name__ == "__main__":
    sys.exit(main())

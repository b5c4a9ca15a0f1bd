"""Run the course: ``stroke-regions reproduce``, which ``make reproduce``, ``beyond``, ``study`` and ``recipes`` call.

Checks everything a person can mistype before the first notebook starts, then lets Snakemake run what is missing or out
of date, then shows the results and binds them into a book. The Snakefile builds its rules from the same
:class:`stroke_utils.course.plan.Plan`.
"""

import contextlib
import io
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pandas as pd

from stroke_utils.base import files, identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course import cluster
from stroke_utils.course.headless import clock, end_with_parent, short_path
from stroke_utils.course.plan import LAST, Plan, make_plan
from stroke_utils.results import studies

OF_A_JOB = "CalledProcessError"
"""What Snakemake says where a notebook failed; that notebook has told why before."""


def summary(plan: Plan) -> str:
    """Return the results table that the last notebook wrote, if any, and where everything is."""
    root = paths.results_root() / plan.runs
    run = _run_of(plan.outputs(LAST)[0]) if LAST in plan.targets else ""
    results = root / LAST / run / "tables" / "results.csv"
    if run and results.is_file():
        table = pd.read_csv(results, dtype=str, keep_default_na=False).to_string(index=False)
        places = [f"Figures and tables:  {short_path(results.parents[1])}"]
    else:
        table = "\n".join(f"  {short_path(Path(copy))}" for copy in _copies(plan))
        places = []
    places.append(f"Executed notebooks:  {short_path(plan.executed)}")
    places.append(f"Run records:         {short_path(root)}/<notebook>/<run>")
    origin = plan.data or "the phantom, a made-up cohort: these scores say nothing about patients"
    return "\n".join(["", table, "", f"Data:                {origin}", *places])


def _copies(plan: Plan) -> list[str]:
    """List the executed copies that a plan is run for."""
    return [copy for notebook in plan.targets for copy in plan.outputs(notebook)]


def _studied(plan: Plan) -> str:
    """Write the table of a study, and say where it is: the tracked one for what a reader can repeat without data."""
    table = studies.STUDIES[plan.study].table(plan.runs, plan.seeds, plan.made)
    tracked = plan.profile == "quick" and not (plan.data or plan.weights) and plan.seeds == studies.SEEDS
    kept = studies.table_path(plan.study)
    path = kept if tracked else paths.results_root() / plan.profile / "studies" / kept.name
    return f"The study's table:   {short_path(files.write_table(path, table.round(4)))}"


def left_out(plan: Plan) -> str:
    """Say which notebooks the data are not enough for and why; empty where they are enough for all."""
    lines = [f"  {notebook}: {why}" for notebook, why in plan.left_out]
    return "\n".join(["Left out, for the data are not enough for them:", *lines]) if lines else ""


def _run_of(copy: str) -> str:
    """Return the name of the run whose record an executed copy says it wrote, empty where it says none."""
    text = Path(copy).read_text(encoding="utf-8") if Path(copy).is_file() else ""
    found = re.findall(rf"Wrote results/[^/\s]+/{LAST}/([^/\s]+)/record\.json", text)
    return found[-1] if found else ""


def run_all(asked: dict[str, object], cores: str, further: list[str], executor: str = "local", jobs: str = "") -> bool:
    """Run the course, print what came of it, and tell whether all of it is there.

    Args:
        asked: what :func:`stroke_utils.course.plan.make_plan` takes.
        cores: how many to use; empty: all.
        further: arguments for Snakemake.
        executor: one of ``cluster.EXECUTORS``.
        jobs: how many are submitted to a cluster at a time; empty: ``cluster.JOBS``.

    Raises:
        UserError: a mistake in the request or in a parameters file, or no cluster where one is asked for; nothing has
            run.
    """
    # When make is killed this process, and with it every notebook at work, must end too; with `nohup` it goes on.
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        end_with_parent(lambda: os._exit(1))
    start, home, stopped = time.monotonic(), paths.home(), threading.Event()

    # Snakemake answers Ctrl-C as it does a failure; only after a failure is there something to bind.
    def stop(*received: object) -> None:
        stopped.set()
        signal.default_int_handler(*received)

    signal.signal(signal.SIGINT, stop)
    cluster.check(executor, cores, jobs)
    plan = make_plan(**asked)
    missing = left_out(plan)
    if missing:
        print(missing, flush=True)
    # Snakemake's own lock outlives a killed run; this one the kernel frees, so the same command starts again.
    with files.lock(home / ".snakemake" / "reproduce", "results in this folder"):
        where = ["--cores", cores or "all"] if executor == "local" else ["--jobs", jobs or cluster.JOBS]
        done, failed = _snakemake(plan, executor, [*where, *further])
        if failed and not stopped.is_set():
            print(failed, file=sys.stderr)
        if done:
            print("\n".join(filter(None, [summary(plan), missing])))
        if done and plan.study and all(Path(copy).is_file() for copy in _copies(plan)):  # after a dry run none is there
            print(_studied(plan))
        if not stopped.is_set():
            print(_bound(plan))
    if done:
        print(f"Done in {clock(time.monotonic() - start)}.")
    else:
        print("Stopped; what is finished stays. The same command goes on from there.", file=sys.stderr)
    return done


def _bound(plan: Plan) -> str:
    """Bind the book of what has been executed; say where it is, or why there is none."""
    from stroke_utils.course import book

    try:
        return book.summary(*book.bind(plan))
    except UserError as error:
        return f"No book: {error}"


def _none_of_tomorrow(plan: Plan) -> None:
    """Give files of the course that are dated later than now the date of now.

    Snakemake refuses an output that is older than its input, and where a clock was set back every output is. No such
    date counts: what is up to date is told by digests.
    """
    home, now = paths.home(), time.time()
    places = [(home / "notebooks", "*.ipynb"), (home / "params" / plan.profile, "*.yaml"), (plan.executed, "*.*")]
    for folder, pattern in (*places, (identity.PACKAGE / "phantom", "*.py")):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # of others: Snakemake says it if it matters
                if path.stat().st_mtime > now:
                    os.utime(path)


def _snakemake(plan: Plan, executor: str, further: list[str]) -> tuple[bool, str]:
    """Let Snakemake run what is missing or out of date.

    Returns:
        Whether all is there; and why not, where Snakemake failed for a reason of its own. A notebook that fails has
        said so itself.
    """
    from snakemake.cli import main as snakemake

    home = paths.home()
    if not (home / "Snakefile").is_file():
        raise UserError(
            f"{home} has no Snakefile: to run the whole course STROKE_HOME must be a checkout of the project."
        )
    config = {"profile": plan.profile, "seeds": ",".join(map(str, plan.seeds)), "data": plan.data}
    config |= {"models": ",".join(plan.models)} if plan.models else {}
    config |= {"weights": plan.weights} if plan.weights else {}
    config |= {"split": plan.split} if plan.split else {}
    config |= {"study": plan.study} if plan.study else {"beyond": True} if plan.beyond else {}
    command = ["--snakefile", str(home / "Snakefile"), "--directory", str(home), "--nolock"]
    command += ["--rerun-incomplete", "--keep-going"]
    # In a file: on a command line Snakemake takes it for Python, and hands it to jobs through a shell.
    config |= {"executor": executor} if executor != "local" else {}
    name = f"asked-{identity.digest(config)[:8]}.json"
    command += ["--configfile", str(files.write_json(home / ".snakemake" / "asked" / name, config))]
    _none_of_tomorrow(plan)
    said = io.StringIO()
    if executor == "local":
        command += ["--quiet", "host", "reason", "rules", "progress", *further]
        quiet = contextlib.redirect_stderr(said)  # not that of the notebooks, which are processes of their own
    else:
        # A person sees what Snakemake says, errors included, which "rules" silences: the notebooks write elsewhere.
        command += ["--quiet", "host", "reason", "--profile", str(cluster.PROFILE), *further]
        quiet = contextlib.nullcontext()
    try:
        with quiet:
            snakemake(command)
    except SystemExit as end:
        text = said.getvalue().strip()
        return not end.code, text if end.code and OF_A_JOB not in text else ""
    return True, ""

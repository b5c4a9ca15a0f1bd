"""One rule per notebook. ``make reproduce`` calls this through ``stroke-regions reproduce``; by hand:

    snakemake --cores 2                                            # the quick profile on the phantom
    snakemake --cores 8 --config profile=paper data=/path seeds=0,1,2 models=cnn,resnet18
    snakemake --cores 2 --config beyond=true                       # what goes beyond the paper
    snakemake --cores 2 --config study=recipes                     # a study of results/studies.py, three seeds
    snakemake --profile stroke_utils/course/profiles/slurm --jobs 30 --config executor=slurm split=models …

Outputs are the executed copies under results/, each named by a digest of all that makes it: its cells, its parameters, the
code it goes through, the data folder's files, and the copies it comes after. What has that name is not run again. Nothing
that git tracks is an output, for Snakemake deletes those.
"""

import json
import re
import sys
from pathlib import Path

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course import cluster, commands, forecast, plan

try:
    ASKED = "profile", "data", "seeds", "models", "weights", "split", "beyond", "study"
    PLAN = plan.make_plan(*(config.get(key, "") for key in ASKED))
except UserError as error:
    raise WorkflowError(str(error)) from None

# What is left of the whole run is told by the notebook at work; on a cluster many are, and Snakemake tells it.
LOCAL = config.get("executor", "local") == "local"
COURSE = ["--course", str(forecast.write_jobs(PLAN, paths.home() / "notebooks"))] if LOCAL else []

PYTHON = sys.executable
RUN = commands.here("run")
PHANTOM = str(PLAN.executed / "phantom.txt")
CELL_TIMEOUT = {"quick": 3600, "smoke": 3600}.get(PLAN.profile, 7 * 24 * 3600)  # seconds; a hung cell must not hang the run

# Seed and network, or way of a study, of each executed copy, by notebook and by what its name has after that.
COPIES = {
    notebook: {
        Path(PLAN.output(notebook, seed, model=model)).stem.removeprefix(notebook): (seed, model)
        for seed, model in PLAN.jobs(notebook)
    }
    for notebook in PLAN.notebooks
}


def on_cluster(notebook):
    """What a job asks a cluster for; on this machine nothing but memory, which counts where --resources limits it."""
    if LOCAL:
        return {"mem_mb": 8000 if plan.trains(notebook) else 3000}
    return cluster.resources(PLAN.profile, notebook)


def cores_of(notebook):
    """On this machine a training takes all cores. A job must ask for the same number here and where it runs."""
    if LOCAL:
        return max(2, workflow.cores or 2) if plan.trains(notebook) else 1
    return cluster.needs(PLAN.profile, notebook).cores


def literal(path):
    """A path in which Snakemake takes {braces} for themselves."""
    return path.replace("{", "{{").replace("}", "}}")


rule all:
    input:
        [PLAN.outputs(notebook) for notebook in PLAN.targets],


if not PLAN.data:

    # Its output is a note: the phantom's own folder is made whole by the package and never deleted by Snakemake.
    rule phantom:
        input:
            sorted(str(path) for path in (identity.PACKAGE / "phantom").glob("*.py")),
        output:
            PHANTOM,
        params:
            size=PLAN.values(PLAN.first_reader).get("phantom_size", "quick"),
        resources:
            **on_cluster("phantom"),
        shell:
            "{PYTHON:q} -c 'import sys; from stroke_utils.data import open_cohort; "
            "open_cohort(size=sys.argv[1])' {params.size:q} && echo {params.size:q} > {output:q}"


for notebook in PLAN.notebooks:

    # Whether a notebook runs again is decided by its output's name, a digest of all that makes it, never by times.
    rule:
        name:
            notebook
        input:
            notebook=ancient(str(paths.home() / "notebooks" / f"{notebook}.ipynb")),
            parameters=ancient(str(PLAN.parameters(notebook))),
            data=ancient(PHANTOM) if PLAN.reads_data(notebook) and not PLAN.data else [],
            before=lambda wildcards, n=notebook: [
                path if n == plan.LAST else ancient(path) for path in PLAN.copies_before(n, *COPIES[n][wildcards.which])
            ],
        output:
            literal(str(PLAN.executed / notebook)) + "{which}.ipynb",
        wildcard_constraints:
            which="|".join(map(re.escape, COPIES[notebook])),  # a way has a plus in its name
        log:
            literal(str(PLAN.executed / "logs" / notebook)) + "{which}.ipynb",
        params:
            # Functions, because Snakemake takes {braces} in a text, as a path may have them, for its own.
            changes=lambda wildcards, n=notebook: [
                word for pair in PLAN.changes(n, *COPIES[n][wildcards.which]).items() for word in ("-p", *pair)
            ],
            made_by=lambda wildcards, n=notebook: json.dumps(
                PLAN.identity(n, *COPIES[n][wildcards.which]).about, ensure_ascii=False
            ),
        threads: cores_of(notebook)
        priority: 100 - PLAN.notebooks.index(notebook)  # in reading order where several could run
        resources:
            **on_cluster(notebook),
        shell:
            "exec {RUN:q} {input.notebook:q} --parameters {input.parameters:q} "
            "{params.changes:q} --made-by {params.made_by:q} --output {output:q} --log {log:q} "
            "--timeout {CELL_TIMEOUT} {COURSE:q} --end-with-parent"

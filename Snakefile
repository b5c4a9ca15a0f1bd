"""One rule per notebook. ``make reproduce`` calls this through ``stroke-regions reproduce``; by hand:

    snakemake --cores 2                                            # the quick profile on the phantom
    snakemake --cores 8 --config profile=paper data=/path seeds=0,1,2 models=cnn,resnet18
    snakemake --executor slurm --jobs 4 --config …                 # any executor with a shared file system

Outputs are the executed copies under results/, each named by a digest of all that makes it: its cells, its parameters, the
code it goes through, the data folder's files, and the copies it comes after. What has that name is not run again. Nothing
that git tracks is an output, for Snakemake deletes those.
"""

import json
import sys

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course import commands, forecast, plan

try:
    PLAN = plan.make_plan(*(config.get(key, "") for key in ("profile", "data", "seeds", "models", "weights")))
except UserError as error:
    raise WorkflowError(str(error)) from None

COURSE = str(forecast.write_jobs(PLAN, paths.home() / "notebooks"))

PYTHON = sys.executable
RUN = commands.here("run")
PHANTOM = str(PLAN.executed / "phantom.txt")
CELL_TIMEOUT = {"quick": 3600, "smoke": 3600}.get(PLAN.profile, 7 * 24 * 3600)  # seconds; a hung cell must not hang the run


rule all:
    input:
        [PLAN.outputs(notebook) for notebook in PLAN.notebooks],


if not PLAN.data:

    # Its output is a note: the phantom's own folder is made whole by the package and never deleted by Snakemake.
    rule phantom:
        input:
            sorted(str(path) for path in (identity.PACKAGE / "phantom").glob("*.py")),
        output:
            PHANTOM,
        params:
            size=PLAN.values(PLAN.notebooks[0]).get("phantom_size", "quick"),
        shell:
            "{PYTHON:q} -c 'import sys; from stroke_utils.data import open_cohort; "
            "open_cohort(size=sys.argv[1])' {params.size:q} && echo {params.size:q} > {output:q}"


JOBS = [(notebook, seed) for notebook in PLAN.notebooks for seed in (PLAN.seeds if notebook in plan.PER_SEED else [0])]

for notebook, seed in JOBS:

    # Whether a notebook runs again is decided by its output's name, a digest of all that makes it, never by times.
    rule:
        name:
            f"{notebook}_seed{seed}" if notebook in plan.PER_SEED else notebook
        input:
            notebook=ancient(str(paths.home() / "notebooks" / f"{notebook}.ipynb")),
            parameters=ancient(str(PLAN.parameters(notebook))),
            data=ancient(PHANTOM) if PLAN.reads_data(notebook) and not PLAN.data else [],
            before=(
                [PLAN.outputs(other) for other in PLAN.before(notebook)]
                if notebook == plan.LAST
                else [ancient(PLAN.output(other, seed)) for other in PLAN.before(notebook)]
            ),
        output:
            PLAN.output(notebook, seed),
        log:
            PLAN.output(notebook, seed, "logs"),
        params:
            # Functions, because Snakemake takes {braces} in a text, as a path may have them, for its own.
            changes=lambda wildcards, n=notebook, s=seed: [w for p in PLAN.changes(n, s).items() for w in ("-p", *p)],
            made_by=lambda wildcards, n=notebook, s=seed: json.dumps(PLAN.identity(n, s).about, ensure_ascii=False),
        threads: max(2, workflow.cores or 2) if notebook in plan.PER_SEED else 1
        priority: 100 - PLAN.notebooks.index(notebook)  # in reading order where several could run
        resources:
            mem_mb=8000 if notebook in plan.PER_SEED else 3000,
        shell:
            "exec {RUN:q} {input.notebook:q} --parameters {input.parameters:q} "
            "{params.changes:q} --made-by {params.made_by:q} --output {output:q} --log {log:q} "
            "--timeout {CELL_TIMEOUT} --course {COURSE:q} --end-with-parent"

"""One rule per notebook. ``make reproduce`` calls this through ``stroke_utils.course.reproduce``; by hand:

    snakemake --cores 2                                            # the quick profile on the phantom
    snakemake --cores 8 --config profile=paper data=/path seeds=0,1,2 models=cnn,resnet18
    snakemake --executor slurm --jobs 4 --config …                 # any executor with a shared file system

A notebook runs again when it, its parameters file, a package module it imports, the data folder or the seed changed.
Outputs are the executed copies under results/; nothing that git tracks is an output, for Snakemake deletes those.
"""

import sys

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.course import notebook_files, plan

try:
    PLAN = plan.make_plan(*(config.get(key, "") for key in ("profile", "data", "seeds", "models")))
except UserError as error:
    raise WorkflowError(str(error)) from None

PYTHON = sys.executable
PHANTOM = str(PLAN.executed / "phantom.txt")
CELL_TIMEOUT = {"quick": 3600}.get(PLAN.profile, 7 * 24 * 3600)  # seconds; a hung cell must not hang the run


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
            size=notebook_files.read_parameters(PLAN.parameters(PLAN.notebooks[0])).get("phantom_size", "quick"),
        shell:
            "{PYTHON:q} -c 'import sys; from stroke_utils.data import open_cohort; "
            "open_cohort(size=sys.argv[1])' {params.size:q} && echo {params.size:q} > {output:q}"


for notebook in PLAN.notebooks:

    rule:
        name:
            notebook
        input:
            notebook=str(paths.home() / "notebooks" / f"{notebook}.ipynb"),
            parameters=str(PLAN.parameters(notebook)),
            sources=plan.sources(paths.home() / "notebooks" / f"{notebook}.ipynb"),
            data=ancient(PHANTOM) if PLAN.reads_data(notebook) and not PLAN.data else [],
            before=(
                [PLAN.outputs(other) for other in PLAN.before(notebook)]
                if notebook == plan.LAST
                else [ancient(PLAN.output(other)) for other in PLAN.before(notebook)]
            ),
        output:
            PLAN.output(notebook),
        log:
            PLAN.output(notebook, "logs"),
        params:
            changes=lambda wildcards: [
                *(["-p", "seed", wildcards.seed] if "seed" in wildcards.keys() else []),
            ],
            models=["-p", "models", ",".join(PLAN.wanted(notebook))] if PLAN.models and notebook in plan.PER_SEED else [],
            data=["-p", "data_dir", PLAN.data] if PLAN.data and PLAN.reads_data(notebook) else [],
        threads: max(2, workflow.cores or 2) if notebook in plan.PER_SEED else 1
        priority: 100 - PLAN.notebooks.index(notebook)  # in reading order where several could run
        resources:
            mem_mb=8000 if notebook in plan.PER_SEED else 3000,
        shell:
            "exec {PYTHON:q} -m stroke_utils.course.headless {input.notebook:q} --parameters {input.parameters:q} "
            "{params.changes:q} {params.models:q} {params.data:q} --output {output:q} --log {log:q} --timeout {CELL_TIMEOUT} --end-with-parent"

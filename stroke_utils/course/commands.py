"""The command line, ``stroke-regions``: one subcommand a task.

Each subcommand imports what it needs when it runs, so that ``--help`` and ``check`` start fast and load no TensorFlow.
A subcommand returns 0 where all is fine and 1 where something is wrong. A person's mistake ends in one message and 2.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from stroke_utils.base import files, progress
from stroke_utils.base.errors import UserError

NAME = "stroke-regions"
EPILOG = "Exit status: 0 all is fine, 1 something is wrong (the text above says what), 2 it could not be done as asked."


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        call: does the task with the parsed arguments and returns the exit status.
        purpose: one line for the list of subcommands.
        examples: lines of a shell.
        arguments: declares the arguments on a parser; called only for the subcommand that is asked for.
        passes_on: whether arguments it does not know go to Snakemake; they are then in ``further``.
    """

    call: Callable[[argparse.Namespace], int]
    purpose: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    passes_on: bool = False


def here(*words: object) -> list[str]:
    """Return the call that runs the command line with ``words`` in the environment and package that run this.

    Whoever starts it from a program uses this and not the script: an environment's ``bin`` need not be on the path, and
    the script may belong to another copy of the package.
    """
    code = "import sys; from stroke_utils.course.commands import main; sys.exit(main())"
    return [sys.executable, "-c", code, *map(str, words)]


def check_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``check``."""
    parser.add_argument("folder", metavar="DIR", help="the folder that holds the class and session folders")


def check(given: argparse.Namespace) -> int:
    """Say what a data folder holds, what to mend first, and for each task whether training makes sense.

    The exit status is 1 only where no task is left.
    """
    from stroke_utils.data.cohort import read_cohort

    cohort = read_cohort(given.folder)
    print(cohort.report())
    return 1 if cohort.obstacles() else 0


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``audit``."""
    check_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of folds, forests and intervals; default: 0")


def audit(given: argparse.Namespace) -> int:
    """Look for shortcuts: can the label be told from what no reader of a slice would look at?

    The exit status is 1 where a probe raises an alarm. Notebook 08 explains the probes.
    """
    from stroke_utils.data.cohort import read_cohort
    from stroke_utils.evaluate import probes

    table = probes.audit(read_cohort(given.folder), given.seed)
    print(table.drop(columns="sees").round(2).to_string(na_rep="–"))
    found = probes.alarms(table)
    print(f"\nAlarms: {', '.join(found) or 'none'}")
    return 1 if found else 0


def phantom_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``phantom``."""
    from stroke_utils.phantom import spec, writer

    room = ", ".join(f"{size} {megabytes} MB" for size, megabytes in spec.MEGABYTES.items())
    parser.add_argument("--out", metavar="DIR", help="new folder to write; default: the project's, under data/")
    parser.add_argument("--size", choices=list(spec.SIZES), default="quick", help=f"{room}; default: quick")
    parser.add_argument("--seed", type=int, default=0, help="of the heads and lesions; default: 0")
    parser.add_argument("--layout", choices=list(writer.LAYOUTS), default="portal", help="form of the folders")
    parser.add_argument("--workers", type=int, metavar="N", help="processes; default: one per core")
    parser.add_argument("--shortcut", action="store_true", help="plant a shortcut: the head-rest tells stroke")
    parser.add_argument("--quiet", action="store_true", help="no progress line")


def phantom(given: argparse.Namespace) -> int:
    """Make a phantom cohort and say where it lies and how much room it takes."""
    from stroke_utils.phantom import writer

    start = time.monotonic()
    out = given.out or writer.phantom_folder(given.size, given.seed, given.layout, given.shortcut)
    more = {"layout": given.layout, "shortcut": given.shortcut, "workers": given.workers}
    out = writer.make_phantom(out, given.size, given.seed, given.quiet, **more)
    taken = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    print(f"{out}: {len(taken)} files, {sum(taken) / 1e6:.0f} MB, {time.monotonic() - start:.0f} s")
    return 0


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what says which run of the course is meant."""
    parser.add_argument("--profile", default="quick", help="folder of params/; default: quick")
    parser.add_argument("--data", default="", metavar="DIR", help="data folder; default: STROKE_DATA, else the phantom")
    parser.add_argument("--seeds", default="", metavar="0,1,2", help="default: the parameters files' seed")
    parser.add_argument("--models", default="", metavar="A,B", help="default: the parameters files' models")
    start = "what networks start from: none, imagenet, phantom, a file or a folder; default: the parameters files'"
    parser.add_argument("--weights", default="", metavar="START", help=start)
    split = "models: a job for each network and seed; default: one for each seed"
    parser.add_argument("--split", default="", metavar="models", help=split)
    beyond = "the notebooks that go beyond the paper, and of the others what these need"
    parser.add_argument("--beyond", action="store_true", help=beyond)
    study = "a study and its table: one_model (notebook 10) or recipes (notebook 05); default of its seeds: 0,1,2"
    parser.add_argument("--study", default="", metavar="NAME", help=study)


def asked(given: argparse.Namespace) -> dict[str, object]:
    """Return what :func:`stroke_utils.course.plan.make_plan` takes."""
    names = ("profile", "data", "seeds", "models", "weights", "split", "beyond", "study")
    return {name: getattr(given, name) for name in names}


def reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``reproduce``."""
    plan_arguments(parser)
    parser.add_argument("--cores", default="", metavar="N", help="how many cores to use; default: all")
    parser.add_argument("--executor", default="", metavar="slurm", help="where jobs run: local (default) or slurm")
    parser.add_argument("--jobs", default="", metavar="N", help="jobs on the cluster at a time; default: 30")


def reproduce(given: argparse.Namespace) -> int:
    """Run the course; what is finished and up to date is not run again."""
    from stroke_utils.course.reproduce import run_all

    done = run_all(asked(given), given.cores, given.further, given.executor or "local", given.jobs)
    return 0 if done else 1


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``run``."""
    parser.add_argument("notebook", metavar="NOTEBOOK.ipynb")
    parser.add_argument("--parameters", metavar="FILE.yaml", help="flat file of parameters")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="one parameter")
    parser.add_argument("--output", required=True, metavar="OUT.ipynb", help="executed copy, written on success")
    parser.add_argument("--log", metavar="LOG.ipynb", help="executed copy while it runs; default: logs/ beside OUT")
    parser.add_argument("--timeout", type=int, metavar="SECONDS", help="per cell; default: none")
    parser.add_argument("--made-by", metavar="JSON", type=json.loads, help="identity of the copy, kept in its metadata")
    parser.add_argument("--course", metavar="FILE", help="notebooks of the whole run, for the progress line")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when the calling program is gone")


def _terminate(*_: object) -> None:
    sys.exit(143)


def run(given: argparse.Namespace) -> int:
    """Run one notebook without a browser."""
    signal.signal(signal.SIGTERM, _terminate)
    from stroke_utils.course import headless
    from stroke_utils.results.parameters import read_parameters

    if given.end_with_parent:
        headless.end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    values = (read_parameters(given.parameters) if given.parameters else {}) | dict(given.p)
    done = headless.run(given.notebook, values, given.output, given.log, given.timeout, given.made_by, given.course)
    return 0 if done else 1


def refresh_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``refresh``."""
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 03_phase1_detection; default: all")


def refresh(given: argparse.Namespace) -> int:
    """Execute the committed notebooks in place and renew figures/ and the README's table of scores."""
    from stroke_utils.course.refresh import renew

    return 0 if renew(given.notebooks) else 1


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``verify``."""
    parser.add_argument("--profile", default="quick", help="whose bands and records; default: quick")


def verify(given: argparse.Namespace) -> int:
    """Compare the records of a run on the phantom with the expected scores; nothing is run."""
    from stroke_utils.course.verify import verified

    table = verified(given.profile)
    print(table.to_string(index=False))
    wrong = int((table["ok"] != "yes").sum())
    print(f"\n{len(table) - wrong} of {len(table)} are as expected.")
    return 1 if wrong else 0


def book(given: argparse.Namespace) -> int:
    """Bind the executed notebooks of a run of the course into one HTML file."""
    from stroke_utils.course import book, plan

    print(book.summary(*book.bind(plan.make_plan(**asked(given)))))
    return 0


def pretrain_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``pretrain``."""
    parser.add_argument(
        "backbones", nargs="*", metavar="BACKBONE", help="such as mobilenetv2; default: all that need it"
    )
    parser.add_argument("--out", metavar="DIR", help="gets a weights file and a card for each; default: derived data")
    parser.add_argument("--heads", type=int, default=14_000, metavar="N", help="heads to draw; default: 14000")
    parser.add_argument("--steps", type=int, default=3500, metavar="N", help="batches to learn from; default: 3500")
    parser.add_argument("--size", type=int, default=96, metavar="PIXELS", help="side of the pictures; default: 96")


def pretrain(given: argparse.Namespace) -> int:
    """Teach backbones on drawn heads and write the files that ``weights: phantom`` and a folder of weights are made of.

    On two cores this takes hours: drawing 14000 heads about 25 minutes, and each network one to two hours.
    """
    from stroke_utils.learn.pretrain import make_starts

    for path in make_starts(given.backbones, given.out, given.heads, given.steps, given.size):
        print(f"Wrote {path}, with its card beside it.", flush=True)
    return 0


def nnunet_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``nnunet export`` and ``nnunet score``."""
    kinds, plain = parser.add_subparsers(dest="action", required=True, metavar="export|score"), parser.formatter_class

    def action(name: str, purpose: str) -> argparse.ArgumentParser:
        examples = [f"  {NAME} {each}" for each in COMMANDS["nnunet"].examples if each.startswith(f"nnunet {name} ")]
        about = "\n".join([f"{purpose[0].upper()}{purpose[1:]}.", "", "examples:", *examples])
        about = {"help": purpose, "description": about, "epilog": EPILOG}
        return kinds.add_parser(name, **about, formatter_class=plain, allow_abbrev=False)

    out = action("export", "write a data set for nnU-Net v2")
    out.add_argument("--out", required=True, metavar="DIR", help="gets the folder of the data set: nnUNet_raw")
    out.add_argument("--run", default="", metavar="RUN", help="finished run of notebook 05, whose split is taken")
    out.add_argument("--data", default="", metavar="DIR", help="data folder; default: STROKE_DATA, else the phantom")
    profile = "without --run: whose split notebook 05 would make; default: quick"
    out.add_argument("--profile", default="", metavar="NAME", help=profile)
    out.add_argument("--seed", type=int, help="without --run: of the split; default: the profile's")
    out.add_argument("--id", type=int, default=501, metavar="N", help="number of the data set; default: 501")
    out.add_argument("--name", default="Stroke", help="name of the data set; default: Stroke")
    back = action("score", "score the masks that nnU-Net predicted")
    back.add_argument("predicted", metavar="PREDICTED", help="nnU-Net's folder of <case>.png")
    back.add_argument("--dataset", required=True, metavar="DIR", help="the folder that export wrote")
    parts = ("session2", "validation")
    back.add_argument("--part", choices=parts, default=parts[0], help="what was predicted; default: session2")
    run = "run of notebook 05 whose U-Nets are set beside; default: the one exported with"
    back.add_argument("--run", default="", metavar="RUN", help=run)
    back.add_argument("--out", metavar="DIR", help="gets predictions.csv, scores.csv and problems.csv")


def nnunet(given: argparse.Namespace) -> int:
    """Write slices, masks and split of notebook 05 for nnU-Net v2, or score what nnU-Net predicted.

    nnU-Net itself is neither needed nor run. Score ends in 1 where a prediction could not be scored.
    """
    return {"export": _nnunet_export, "score": _nnunet_score}[given.action](given)


def _nnunet_export(given: argparse.Namespace) -> int:
    from stroke_utils.data.opening import open_cohort
    from stroke_utils.results import nnunet

    if given.run and (given.profile or given.seed is not None):
        raise UserError("A run has a profile and a seed of its own: leave --profile and --seed out, or --run.")
    run, record = nnunet.find_run(given.run) if given.run else (None, None)
    settings = nnunet.settings_of(record, given.profile or "quick", given.seed)
    cohort = open_cohort(given.data, settings.phantom_size)
    print(nnunet.export(cohort, given.out, settings, run, given.id, given.name).report())
    return 0


def _nnunet_score(given: argparse.Namespace) -> int:
    from stroke_utils.results import nnunet

    run = nnunet.run_of(given.dataset, given.run)
    scored = nnunet.score(given.predicted, given.dataset, given.part, run)
    if given.out:
        scored.keep(given.out)
    print(scored.report())
    return 1 if len(scored.problems) else 0


def read_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``read``."""
    parser.add_argument("path", metavar="FILE|FOLDER", help="a PNG, a DICOM file, or a folder of such files")
    runs = "a run, a network's folder or best.weights.h5, or a profile's folder; give it once for each task"
    parser.add_argument("--weights", action="append", default=[], metavar="RUN", help=runs)
    parser.add_argument("--out", metavar="DIR", help="gets the answers; default: results/read/NAME")
    parser.add_argument("--profile", default="quick", help="whose last finished runs answer; default: quick")
    data = "what the networks learned from, to know what is usual; default: the phantom or STROKE_DATA, by the networks"
    parser.add_argument("--data", default="", metavar="DIR", help=data)


def read(given: argparse.Namespace) -> int:
    """Read a scan: is there a stroke, of which type, where and how large? A page, JSON, masks and DICOM-SEG tell.

    What is no head CT slice is refused, with the reason. A reading that was stopped goes on where it was. Not a medical
    device. The exit status is 1 where no slice could be answered.
    """
    from pathlib import Path

    from stroke_utils.base import paths
    from stroke_utils.reading import report, scan

    out = Path(given.out or paths.results_root() / "read" / Path(given.path).resolve().name).expanduser()
    found = scan.find(given.path, out)
    scan.claim(found, out)
    from stroke_utils.reading import networks  # after the look for slices: this loads TensorFlow

    start = time.monotonic()
    loaded = networks.Networks(networks.find(given.weights, given.profile), given.data)
    print(f"{loaded.remark}. Networks loaded in {time.monotonic() - start:.0f} s; {len(found.jobs)} files to read.")
    try:
        told = scan.read(found, loaded, out)
    except KeyboardInterrupt:
        print(f"\nStopped. The same command goes on from here; answers so far lie in {out}.", file=sys.stderr)
        return 130
    page, pdf = report.write(found, told, out)
    print(scan.summary(told))
    print(f"{page}\n{pdf}\n{out / 'answer.json'}")
    return 0 if told["answered"] else 1


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing."""


def clean_derived(given: argparse.Namespace) -> int:
    """Remove derived data that today's code would not make, and name what else is outdated."""
    from stroke_utils.course import derived

    print("\n".join(derived.clean()))
    return 0


COMMANDS = {
    "check": Command(
        check,
        "say what a data folder holds and whether it can be trained on",
        ("check /path/to/data",),
        check_arguments,
    ),
    "audit": Command(
        audit,
        "look for shortcuts in a data folder: what tells the label and should not",
        ("audit /path/to/data",),
        audit_arguments,
    ),
    "phantom": Command(
        phantom,
        "draw a phantom cohort",
        ("phantom", "phantom --out /tmp/heads --size tiny --seed 3 --layout ftp"),
        phantom_arguments,
    ),
    "reproduce": Command(
        reproduce,
        "run the whole course; further options go to Snakemake",
        (
            "reproduce",
            "reproduce --profile paper --data /path/to/data --seeds 0,1,2",
            "reproduce --beyond",
            "reproduce --study one_model",
            "reproduce --study recipes --seeds 0",
            "reproduce --executor slurm --jobs 30 --split models --seeds 0,1,2,3,4",
            "reproduce --dry-run",
        ),
        reproduce_arguments,
        passes_on=True,
    ),
    "run": Command(
        run,
        "run one notebook without a browser",
        (
            "run notebooks/03_phase1_detection.ipynb --output out.ipynb -p seed 1 -p models cnn,mobilenetv2",
            "run notebooks/05_segmentation.ipynb --output out.ipynb --parameters params/paper/05_segmentation.yaml",
        ),
        run_arguments,
    ),
    "refresh": Command(
        refresh,
        "execute the committed notebooks in place and renew what is made from them",
        ("refresh", "refresh 03_phase1_detection 06_results_figures"),
        refresh_arguments,
    ),
    "verify": Command(
        verify,
        "compare the scores of a reproduced course with the expected ones",
        ("verify", "verify --profile smoke"),
        verify_arguments,
    ),
    "book": Command(
        book,
        "bind the executed notebooks into one HTML file",
        ("book", "book --profile paper --data /path/to/data --seeds 0,1,2"),
        plan_arguments,
    ),
    "read": Command(
        read,
        "read a scan: a page, JSON, masks and DICOM-SEG",
        (
            "read slice.png",
            "read /path/to/series --out answers",
            "read --weights results/quick/05_segmentation/RUN /path/to/series",
        ),
        read_arguments,
    ),
    "pretrain": Command(
        pretrain,
        "teach backbones on drawn heads, as a start without ImageNet",
        ("pretrain mobilenetv2 --out /tmp/starts", "pretrain --heads 2000 --steps 500"),
        pretrain_arguments,
    ),
    "clean-derived": Command(
        clean_derived,
        "remove derived data that is outdated",
        ("clean-derived",),
        no_arguments,
    ),
    "nnunet": Command(
        nnunet,
        "write a data set for nnU-Net v2, or score nnU-Net's predicted masks",
        (
            "nnunet export --out nnUNet_raw",
            "nnunet export --run results/quick/05_segmentation/RUN --out nnUNet_raw",
            "nnunet export --data /path/to/data --profile paper --out nnUNet_raw --id 502 --name INME",
            "nnunet score PREDICTED --dataset nnUNet_raw/Dataset501_Stroke",
            "nnunet score fold_0/validation --dataset nnUNet_raw/Dataset501_Stroke --part validation --out scores",
        ),
        nnunet_arguments,
    ),
}


def parser_for(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser; of the subcommands only the one that ``words`` begin with knows its arguments."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="A notebook course and reproduction kit for stroke CT.",
        epilog=f"{EPILOG}\nExamples of a command: {NAME} COMMAND --help",
        formatter_class=plain,
    )
    kinds = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        examples = "\n".join(f"  {NAME} {example}" for example in command.examples)
        about = f"{command.call.__doc__}\n\nexamples:\n{examples}"
        sub = kinds.add_parser(
            name, help=command.purpose, description=about, epilog=EPILOG, formatter_class=plain, allow_abbrev=False
        )
        if words[:1] == [name]:
            command.arguments(sub)
    return parser


def main(words: list[str] | None = None) -> int:
    """Do what ``words`` ask for, by default those of the command line, and return an exit status."""
    words = sys.argv[1:] if words is None else list(words)
    parser = parser_for(words)
    given, further = parser.parse_known_args(words)
    command = COMMANDS[given.command]
    if further and not command.passes_on:
        parser.error(f"{given.command} does not know {' '.join(further)}; see {NAME} {given.command} --help")
    given.further = further
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names and signs that the terminal has no letters for
    try:
        return command.call(given)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.StatusLine().show("Stopped.", final=True)
        return 130
    except BrokenPipeError:  # whoever reads the output has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 141
    except OSError as error:  # of what is written without this package's own help, such as a kernel's files
        said = files.explanation(error)
        if not said:
            raise
        print(said, file=sys.stderr)
        return 2

"""How the benchmarks measure: side by side in one run, turn and turn about, each framework in a process of its own.

Machines are noisy, so no single time is a result: a ratio is taken in each round, and its median and spread are told.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        item: what is measured; the rows of an item are one panel of the figure.
        case: which of its cases.
        work: how much work it is, as a number, in ``of`` (slices, pixels of a side, …).
        unit: of ``ours`` and ``theirs``: ``s``, ``ms`` or ``MiB``.
        ours: median over the rounds.
        peer: what it is measured against; empty where there is none.
        theirs: the peer's median.
        ratio: median over the rounds of ours to the peer's; ``low`` and ``high`` are the least and the greatest.
        bar: what the ratio should not exceed.
    """

    item: str
    case: str
    work: float
    of: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    bar: float | None = None

    @property
    def verdict(self) -> str:
        """Say whether the bar is held; empty where there is none."""
        return "" if self.bar is None or self.ratio is None else "held" if self.ratio <= self.bar else "MISSED"


def in_turn(contenders: dict[str, Callable[[], float]], rounds: int = ROUNDS, warm: int = 1) -> dict[str, list[float]]:
    """Run every contender once a round, in turn, and return each one's numbers; the first ``warm`` rounds warm up."""
    found = {name: [] for name in contenders}
    for turn in range(rounds + warm):
        for name, work in contenders.items():
            number = work()
            if turn >= warm:
                found[name].append(number)
    return found


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return ``work`` as a function that gives the seconds it took."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def compared(item: str, case: str, work: float, of: str, unit: str, found: dict, bar: float | None = None) -> list[Row]:
    """Return the rows of the first contender of :func:`in_turn` against each of the others.

    The bar is that of the first pair; without a peer there is one row of ours alone.
    """
    (_, ours), *peers = found.items()
    middle, rows = statistics.median(ours), []
    for k, (name, theirs) in enumerate(peers):
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        spread = statistics.median(ratios), min(ratios), max(ratios)
        rows.append(
            Row(item, case, work, of, unit, middle, name, statistics.median(theirs), *spread, None if k else bar)
        )
    return rows or [Row(item, case, work, of, unit, middle)]


class Worker:
    """A contender in a process of its own, which works only while it is asked to.

    So no framework's waiting threads take time from another, and each has its own settings of threads and memory.
    """

    def __init__(self, kind: str, **options: object):
        call = [sys.executable, "-m", "tests.bench.contenders", kind, json.dumps(options)]
        self.kind, self.said = kind, tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.said}
        self.process = subprocess.Popen(call, text=True, cwd=ROOT, **pipes)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.said.close()

    def ask(self, task: str = "work") -> float:
        """Let it do a task once and return the number it gives, most often seconds."""
        try:
            print(task, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.said.seek(0)
            raise ChildProcessError(f"{self.kind} ended: {self.said.read()[-2000:]}")
        return float(answer)


def side_by_side(workers: dict[str, tuple[str, dict]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Run workers in turn, by name of the contender: its kind and options.

    A peer that does not start is left out and said so; ours, the first, must start.
    """
    at_work: dict[str, Worker] = {}
    try:
        for name, (kind, options) in workers.items():
            at_work[name] = Worker(kind, **options)
            try:
                at_work[name].ask()  # it builds and warms up alone
            except ChildProcessError as error:
                if len(at_work) == 1:
                    raise
                at_work.pop(name).__exit__()
                print(f"  {name} is left out: {str(error).strip().splitlines()[-1][:200]}", file=sys.stderr)
        return in_turn({name: worker.ask for name, worker in at_work.items()}, rounds)
    finally:
        for worker in at_work.values():
            worker.__exit__()


def alone(module: str, *words: object, **environment: str) -> str:
    """Run ``python -m module words`` in a process of its own and return what it prints."""
    call = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(call, env=os.environ | environment, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise ChildProcessError(f"{' '.join(call[2:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def as_dict(row: Row) -> dict:
    """Return a row for the CSV file, with its verdict."""
    return asdict(row) | {"verdict": row.verdict}

"""Stubs of Slurm's commands that run jobs on this machine: ``install(folder)`` writes them into ``folder/bin``.

They say and do what the executor plugin asks of ``sbatch``, ``squeue``, ``sacct``, ``scancel``, ``srun``, ``sinfo``,
``scontrol`` and ``sacctmgr``, and no more. What each job asked for is kept in ``folder/jobs/<id>.json``. As the file
``folder/kill.json`` says, a job is killed with all its processes, as a node that fails does.
"""

import argparse
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("sbatch", "squeue", "sacct", "scancel", "srun", "sinfo", "scontrol", "sacctmgr")
NODE = "stub1"


def install(folder: Path, slots: int = 2) -> Path:
    """Write the commands and return the folder that belongs on ``PATH``; ``slots`` jobs run at a time."""
    bin_folder = folder / "bin"
    for path in (bin_folder, folder / "jobs"):
        path.mkdir(parents=True, exist_ok=True)
    shutil.copy(__file__, folder / "stub.py")
    (folder / "slots").write_text(str(slots))
    for name in NAMES:
        # -S and -I: they start a hundred times, and must not see the environment of the job.
        script = f'#!/bin/sh\nexec "{sys.executable}" -S -I "{folder}/stub.py" {name} "$@"\n'
        (bin_folder / name).write_text(script)
        (bin_folder / name).chmod(0o755)
    return bin_folder


def kill_once(folder: Path, comment: str, when: Path, state: str) -> None:
    """Have the first job with ``comment`` in its comment killed once ``when`` is there, and say it is in ``state``."""
    (folder / "kill.json").write_text(json.dumps({"comment": comment, "when": str(when), "state": state}))


def jobs(folder: Path) -> list[dict]:
    """What was submitted, in order: the options of sbatch by name, the id, the state, and CPU seconds once it ended."""
    found = sorted((folder / "jobs").glob("*.json"), key=lambda path: int(path.stem))
    return [
        json.loads(path.read_text()) | {"id": path.stem, "state": _state(path), "cpu_s": _cpu_s(path)} for path in found
    ]


def _cpu_s(path: Path) -> float | None:
    return float(path.with_suffix(".cpu").read_text()) if path.with_suffix(".cpu").is_file() else None


def _state(path: Path) -> str:
    file = path.with_suffix(".state")
    return file.read_text() if file.is_file() else "PENDING"


def _say(path: Path, state: str) -> None:
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(state)
    scratch.replace(path.with_suffix(".state"))


def sbatch(folder: Path, words: list[str]) -> None:
    """Keep what is asked for and the script, start it in the background, print the id."""
    parser = argparse.ArgumentParser(prog="sbatch", allow_abbrev=False)
    for name in (
        "job-name",
        "output",
        "export",
        "comment",
        "mem",
        "ntasks",
        "cpus-per-task",
        "gpus",
        "exclude",
        "nodes",
    ):
        parser.add_argument(f"--{name}")
    for short, name in (("-A", "account"), ("-p", "partition"), ("-t", "minutes"), ("-D", "folder")):
        parser.add_argument(short, dest=name)
    for name in ("parsable", "no-requeue", "requeue"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("script")
    given = parser.parse_args(words)  # an option that is not known here ends in an error
    asked = {name: value for name, value in vars(given).items() if value}
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = len(list((folder / "jobs").glob("*.json"))) + 1
        path = folder / "jobs" / f"{number}.json"
        path.write_text(json.dumps(asked))
    path.with_suffix(".sh").write_text(sys.stdin.read())
    subprocess.Popen(
        [sys.executable, "-S", "-I", __file__, "node", str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    print(number)


def node(folder: Path, words: list[str]) -> None:
    """Run one job as a node does: wait for a slot, run its script, say how it ended; or fail."""
    path = folder / "jobs" / f"{words[0]}.json"
    asked = json.loads(path.read_text())
    slot = _slot(folder)
    if _state(path) == "CANCELLED":
        return
    _say(path, "RUNNING")
    order = json.loads((folder / "kill.json").read_text()) if (folder / "kill.json").is_file() else {}
    fails = bool(order) and order["comment"] in asked["comment"]
    if fails:
        (folder / "kill.json").unlink()  # once
    environment = os.environ | {"SLURM_JOB_ID": words[0]} | ({"SLURM_GPUS": asked["gpus"]} if "gpus" in asked else {})
    log = Path(asked["output"].replace("%j", words[0]))
    with open(path.with_suffix(".sh")) as script, open(log, "w") as out:
        job = subprocess.Popen(
            ["/bin/sh", "-s"], stdin=script, stdout=out, stderr=out, cwd=asked["folder"], env=environment,
            start_new_session=True,
        )  # fmt: skip
    path.with_suffix(".pid").write_text(str(job.pid))
    while fails and job.poll() is None and not Path(order["when"]).exists():
        time.sleep(0.1)
    if fails and job.poll() is None:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        _say(path, order["state"])
    else:
        state = "COMPLETED" if job.wait() == 0 else "FAILED"
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        path.with_suffix(".cpu").write_text(str(used.ru_utime + used.ru_stime))
        if _state(path) != "CANCELLED":
            _say(path, state)
    slot.close()


def _slot(folder: Path):
    while True:
        for number in range(int((folder / "slots").read_text())):
            stream = open(folder / f"slot{number}", "w")  # noqa: SIM115 - held until the job ends
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return stream
            except BlockingIOError:
                stream.close()
        time.sleep(0.5)


def sacct(folder: Path, words: list[str]) -> None:
    """Print the states of a run's jobs, the node of one, or, as for the account or the reason, nothing."""
    if "--name" in words:
        squeue(folder, words)
    elif any("nodelist" in word for word in words):
        print(NODE)


def squeue(folder: Path, words: list[str]) -> None:
    """Print id and state of a run's jobs, once one has changed: the plugin asks ever more seldom, and tests wait."""
    name, told = words[words.index("--name") + 1], folder / "told"
    before = told.read_text() if told.is_file() else ""
    for _ in range(200):
        now = "".join(f"{job['id']}|{job['state']}\n" for job in jobs(folder) if job["job_name"] == name)
        if now != before:
            break
        time.sleep(0.1)
    told.write_text(now)
    print(now, end="")


def scancel(folder: Path, words: list[str]) -> None:
    """End jobs."""
    for number in (word for word in words if word.isdigit()):
        path = folder / "jobs" / f"{number}.json"
        if _state(path) in ("PENDING", "RUNNING"):
            _say(path, "CANCELLED")
            if path.with_suffix(".pid").is_file():
                os.killpg(int(path.with_suffix(".pid").read_text()), signal.SIGTERM)


def srun(folder: Path, words: list[str]) -> None:
    """Become the command after the options."""
    first = next(i for i, word in enumerate(words) if not word.startswith("-"))
    os.execvp(words[first], words[first:])


def sinfo(folder: Path, words: list[str]) -> None:
    """Print the partitions, the default one with its star."""
    print("PARTITION\nmain*\ngpu")


def scontrol(folder: Path, words: list[str]) -> None:
    """Print what the plugin looks for in the configuration."""
    print("MinJobAge = 300 sec\nMaxArraySize = 1001")


def sacctmgr(folder: Path, words: list[str]) -> None:
    """Print the accounts of a person."""
    print("lab")


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(__file__).resolve().parent, sys.argv[2:])

"""What trainings of a run keep until the run is finished, so that one that was stopped can go on.

Beside the weights of each training: its state after an epoch, the one before that, and, once it is finished, a mark.
"""

from pathlib import Path

STATE, OLDER, MARK = "state.npz", "state.older.npz", "finished.json"

WENT_ON, WAS_DONE = "went on from epoch", "was finished before its run was stopped"
"""How a training says that it goes on, or has nothing left to do; the runner of notebooks passes these lines on."""


def forget(folder: str | Path) -> None:
    """Remove all that trainings below a folder keep, so that the next ones begin anew."""
    forget_states(folder)
    for path in Path(folder).rglob(MARK):
        path.unlink(missing_ok=True)


def forget_states(folder: str | Path) -> None:
    """Remove the states of trainings below a folder, and what a kill has left of one that was being written."""
    for name in (STATE, OLDER, f".{STATE.partition('.')[0]}.*", ".best.*.weights.h5"):
        for path in Path(folder).rglob(name):
            path.unlink(missing_ok=True)

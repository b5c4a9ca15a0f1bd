"""What a number was computed with: versions, hardware, commit, memory."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from stroke_utils.base import paths, progress
from stroke_utils.base.errors import UserError

PACKAGES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "scikit-image", "statsmodels", "pillow", "imagecodecs", "pydicom"),
    *("tensorflow", "keras", "segmentation-models", "papermill"),
)
"""Packages whose versions a record keeps: those that can change a number."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware() -> dict[str, object]:
    """Return processor, cores this process may use and memory; TensorFlow's threads and GPUs where it is loaded."""
    info = Path("/proc/cpuinfo")  # macOS has none
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    config = sys.modules["tensorflow"].config if "tensorflow" in sys.modules else None
    strategy = config and sys.modules["tensorflow"].distribute.get_strategy()
    details = config and map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": model or platform.processor() or "unknown",
        "cores": progress.cores(),
        "threads": config
        and {
            "within": config.threading.get_intra_op_parallelism_threads(),
            "beside": config.threading.get_inter_op_parallelism_threads(),
        },
        "devices": strategy and strategy.num_replicas_in_sync,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": config and [gpu.get("device_name", "unknown") for gpu in details],
    }


def git_state() -> dict[str, object]:
    """Return the commit of the project's folder and whether its code differs from it; both None outside a checkout.

    Code is the package and the parameters files. Notebooks do not count: running one changes its file, and what its
    cells do is in the run's name.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", paths.home(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--", "stroke_utils", "params")),
        }
    except (OSError, subprocess.SubprocessError, UserError):
        return {"commit": None, "dirty": None}


def short_commit(record: dict) -> str:
    """Return the short commit of a run record, with a plus where code differed from it."""
    return (record["git"]["commit"] or "unknown")[:7] + ("+" if record["git"]["dirty"] else "")


def peak_memory_mib() -> float:
    """Return the most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

"""Command line: ``python -m stroke_utils.phantom --out DIR --size tiny|quick|paper --seed N --layout NAME``."""

import argparse
import sys
import time

from stroke_utils.base.errors import UserError

from .spec import MEGABYTES, SIZES
from .writer import LAYOUTS, make_phantom, phantom_folder


def main(arguments: list[str] | None = None) -> int:
    """Make a phantom cohort and say where it lies and how much room it takes; return the exit status."""
    room = ", ".join(f"{size} {megabytes} MB" for size, megabytes in MEGABYTES.items())
    parser = argparse.ArgumentParser(
        prog="python -m stroke_utils.phantom", description=f"Make a phantom cohort ({room})."
    )
    parser.add_argument("--out", help="new folder to write; default: data/phantom-<size>-seed<seed>-v<version>…")
    parser.add_argument("--size", choices=list(SIZES), default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layout", choices=list(LAYOUTS), default="portal", help="form of the folders")
    parser.add_argument("--workers", type=int, help="processes; default: one per core")
    parser.add_argument("--shortcut", action="store_true", help="plant a shortcut: the head-rest tells stroke")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        out = make_phantom(
            options.out or phantom_folder(options.size, options.seed, options.layout, options.shortcut),
            options.size,
            options.seed,
            options.quiet,
            layout=options.layout,
            shortcut=options.shortcut,
            workers=options.workers,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    taken = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    spent = time.monotonic() - start
    print(f"{out}: {len(taken)} files, {sum(taken) / 1e6:.0f} MB, {spent:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Tells many stories, and catches all mutants: `python -m tests.simulation [--seeds N] [--seed N]`."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from .code import Code
from .definition import definition as synthesize
from .mutants import MUTANTS, Mutant
from .story import Story, ViolationError

_CHUNK = 100
_MUTANT_SEEDS = 2_000


def main() -> int:
    """Run as a program; the status says whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50_000, help="how many stories to tell")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="tell this one alone, in full")
    arguments = parser.parse_args()
    definition = synthesize()
    if arguments.seed is not None:
        story = Story(arguments.seed, definition, Code())
        try:
            story.tell()
        finally:
            sys.stdout.write("\n".join([str(story.plan), *story.world.story]) + "\n")
        return 0
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        began = time.monotonic()
        last = arguments.first + arguments.seeds
        starts = range(arguments.first, last, _CHUNK)
        tellers = [processes.submit(tell, definition, s, min(s + _CHUNK, last)) for s in starts]
        violations = [violation for teller in tellers for violation in teller.result()]
        seconds = time.monotonic() - began
        sys.stdout.write(
            f"{arguments.seeds} seeds, {len(violations)} violations,"
            f" {arguments.seeds / seconds:.1f} seeds/s on {os.cpu_count()} cores\n"
        )
        for violation in violations[:3]:
            sys.stdout.write(violation + "\n")
        hunts = [(mutant, processes.submit(hunt, definition, mutant)) for mutant in MUTANTS]
        needed = {mutant.name: hunting.result() for mutant, hunting in hunts}
    for name, seeds in needed.items():
        sys.stdout.write(f"mutant {name}: " + (f"caught by seed {seeds}\n" if seeds >= 0 else "SURVIVES\n"))
    return 1 if violations or -1 in needed.values() else 0


def tell(definition: dict[str, Any], first: int, last: int) -> list[str]:
    """Tell some stories, and return what went wrong."""
    code = Code()
    violations = []
    for seed in range(first, last):
        try:
            Story(seed, definition, code).tell()
        except ViolationError as violation:
            violations.append(str(violation))
    return violations


def hunt(definition: dict[str, Any], mutant: Mutant) -> int:
    """Find the seed that catches a mutant; -1 where none does."""
    code = Code({mutant.module: (mutant.before, mutant.after)})
    for seed in range(_MUTANT_SEEDS):
        try:
            Story(seed, definition, code).tell()
        except ViolationError:
            return seed
    return -1


if __name__ == "__main__":
    sys.exit(main())

"""Tells many stories, and catches all mutants: `python -m tests.simulation [--seeds N] [--seed N]`."""

import argparse
import os
import sys
import time

from .code import Code
from .definition import definition as synthesize
from .story import NO_WAY_BACK, Story
from .telling import hunt_all, tell_all


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
    began = time.monotonic()
    violations = tell_all(definition, arguments.first, arguments.first + arguments.seeds)
    seconds = time.monotonic() - began
    violations += tell_all(definition, 0, max(1, arguments.seeds // 50), NO_WAY_BACK)
    sys.stdout.write(
        f"{arguments.seeds} seeds, {len(violations)} violations,"
        f" {arguments.seeds / seconds:.1f} seeds/s on {os.cpu_count()} cores\n"
    )
    for violation in violations:
        sys.stdout.write(violation.splitlines()[0] + "\n")
    for violation in violations[:3]:
        sys.stdout.write(violation + "\n")
    sys.stdout.flush()
    needed = hunt_all(definition)
    for name, seeds in needed.items():
        sys.stdout.write(f"mutant {name}: " + (f"caught by seed {seeds}\n" if seeds >= 0 else "SURVIVES\n"))
    return 1 if violations or -1 in needed.values() else 0


if __name__ == "__main__":
    sys.exit(main())

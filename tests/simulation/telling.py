"""Tells stories on all cores: many seeds, or as many as it takes to catch a mutant."""

import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from .code import Code
from .mutants import MUTANTS, Mutant
from .story import Plan, Story, ViolationError

_CHUNK = 50
_MUTANT_SEEDS = 2_000


def tell_all(definition: dict[str, Any], first: int, last: int, plan: Plan | None = None) -> list[str]:
    """Tell the stories of all seeds from the first to before the last, and return what went wrong."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        tellers = [
            processes.submit(_tell, definition, start, min(start + _CHUNK, last), plan)
            for start in range(first, last, _CHUNK)
        ]
        return [violation for teller in tellers for violation in teller.result()]


def hunt_all(definition: dict[str, Any]) -> dict[str, int]:
    """Hunt all mutants, by their names; see `hunt`."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        hunts = {mutant.name: processes.submit(hunt, definition, mutant) for mutant in MUTANTS}
        return {name: hunting.result() for name, hunting in hunts.items()}


def _tell(definition: dict[str, Any], first: int, last: int, plan: Plan | None) -> list[str]:
    code = Code()
    violations = []
    for seed in range(first, last):
        try:
            Story(seed, definition, code, plan).tell()
        except ViolationError as violation:
            violations.append(str(violation))
    return violations


def hunt(definition: dict[str, Any], mutant: Mutant) -> int:
    """Find the seed that catches a mutant; -1 where none does."""
    code = Code({mutant.module: (mutant.before, mutant.after)})
    for seed in range(_MUTANT_SEEDS):
        try:
            Story(seed, definition, code, mutant.plan).tell()
        except ViolationError:
            return seed
    return -1

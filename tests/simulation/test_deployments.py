"""Stories of deployments in virtual time: nothing is lost, whatever happens, and the simulation can fail."""

import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from .__main__ import hunt, tell
from .code import Code
from .mutants import MUTANTS, Mutant
from .story import Plan, Story

SEEDS = 1_000
_CHUNK = 50


@pytest.mark.timeout(300)
def test_a_thousand_stories_end_well(definition: dict[str, Any]) -> None:
    starts = range(0, SEEDS, _CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        tellers = [processes.submit(tell, definition, start, start + _CHUNK) for start in starts]
        violations = [violation for teller in tellers for violation in teller.result()]
    assert not violations, violations[0]


def test_a_seed_tells_the_same_story_again(definition: dict[str, Any]) -> None:
    seed = next(seed for seed in range(100) if Plan.of(seed).chances.throttle)
    stories = []
    for _ in range(2):
        story = Story(seed, definition, Code())
        story.tell()
        stories.append(story.world.story)
    assert stories[0] == stories[1]


# All of them are caught by `make simulate`.
@pytest.mark.parametrize("mutant", MUTANTS[::6], ids=lambda mutant: mutant.name)
def test_a_fault_of_the_function_is_found(definition: dict[str, Any], mutant: Mutant) -> None:
    assert hunt(definition, mutant) >= 0

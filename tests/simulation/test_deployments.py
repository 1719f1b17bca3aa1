"""Stories of deployments in virtual time: nothing is lost, whatever happens, and the simulation can fail."""

from typing import Any

import pytest

from .code import Code
from .mutants import MUTANTS, Mutant
from .story import NO_WAY_BACK, Plan, Story
from .telling import hunt, tell_all

SEEDS = 1_000


def test_a_thousand_stories_end_well(definition: dict[str, Any]) -> None:
    violations = tell_all(definition, 0, SEEDS)
    assert not violations, violations[0]


def test_stories_in_which_nothing_leads_back_end_well(definition: dict[str, Any]) -> None:
    violations = tell_all(definition, 0, 50, NO_WAY_BACK)
    assert not violations, violations[0]


# Each has once shown a fault that the thousand do not.
@pytest.mark.parametrize("seed", [6320, 9425, 24942])
def test_a_story_that_once_ended_badly_ends_well(definition: dict[str, Any], seed: int) -> None:
    Story(seed, definition, Code()).tell()


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

"""Virtual time, in which actors take turns as a seed decides; and what goes wrong, as it decides too."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

BEGINNING = 1_790_000_000.0
"""When a story begins, in seconds since 1970."""


class StuckError(AssertionError):
    """Virtual time went on and on."""


class Actor:
    """Something that acts by itself: an execution, an invocation, a stack's change, a person."""

    def __init__(self, world: "World", name: str, work: Callable[[], Any]) -> None:
        self.name = name
        self.done = False
        self.dead = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiting: list[Actor] = []
        self._world = world
        self._work = work
        self.greenlet = greenlet(self._run)

    def _run(self) -> None:
        try:
            self.result = self._work()
        except GreenletExit:
            pass
        except Exception as error:
            self.error = error
        self._world.end(self)

    def kill(self) -> None:
        """Stop it where it is: nothing of it runs any more."""
        if not self.done:
            self.dead = True
            self._world.end(self)


@dataclass
class Chances:
    """How likely things go wrong, each between 0 and 1."""

    throttle: float = 0.0
    lost_answer: float = 0.0
    killed_invocation: float = 0.0
    lost_event: float = 0.0
    doubled_event: float = 0.0
    system_update: float = 0.0


@dataclass
class World:
    """The scheduler: whoever's time has come is next.

    Attributes
    ----------
    seed
        Decides on everything.
    now
        Seconds since 1970.
    story
        What happened, for the report of a seed that fails.
    after_step
        Checks what must always hold.
    """

    seed: int
    chances: Chances = field(default_factory=Chances)
    after_step: Callable[[], None] = lambda: None
    now: float = BEGINNING
    story: list[str] = field(default_factory=list)
    steps: int = 0
    #: After how many calls one fails for good; 0 for never.
    single_fault: int = 0
    #: Whether it has had its effect all the same.
    single_fault_takes_effect: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - no secret
        self._queue: list[tuple[float, int, Actor]] = []
        self._numbers = itertools.count()
        self._actors: dict[greenlet, Actor] = {}
        self._main = getcurrent()
        self.faults_end = float("inf")

    def start(self, name: str, work: Callable[[], Any], *, delay: float = 0.0) -> Actor:
        """Let somebody begin to act."""
        actor = Actor(self, name, work)
        actor.greenlet.parent = self._main
        self._actors[actor.greenlet] = actor
        self._push(actor, self.now + delay)
        return actor

    def sleep(self, seconds: float) -> None:
        """Let others act for a time; called by actors."""
        actor = self.current
        if actor.dead:
            raise GreenletExit
        self._push(actor, self.now + seconds)
        self._main.switch()
        if actor.dead:
            raise GreenletExit

    def wait_for(self, other: Actor) -> None:
        """Wait until somebody is done."""
        actor = self.current
        if not other.done:
            other.waiting.append(actor)
            self._main.switch()
        if actor.dead:
            raise GreenletExit

    def end(self, actor: Actor) -> None:
        """Note that somebody is done, and let those go on who waited for it."""
        actor.done = True
        for waiting in actor.waiting:
            self._push(waiting, self.now)
        actor.waiting.clear()

    @property
    def current(self) -> Actor:
        """Who acts now."""
        return self._actors[getcurrent()]

    def run(self, *, until: Callable[[], bool] | None = None, most_seconds: float = 10 * 24 * 3600) -> None:
        """Let everybody act until nobody has anything to do, or a condition holds."""
        end = self.now + most_seconds
        while self._queue and not (until is not None and until()):
            wake, _, actor = heapq.heappop(self._queue)
            if actor.dead:
                continue
            self.now = max(self.now, wake)
            if self.now > end:
                raise StuckError(f"still at work after {most_seconds / 3600:.0f} hours: {actor.name}")
            actor.greenlet.switch()
            self.steps += 1
            if actor.error is not None:
                raise actor.error

    def close(self) -> None:
        """Forget everybody."""
        for actor in self._actors.values():
            actor.dead = True
        self._queue.clear()
        for actor in self._actors.values():
            if not actor.greenlet.dead and actor.greenlet:
                actor.greenlet.throw(GreenletExit)
        self._actors.clear()

    def tell(self, text: str) -> None:
        """Add to the story."""
        self.story.append(f"{self.now - BEGINNING:9.1f} {text}")

    def happens(self, chance: float) -> bool:
        """Throw the dice, as long as things go wrong at all."""
        return chance > 0 and self.now < self.faults_end and self.random.random() < chance

    def is_the_one(self) -> bool:
        """Tell whether this call is the one that fails."""
        self.single_fault -= 1
        return self.single_fault == 0

    def _push(self, actor: Actor, wake: float) -> None:
        heapq.heappush(self._queue, (wake, next(self._numbers), actor))

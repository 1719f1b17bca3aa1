"""A story that a seed tells: deployments, faults, people, stack changes; and what must always hold."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from greenlet import GreenletExit

from .code import Code
from .interpreter import UNSUCCESSFUL, Execution, TaskError
from .services import Behaviour, DynamoDB, Runtime, SageMaker, error
from .world import BEGINNING, Actor, Chances, World

ENDPOINT, PREFIX, OWNER, TABLE = "digits", "digits", "arn:stack", "ledger"
MACHINE = "arn:aws:states:us-east-1:1:stateMachine:deployment"
EXECUTIONS = "arn:aws:states:us-east-1:1:execution:deployment"
_FUNCTION_SECONDS = 60.0
_SCHEDULE_SECONDS = 900.0
_FOREIGN = "somebody-elses-config"
ENVIRONMENT = {
    "ENDPOINT_NAME": ENDPOINT,
    "VERSION_PREFIX": PREFIX,
    "LEDGER": TABLE,
    "ARTIFACTS": "s3://bucket/models/",
}


class ViolationError(AssertionError):
    """Something that must always hold did not."""


@dataclass
class Plan:
    """What happens in a story.

    Attributes
    ----------
    executions
        How many deployments are started.
    single_fault
        Whether one call fails, for good, and nothing else goes wrong.
    no_way_back
        How often an update to a version that has served before fails.
    squatter
        Whether somebody makes an endpoint of that name by hand before the first deployment does.
    """

    executions: int = 1
    chances: Chances = field(default_factory=Chances)
    aborts: int = 0
    redrives: int = 0
    bad_versions: float = 0.0
    roll_backs: int = 0
    deletes_by_hand: int = 0
    stack_updates: int = 0
    adopted: bool = False
    unlucky: int = 0
    no_way_back: int = 0
    fails_hard: bool = False
    slow: bool = False
    large_models: float = 0.0
    deletion: bool = True
    deletion_early: bool = False
    retains: bool = False
    single_fault: bool = False
    squatter: bool = False

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Make the plan of a seed: quiet ones, ones with a single trouble, and ones with all of it."""
        chance = random.Random(f"plan {seed}")  # noqa: S311 - no secret
        wild = chance.choice((0.0, 0.3, 1.0))
        if chance.random() < 0.1:
            return cls(executions=chance.randint(1, 3), single_fault=True)
        if chance.random() < 0.03:
            return cls(executions=chance.randint(1, 3), squatter=True)

        def sometimes(value: Any, otherwise: Any) -> Any:
            return value if chance.random() < wild else otherwise

        return cls(
            executions=chance.choice((1, 1, 2, 3, 5)),
            chances=Chances(
                throttle=sometimes(chance.choice((0.02, 0.2)), 0.0),
                lost_answer=sometimes(chance.choice((0.02, 0.1)), 0.0),
                killed_invocation=sometimes(0.03, 0.0),
                lost_event=sometimes(0.5, 0.0),
                doubled_event=sometimes(0.5, 0.0),
                system_update=sometimes(0.3, 0.0),
            ),
            aborts=sometimes(chance.randint(1, 3), 0),
            redrives=sometimes(chance.randint(1, 2), 0),
            bad_versions=sometimes(chance.choice((0.3, 0.7)), 0.0),
            roll_backs=sometimes(chance.randint(1, 2), 0),
            deletes_by_hand=sometimes(chance.choice((0, 0, 1)), 0),
            stack_updates=sometimes(chance.randint(1, 2), 0),
            adopted=sometimes(chance.choice((True, False)), False),
            unlucky=sometimes(chance.choice((0, 1, 2, 12)), 0),
            fails_hard=sometimes(chance.choice((True, False, False)), False),
            slow=sometimes(chance.choice((True, *[False] * 9)), False),
            large_models=sometimes(0.5, 0.0),
            deletion_early=sometimes(chance.choice((True, False, False)), False),
            retains=sometimes(chance.choice((True, False, False, False)), False),
        )

    @property
    def is_quiet(self) -> bool:
        """Whether nothing goes wrong, so that every deployment must succeed."""
        return self == Plan(
            executions=self.executions,
            large_models=self.large_models,
            stack_updates=self.stack_updates,
            single_fault=self.single_fault,
        )


NO_WAY_BACK = Plan(executions=8, chances=Chances(lost_event=1.0), bad_versions=0.8, no_way_back=40, aborts=5)
"""What was verified does not come into service again, so that what was given up serves for long.

No seed's own plan is as bad.
"""


class Story:
    """One seed's story.

    Parameters
    ----------
    seed
        Decides on everything.
    definition
        The state machine, from the synthesized template.
    code
        The function's code.
    plan
        What happens. Defaults to the seed's own.
    """

    def __init__(self, seed: int, definition: dict[str, Any], code: Code, plan: Plan | None = None) -> None:
        self.plan = plan or Plan.of(seed)
        self.world = World(seed, self.plan.chances, after_step=self._check)
        self._definition = definition
        self._code = code
        behaviour = Behaviour(
            unlucky=self.plan.unlucky,
            no_way_back=self.plan.no_way_back,
            fails_hard=self.plan.fails_hard,
            slow=self.plan.slow,
        )
        self.sagemaker = SageMaker(self.world, behaviour, self._may_change)
        self.dynamodb = DynamoDB(self.world)
        self.services = code.Services(
            sagemaker=self.sagemaker,
            runtime=Runtime(self.world, self.sagemaker),
            s3=_NoObjects(),
            dynamodb=self.dynamodb,
            states=_States(self),
            lambda_=_Lambda(self),
            respond=self._respond,
            now=lambda: self.world.now,
            sleep=self.world.sleep,
        )
        self.executions: dict[str, Execution] = {}
        self._actors: dict[str, Actor] = {}
        #: How the version of an execution turns out: good, broken or mute.
        self._fates: dict[str, str] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._asked: list[str] = []
        self._closing = False
        self._by_hand = False
        self._item: Any = None
        self._read: Any = None
        self._closed = False
        self._schedule_ends = False
        self._verified: set[str] = set()

    # The story

    def tell(self) -> None:
        """Let it happen, and check it to its end.

        Raises
        ------
        ViolationError
            With the story.
        """
        try:
            self._begin()
            self._happen()
            self._rest()
            if self.plan.deletion:
                self._end()
        except AssertionError as violation:
            lines = "\n".join(self.world.story[-400:])
            raise ViolationError(f"seed {self.world.seed}: {violation}\n{self.plan}\n{lines}") from violation
        finally:
            self.world.close()

    def _begin(self) -> None:
        if self.plan.adopted:
            self.sagemaker.exist_already(_FOREIGN)
        self.world.faults_end = self.world.now
        url = self._stack("Create")
        self.world.run()
        self.world.faults_end = float("inf")
        answer = self._answers[url]
        assert answer["Status"] == "SUCCESS", answer

    def _happen(self) -> None:
        plan, chance, world = self.plan, self.world.random, self.world
        span = 900.0 if not plan.slow else 4000.0
        for number in range(plan.executions):
            world.start(f"user {number}", self._start_new, delay=chance.uniform(0, span))
        for number in range(plan.roll_backs):
            world.start(f"roll back {number}", self._roll_back, delay=chance.uniform(span / 3, 2 * span))
        for number in range(plan.aborts):
            world.start(f"abort {number}", self._abort, delay=chance.uniform(0, 1.3 * span))
        for number in range(plan.redrives):
            world.start(f"redrive {number}", self._redrive, delay=chance.uniform(span / 2, 2 * span))
        for number in range(plan.deletes_by_hand):
            world.start(f"hand {number}", self._delete_by_hand, delay=chance.uniform(0, 1.5 * span))
        for number in range(plan.stack_updates):
            delay = chance.uniform(0, 1.5 * span)
            world.start(f"update {number}", self._update_stack, delay=delay)
        if plan.single_fault:
            world.single_fault = chance.randint(1, 200)
            world.single_fault_takes_effect = chance.random() < 0.5
        if plan.squatter:
            self.sagemaker.exist_already(_FOREIGN)
        if world.happens(world.chances.system_update):
            world.start("SageMaker", self.sagemaker.update_system, delay=chance.uniform(0, span))
        world.start("schedule", self._schedule)
        if plan.deletion_early:
            world.run(until=_after(world, chance.uniform(0, 1.5 * span)))
            return
        world.run(until=lambda: world.now > BEGINNING + 2 * span and self._is_over())

    def _is_over(self) -> bool:
        return not any(e.status == "RUNNING" for e in self.executions.values())

    def _rest(self) -> None:
        """Wait until nothing is left to be done, and look at what there is."""
        if self.plan.deletion_early:
            return
        self.world.faults_end = self.world.now
        self.sagemaker.behaviour.unlucky = self.sagemaker.behaviour.no_way_back = 0
        self.world.run(until=_after(self.world, 4 * _SCHEDULE_SECONDS + 2 * 3700))
        self._check_rest()

    def _check_rest(self) -> None:
        record = self.record()
        assert record is not None, "the ledger lost the endpoint"
        assert not self._open_executions(), f"not ended: {self._open_executions()}"
        assert record.holder is None, f"still held: {record.holder}"
        assert record.step is None or record.step["until"] <= self.world.now, "a step is open"
        assert not record.runs, f"announced and forgotten: {record.runs}"
        assert not record.removing, f"not removed: {record.removing}"
        kept = {each for each in (record.verified, *record.retained) if each is not None}
        own = {each for each in kept if each != _FOREIGN}
        there = set(self.sagemaker.configs) - {_FOREIGN}
        assert own == there, f"configurations {there}, and the ledger keeps {own}"
        models = self.sagemaker.models - {_FOREIGN}
        assert models == own, f"models {models}, and the ledger keeps {own}"
        endpoint = self.sagemaker.endpoint
        if self.plan.squatter:
            assert endpoint is not None, "somebody else's endpoint is gone"
            assert endpoint.serving == _FOREIGN, "somebody else's endpoint was changed"
        elif endpoint is None:
            assert record.verified is None or self._by_hand, "the endpoint is gone"
        else:
            assert endpoint.serving == record.verified, f"{endpoint.serving} serves, not {record.verified}"
        assert "InProgress" not in self.sagemaker.jobs.values(), f"jobs run: {self.sagemaker.jobs}"
        self._check_outcomes(record)

    def _check_outcomes(self, record: Any) -> None:
        deployed = {
            execution.variables["order"]: execution.variables["version"]
            for execution in self.executions.values()
            if execution.status == "SUCCEEDED" and execution.output["outcome"] == "deployed"
        }
        if deployed:
            newest = max(deployed)
            assert record.newest >= newest, "an older deployment is taken for the newest"
            if record.newest == newest:
                assert record.verified == deployed[newest], f"{record.verified} is not the newest verified"
        for execution in self.executions.values():
            assert execution.status != "RUNNING"
            if self.plan.is_quiet:
                assert execution.status == "SUCCEEDED", f"{execution.arn} {execution.cause}"

    def _end(self) -> None:
        """Delete the stack, twice where the first time was too early."""
        if not self.plan.deletion_early:
            self.world.faults_end = float("inf") if self.world.random.random() < 0.5 else self.world.now
        for _ in range(16):  # each of them may wait for an hour in vain
            self._closing = True
            self.world.run(until=lambda: all(url in self._answers for url in self._asked))
            url = self._stack("Delete")
            self.world.run(until=lambda url=url: url in self._answers)
            answer = self._answers[url]
            if answer["Status"] == "SUCCESS":
                break
            self.world.tell(f"deletion failed: {answer}")
            self.world.faults_end = self.world.now
            self.world.run(until=_after(self.world, 3700))
        else:
            raise AssertionError(f"the stack cannot be deleted: {answer}")
        self._closed = True
        self._schedule_ends = True
        self.world.run(until=_after(self.world, 2 * 3700))
        self._check_end()

    def _check_end(self) -> None:
        assert self.record() is None, "the ledger still has the endpoint"
        assert not self._open_executions(), "executions run on"
        assert "InProgress" not in self.sagemaker.jobs.values(), f"jobs run: {self.sagemaker.jobs}"
        stays = self.plan.retains or (self.plan.adopted and not self._was_deployed) or self.plan.squatter
        if not stays:
            assert self.sagemaker.endpoint is None, "the endpoint is left over"
            assert not set(self.sagemaker.configs) - {_FOREIGN}, f"left over: {self.sagemaker.configs}"
            assert not self.sagemaker.models - {_FOREIGN}, f"left over: {self.sagemaker.models}"
        elif self.sagemaker.endpoint is not None:
            serving = self.sagemaker.endpoint.serving
            known = {_FOREIGN} if self.plan.squatter else self._verified
            assert serving in known, f"{serving} serves and was never verified"
            assert serving in self.sagemaker.configs, "what serves has no configuration any more"
            assert "cdk-sagemaker-pytorch:owner" not in self.sagemaker.endpoint.tags

    # Who acts

    def _start_new(self) -> None:
        number = len(self.executions)
        arn = f"{EXECUTIONS}:run-{number}"
        self._start(arn, {"model_data": "s3://models/model.tar.gz"})

    def _roll_back(self) -> None:
        record = self.record()
        if record is None or not record.retained:
            return
        version = self.world.random.choice(record.retained)
        if version == _FOREIGN:
            return
        self._start(f"{EXECUTIONS}:back-{len(self.executions)}", {"roll_back": version})

    def _start(self, arn: str, given: dict[str, Any]) -> None:
        if self._closed:
            return
        self.world.tell(f"start {arn.rpartition(':')[2]} {json.dumps(given)}")
        execution = Execution(self.world, self._definition, self._task, arn, given)
        self.executions[arn] = execution
        chance = self.world.random
        is_bad = chance.random() < self.plan.bad_versions
        self._fates[arn] = chance.choice(("broken", "mute")) if is_bad else "good"
        self._actors[arn] = self.world.start(arn.rpartition(":")[2], lambda: self._execute(execution))

    def _execute(self, execution: Execution) -> None:
        execution.run()
        self._ended(execution)

    def _ended(self, execution: Execution) -> None:
        """Send the status event, or lose it, or send it twice."""
        if execution.status not in UNSUCCESSFUL or self._closed:
            return
        world = self.world
        if world.happens(world.chances.lost_event):
            return
        for _ in range(2 if world.happens(world.chances.doubled_event) else 1):
            delay = world.random.choice((0.5, 0.5, world.random.uniform(0, 300)))
            world.start("event", self._reconcile, delay=delay)

    def _schedule(self) -> None:
        while not self._schedule_ends:
            self.world.sleep(_SCHEDULE_SECONDS)
            self._reconcile()

    def _reconcile(self) -> None:
        if not self._closed:
            self._invoke_until_it_ends({"action": "reconcile"})

    def _abort(self) -> None:
        running = [arn for arn, execution in self.executions.items() if execution.status == "RUNNING"]
        if running:
            self.stop(self.world.random.choice(running))

    def stop(self, arn: str) -> None:
        """Stop an execution; what it has invoked goes on."""
        execution = self.executions[arn]
        if execution.status != "RUNNING":
            return
        self.world.tell(f"{execution.name} is stopped in {execution.state}")
        execution.status = "ABORTED"
        self._actors[arn].kill()
        job = execution.variables.get("version")
        if self.sagemaker.jobs.get(job) == "InProgress" and self.world.random.random() < 0.7:
            self.sagemaker.jobs[job] = "Stopped"  # Step Functions does its best
        self._ended(execution)

    def _redrive(self) -> None:
        ended = [e for e in self.executions.values() if e.status in UNSUCCESSFUL]
        if not ended or self._closed:
            return
        execution = self.world.random.choice(ended)
        self.world.tell(f"{execution.name} is redriven from {execution.state}")
        execution.redrives += 1
        execution.status = "RUNNING"
        self._actors[execution.arn] = self.world.start(execution.name, lambda: self._execute(execution))

    def _delete_by_hand(self) -> None:
        try:
            self.sagemaker.delete_now()
        except ClientError:
            return
        self.world.tell("somebody deletes the endpoint")
        self._by_hand = True

    def _update_stack(self) -> None:
        """Update the stack, unless it is changing already, or gone."""
        if not self._closing and all(url in self._answers for url in self._asked):
            self._stack("Update")

    def _stack(self, request_type: str) -> str:
        """Let CloudFormation ask for something; return where the answer goes."""
        number = self.world.random.random()
        event: dict[str, Any] = {
            "RequestType": request_type,
            "ResourceType": "Custom::PyTorchEndpoint",
            "ResponseURL": f"https://{number}",
            "StackId": OWNER,
            "RequestId": str(number),
            "LogicalResourceId": "Claim",
            "PhysicalResourceId": ENDPOINT,
            "ResourceProperties": {
                "EndpointName": ENDPOINT,
                "StateMachine": MACHINE,
                "Adopt": str(self.plan.adopted).lower(),
                "RemovalPolicy": "Retain" if self.plan.retains else "Delete",
            },
        }
        self.world.tell(f"stack: {request_type}")
        self._asked.append(event["ResponseURL"])
        self.world.start("stack", lambda: self._invoke_until_it_ends(event))
        return str(event["ResponseURL"])

    def _invoke_until_it_ends(self, event: dict[str, Any]) -> None:
        """Invoke asynchronously: Lambda tries again what failed."""
        for attempt in range(3):
            try:
                self._invoke_function(event)
            except TaskError:
                self.world.sleep(60 * (attempt + 1))
            else:
                return
        if event.get("RequestType") == "Delete":  # CloudFormation waits for an hour
            self._answers.setdefault(event["ResponseURL"], {"Status": "FAILED", "Reason": "no answer"})

    def _respond(self, url: str, body: bytes) -> None:
        self.world.sleep(0.1)
        self._answers[url] = json.loads(body)

    # Tasks

    def _task(self, state: str, integration: str, arguments: Any) -> Any:
        if integration == "aws-sdk:s3:headObject":
            self.world.sleep(0.1)
            large = self.world.random.random() < self.plan.large_models
            return {"ContentLength": 10**12 if large else 10**6}
        if integration == "sagemaker:createProcessingJob.sync":
            return self._process(arguments)
        assert integration == "lambda:invoke", integration
        payload = arguments["Payload"]
        if "action" not in payload:
            self.world.sleep(self.world.random.uniform(1, 60))
            return {
                "Payload": {"model_data_url": payload["output"], "submit_directory": "/opt/ml/model/code"}
            }
        self._choose_fate(payload)
        return {"Payload": self._invoke_function(payload)}

    def _choose_fate(self, payload: dict[str, Any]) -> None:
        wanted = payload.get("deployment", {})
        if wanted and not wanted["rolls_back"]:
            fate = self._fates[wanted["execution"]]
            behaviour = self.sagemaker.behaviour
            if fate != "good":
                (behaviour.broken if fate == "broken" else behaviour.mute).add(wanted["version"])

    def _process(self, arguments: Any) -> Any:
        name = arguments["ProcessingJobName"]
        if name in self.sagemaker.jobs:
            raise TaskError("SageMaker.ResourceInUseException", "the name is taken")
        self.sagemaker.jobs[name] = "InProgress"
        end = self.world.now + self.world.random.uniform(60, 900)
        while self.world.now < end:
            self.world.sleep(10)
            if self.sagemaker.jobs[name] != "InProgress":
                raise TaskError("States.TaskFailed", json.dumps({"ProcessingJobStatus": "Stopped"}))
        self.sagemaker.jobs[name] = "Completed"
        return {}

    def _invoke_function(self, event: dict[str, Any]) -> Any:
        """Invoke the function: an actor of its own, which goes on when its caller is stopped."""
        world = self.world
        outcome: dict[str, Any] = {}
        end = world.now + _FUNCTION_SECONDS
        caller = world.current.name

        def work() -> None:
            context = _Context(lambda: end - world.now)
            try:
                outcome["result"] = self._code.Function(self.services, ENVIRONMENT).handle(
                    json.loads(json.dumps(event)), context
                )
            except GreenletExit:
                raise
            except AssertionError as violation:
                outcome["violation"] = violation
            except (Exception, BotoCoreError) as problem:
                outcome["error"] = problem

        world.sleep(world.random.uniform(0.05, 0.5))
        name = event.get("action") or event["RequestType"]
        invocation = world.start(f"{caller}/{name}", work)
        if world.happens(world.chances.killed_invocation):
            world.start("kill", invocation.kill, delay=world.random.uniform(0, 3))
        world.start("timeout", invocation.kill, delay=_FUNCTION_SECONDS)
        world.wait_for(invocation)
        if "violation" in outcome:
            raise outcome["violation"]
        if "error" in outcome:
            problem = outcome["error"]
            world.tell(f"{caller}: {name} failed: {type(problem).__name__}: {problem}")
            raise TaskError(type(problem).__name__, json.dumps({"errorMessage": str(problem)}))
        if "result" not in outcome:
            world.tell(f"{caller}: {name} was killed")
            raise TaskError("Sandbox.Timedout", "Task timed out")
        world.tell(f"{caller}: {name} {json.dumps(outcome['result'])}")
        return outcome["result"]

    # What must always hold

    def record(self) -> Any:
        """What the ledger has, or None."""
        item = self.dynamodb.items.get(ENDPOINT)
        if item is not self._item:
            self._item, self._read = item, None if item is None else self._code.record(item)
        return self._read

    def _open_executions(self) -> list[str]:
        return [arn for arn, execution in self.executions.items() if execution.status == "RUNNING"]

    def _may_change(self, actor: Actor, call: str) -> None:
        record = self.record()
        if record is None or record.step is None or record.step["until"] <= self.world.now:
            raise ViolationError(f"{actor.name} makes {call} outside of a step")
        if self.dynamodb.steps.get(record.step["id"]) is not actor:
            raise ViolationError(f"{actor.name} makes {call} in a step of somebody else's")

    @property
    def _was_deployed(self) -> bool:
        return bool(self._verified - {_FOREIGN})

    def _check(self) -> None:
        record = self.record()
        if record is None or record.verified is None:
            return
        self._verified.add(record.verified)
        behaviour = self.sagemaker.behaviour
        assert record.verified not in behaviour.broken | behaviour.mute, "what counts as verified is bad"
        endpoint = self.sagemaker.endpoint
        if record.closed and not self.plan.retains:
            return
        for kept in (record.verified, *record.retained):
            assert kept in self.sagemaker.configs, f"the configuration of {kept}, which is kept, is gone"
            assert kept in self.sagemaker.models, f"the model of {kept}, which is kept, is gone"
        if self._by_hand or self.sagemaker.failed_hard:
            return
        assert endpoint is not None, "the endpoint is gone"
        assert endpoint.serving is not None, "the endpoint does not answer"
        assert endpoint.serving in self.sagemaker.configs, f"{endpoint.serving} serves without configuration"
        candidate = record.holder.version if record.holder is not None else None
        if endpoint.serving in record.removing and max(self.plan.unlucky, self.plan.no_way_back) > 2:
            return  # the way back failed again and again, and is tried again
        assert endpoint.serving in (record.verified, candidate), (
            f"{endpoint.serving} serves, which is neither verified nor the candidate"
        )


class _Context:
    """Lambda's context."""

    function_name = "function"

    def __init__(self, remaining: Callable[[], float]) -> None:
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:
        return int(self._remaining() * 1000)


class _NoObjects:
    """S3 without objects."""

    def get_paginator(self, operation: str) -> "_NoObjects":
        return self

    def paginate(self, **arguments: Any) -> list[Any]:
        return []


class _States:
    """Step Functions."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def describe_execution(self, **arguments: Any) -> dict[str, Any]:
        self._story.world.sleep(0.1)
        return {"status": self._find(arguments).status}

    def stop_execution(self, **arguments: Any) -> dict[str, Any]:
        self._story.world.sleep(0.1)
        self._story.stop(self._find(arguments).arn)
        return {}

    def get_paginator(self, operation: str) -> "_States":
        assert operation == "list_executions"
        return self

    def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
        self._story.world.sleep(0.1)
        return [{"executions": [{"executionArn": arn} for arn in self._story._open_executions()]}]

    def _find(self, arguments: dict[str, Any]) -> Execution:
        found = self._story.executions.get(arguments["executionArn"])
        if found is None:
            raise error("ExecutionDoesNotExist", "Execution Does Not Exist")
        return found


class _Lambda:
    """Lambda, for the function that goes on by itself."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["InvocationType"] == "Event"
        event = json.loads(arguments["Payload"])
        self._story.world.sleep(0.1)
        self._story.world.start("goes on", lambda: self._story._invoke_until_it_ends(event))
        return {}


def _after(world: World, seconds: float) -> Callable[[], bool]:
    end = world.now + seconds
    return lambda: world.now >= end

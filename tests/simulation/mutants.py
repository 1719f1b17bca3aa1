"""Faults that the simulation must find: changes of the function's code, each of which breaks a promise."""

from dataclasses import dataclass

from .story import NO_WAY_BACK, Plan


@dataclass(frozen=True)
class Mutant:
    """A change of one place in the code.

    Attributes
    ----------
    name
        What it breaks.
    module
        Module of the function.
    before, after
        What is there, and what is to be there instead.
    plan
        What happens in the stories that it shows in. Defaults to the seed's own.
    """

    name: str
    module: str
    before: str
    after: str
    plan: Plan | None = None


MUTANTS = (
    Mutant("no lock", "executions", 'return bool(status in ("RUNNING", "PENDING_REDRIVE"))', "return False"),
    Mutant("no steps", "ledger", 'record.step is not None and record.step["until"] > self._now()', "False"),
    Mutant("a step shorter than an invocation", "ledger", "STEP_SECONDS = 75", "STEP_SECONDS = 5"),
    Mutant(
        "do, then write down",
        "way",
        "        record = self._ledger.change(note)\n        try:\n"
        "            self._endpoint.ask(look, config, record.owner if record.made_here else None)\n",
        "        record = self._ledger.read()\n        try:\n"
        "            self._endpoint.ask(look, config, record.owner if record.made_here else None)\n"
        "            self._ledger.change(note)\n",
    ),
    Mutant(
        "old looks are believed",
        "way",
        "if self._now() < ask.at + _SEEN_AFTER_SECONDS:",
        "if False:",
    ),
    Mutant("the latest wins", "deployment", "return wanted.order < record.newest", "return False"),
    Mutant(
        "back to nothing",
        "recovery",
        "target = self._ledger.change(begin).verified",
        "self._ledger.change(begin); target = None",
    ),
    Mutant(
        "removed while it serves",
        "recovery",
        "if version == look.config or record.is_kept(version):",
        "if False:",
        NO_WAY_BACK,
    ),
    Mutant(
        "superseded versions are forgotten",
        "deployment",
        "record.removing += kept[retain:]",
        "pass",
    ),
    Mutant("jobs run on", "versions", 'job["ProcessingJobStatus"] == "InProgress"', "False"),
    Mutant(
        "nobody reconciles",
        "recovery",
        "if record.closed or record.owner is None:\n            return {",
        "if True:\n            return {",
    ),
    Mutant(
        "a failed endpoint is not made again",
        "way",
        'record.made_again or (config is None and look.status == "Failed")',
        "False",
    ),
    Mutant(
        "somebody else's endpoint is taken",
        "deployment",
        "if owner not in (None, record.owner) or not is_known:",
        "if False:",
    ),
    Mutant(
        "the ledger stays",
        "removal",
        "        self._remove_versions(record, set())\n        self._ledger.delete()",
        "        self._remove_versions(record, set())",
    ),
    Mutant("nothing closes", "removal", "record.closed = True", "pass"),
    Mutant(
        "errors decide", "versions", "if ignore_missing(describe, **{name: version}) is None:", "if True:"
    ),
    Mutant(
        "no sample request", "deployment", "check_answer(self._runtime, self._endpoint.name, sample)", "pass"
    ),
)

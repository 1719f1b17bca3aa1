"""Which kind of processor an instance type has, and which accelerators there are."""

import re
from typing import Literal

__all__ = [
    "ACCELERATOR_TYPES",
    "ContainerImageError",
    "Processor",
    "instance_family",
    "instance_type_problem",
    "processor_of",
]

Processor = Literal["cpu", "gpu", "graviton", "neuron"]

ACCELERATOR_TYPES = tuple(
    f"ml.{generation}.{size}" for generation in ("eia1", "eia2") for size in ("medium", "large", "xlarge")
)


class ContainerImageError(ValueError):
    """There is no image for what was asked.

    Attributes
    ----------
    problems : tuple of str
        One sentence for each thing that is wrong: the parameter, what is allowed, what was got.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def processor_of(instance_type: str) -> Processor:
    """Kind of processor of an instance type, by its family.

    A ``g`` right after the generation means Graviton in AWS's names (``m6g``, ``c7gn``); families whose
    name starts with ``g`` or ``p`` have GPUs; ``inf`` and ``trn`` are ``neuron``.

    Raises
    ------
    ContainerImageError
        When it is not a SageMaker instance type.
    """
    family = instance_family(instance_type)
    if family is None:
        raise ContainerImageError([instance_type_problem(instance_type)])
    if re.match(r"[a-z]+\d+g", family):
        return "graviton"
    if family.startswith(("inf", "trn")):
        return "neuron"
    return "gpu" if family[0] in "gp" else "cpu"


def instance_family(instance_type: str) -> str | None:
    """Family of an instance type: ``g5`` of ``ml.g5.xlarge``; None if it is not SageMaker's."""
    found = re.fullmatch(r"ml\.([a-z][a-z0-9-]*)\.[a-z0-9-]+", instance_type)
    return found[1] if found else None


def instance_type_problem(instance_type: str) -> str:
    """Say what is wrong with an instance type that has no family."""
    return f"instance_type must be a SageMaker instance type such as ml.m5.large, got {instance_type}"

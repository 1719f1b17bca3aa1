"""Says at synth what source code leaves out by itself."""

from dataclasses import dataclass, field

from aws_cdk import Annotations
from constructs import Construct

__all__ = ["LeftOut"]

_SHOWN_FILES = 5


@dataclass
class LeftOut:
    """What does not ship, though nobody asked for that.

    Attributes
    ----------
    secrets, made_by_tools : list of str
        Names, see `SourceFilter`.
    """

    secrets: list[str] = field(default_factory=list)
    made_by_tools: list[str] = field(default_factory=list)

    def annotate(self, scope: Construct) -> None:
        """Say so at the construct that ships the rest."""
        if self.secrets:
            Annotations.of(scope).add_warning_v2(
                "cdk-sagemaker-pytorch:SourceCode.secretsLeftOut",
                f"source code leaves out what is secret by its name: {_listed(self.secrets)}; keep it"
                ' elsewhere, such as in Secrets Manager, or let it in: exclude=["!NAME"]',
            )
        if self.made_by_tools:
            Annotations.of(scope).add_info_v2(
                "cdk-sagemaker-pytorch:SourceCode.leftOut",
                f'source code leaves out {_listed(self.made_by_tools)}; exclude=["!NAME"] lets it in',
            )


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN_FILES
    return ", ".join(sorted(names)[:_SHOWN_FILES]) + (f" and {more} more" if more > 0 else "")

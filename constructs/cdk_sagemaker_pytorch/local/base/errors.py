"""Errors of the local AWS as its user meets them."""

from collections.abc import Sequence


class LocalAwsError(RuntimeError):
    """The local AWS cannot start or do what was asked."""


class LocalAwsWarning(UserWarning):
    """Something that the local AWS does not do as AWS does."""


class CdkError(LocalAwsError):
    """The CDK CLI failed.

    Parameters
    ----------
    command
        The command as it was run.
    returncode
        Its exit code.
    output
        What it wrote, standard output and error together.
    """

    def __init__(self, command: Sequence[str], returncode: int, output: str) -> None:
        super().__init__(f"{' '.join(command)} ended with exit code {returncode}:\n{output}")
        self.command = list(command)
        self.returncode = returncode
        self.output = output


#: Type of a Lambda function's error when the function cannot run on this machine; AWS has none such.
NOT_RUN = "LocalAws.NotRun"

"""How a failed job says why: the toolkit's failure file and SageMaker's FailureReason."""

from pathlib import Path

_FAILURE_REASON_LENGTH = 1024


class JobError(Exception):
    """What SageMaker reports as the reason of a failed job, besides the errors of what runs in it."""


class TrainingError(Exception):
    """A job that failed; its text is what the toolkit writes into output/failure.

    Parameters
    ----------
    name
        The toolkit's name of the error, such as ExecuteUserScriptError.
    exit_code
        Exit code of the command that failed; None when none did.
    message
        Why: for a script its own exception.
    command
        The command that failed; None when none did.
    host
        Host it failed on; None when it is none in particular.
    summary
        The reason in one line. Defaults to none: for an error without a command the text says it itself.
    is_for_lost_peer
        Whether it failed because another host did.
    """

    def __init__(
        self,
        name: str,
        exit_code: int | None = None,
        message: str = "",
        command: str | None = None,
        host: str | None = None,
        summary: str = "",
        *,
        is_for_lost_peer: bool = False,
    ) -> None:
        if command is None:
            text = f"{name}: {message}"
        else:
            text = f'{name}:\nExitCode {exit_code}\nErrorMessage "{message}"\nCommand "{command}"'
        super().__init__(text)
        self.exit_code = exit_code
        self.host = host
        self.is_for_lost_peer = is_for_lost_peer
        self.summary = summary


def failure_reason(failure_file: Path, summary: str = "") -> str:
    """Return FailureReason as DescribeTrainingJob has it: the file's first 1,024 characters.

    The exit code in it is the container's, which is 1 whatever the script's was.

    Parameters
    ----------
    failure_file
        What the toolkit, or the script itself, has written.
    summary
        The first line, which AWS does not have. Defaults to none.
    """
    text = failure_file.read_text(encoding="utf-8", errors="replace")[:_FAILURE_REASON_LENGTH]
    first = f"{summary}\n" if summary else ""
    return f"AlgorithmError: {first}{text}, exit code: 1"

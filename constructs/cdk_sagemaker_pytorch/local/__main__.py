"""Start the local AWS by hand: `python -m cdk_sagemaker_pytorch.local`."""

import argparse
import shlex
import signal
import sys
import threading

from .base.errors import LocalAwsError
from .server.local_aws import LocalAws


def main(argv: list[str] | None = None) -> int:
    """Run the local AWS until Ctrl-C or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdk_sagemaker_pytorch.local",
        description="Start a local AWS on 127.0.0.1 and print the environment to export.",
    )
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument("--directory", help="where logs and job folders stay; default: a temporary folder")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="123456789012")
    parser.add_argument("--no-iam", action="store_true", help="do not check calls against policies")
    parser.add_argument(
        "--wait-factor", type=float, default=1.0, help="what waits are shortened by, for example 0.1"
    )
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with LocalAws(
            arguments.directory,
            port=arguments.port,
            region=arguments.region,
            account=arguments.account,
            enforce_iam=not arguments.no_iam,
            wait_factor=arguments.wait_factor,
            on_warning=lambda text: print(f"warning: {text}", file=sys.stderr, flush=True),  # noqa: T201
        ) as aws:
            # Of a real account: a profile would win over the keys, and they have no token.
            print("unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN")  # noqa: T201
            for name, value in aws.environment.items():
                print(f"export {name}={shlex.quote(value)}")  # noqa: T201
            print(f"# logs: {aws.logs_directory}", flush=True)  # noqa: T201
            print("# ready; Ctrl-C stops it and all it started", file=sys.stderr)  # noqa: T201
            stop.wait()
    except (LocalAwsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

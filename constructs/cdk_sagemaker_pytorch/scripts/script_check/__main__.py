"""``python -m cdk_sagemaker_pytorch.script_check PATH``."""

import argparse
import json
import sys

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion, UnknownFrameworkVersionError

from .finding import Finding
from .inference import check_inference_script
from .script import Script
from .training import check_training_script


def main(arguments: list[str] | None = None) -> int:
    """Check scripts and print the findings.

    Parameters
    ----------
    arguments : list of str, optional
        Defaults to those of the command line.

    Returns
    -------
    int
        0 without errors, 1 with any, 2 if a script could not be read.
    """
    options = _parser().parse_args(arguments)
    findings: list[Finding] = []
    for path in options.path:
        try:
            findings += _check(path, options)
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)  # noqa: T201
            return 2
    for finding in findings:
        print(finding)  # noqa: T201
    return int(any(finding.severity == "error" for finding in findings))


def _check(path: str, options: argparse.Namespace) -> list[Finding]:
    is_for_inference = options.inference
    if not options.training and not options.inference:
        is_for_inference = path.endswith(".ipynb") or bool(Script(path).handlers)
    found: set[Finding] = set()
    if is_for_inference:
        found.update(
            check_inference_script(
                path,
                framework_version=options.framework_version,
                accelerator_type=options.accelerator_type,
                instance_type=options.instance_type,
            )
        )
    if options.training or not is_for_inference:
        hyperparameters = dict(options.hyperparameter) if options.hyperparameter else None
        found.update(
            check_training_script(
                path,
                hyperparameters=hyperparameters,
                channels=options.channel,
                framework_version=options.framework_version,
            )
        )
    return sorted(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cdk_sagemaker_pytorch.script_check",
        description="Find what is wrong with training and inference scripts, without running them.",
        epilog="A script is checked for inference if it has handler functions, else for training.",
    )
    parser.add_argument("path", nargs="+", help="a script")
    parser.add_argument("--training", action="store_true", help="check it for training")
    parser.add_argument("--inference", action="store_true", help="check it for inference")
    parser.add_argument(
        "--hyperparameter",
        action="append",
        type=_hyperparameter,
        metavar="NAME=VALUE",
        help="one that the training job gives; once for each, the value in JSON or plain text",
    )
    parser.add_argument("--channel", action="append", metavar="NAME", help="an input channel; once for each")
    parser.add_argument("--framework-version", type=_framework_version, metavar="VERSION")
    parser.add_argument("--accelerator-type", metavar="TYPE")
    parser.add_argument("--instance-type", metavar="TYPE", help="of the endpoint")
    return parser


def _hyperparameter(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _framework_version(text: str) -> FrameworkVersion:
    try:
        return FrameworkVersion.of(text)
    except UnknownFrameworkVersionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())

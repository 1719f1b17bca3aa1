"""Says at synth what is wrong with the script of a construct."""

import json
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Annotations
from constructs import Construct

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion, newest_python
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .script_check import Finding, check_inference_script, check_training_script
from .script_check.imports import requirements_left_behind

__all__ = ["annotate_inference_script", "annotate_training_script"]

# The version of a Python 3 of which no more is known.
_UNKNOWN = (3, 0)
_OTHER_PYTHON = "unless the container's Python, which is not the one that checks it, can read it"

# What Python 3.12 and later read and 3.11 does not: quotes within f-strings, type statements and type
# parameters, except without parentheses.
_NEWER_SYNTAX = re.compile(r"""[fF][rR]?["']|^\s*(type|except)\s|^\s*(class|def|async\s+def)\s+\w+\s*\[""")


def annotate_training_script(
    scope: Construct,
    source_code: SourceCode,
    *,
    hyperparameters: Mapping[str, Any],
    channels: Collection[str],
    framework_version: FrameworkVersion,
    environment: Collection[str] = (),
    py_version: str | None = None,
) -> None:
    """Annotate a construct with what is wrong with its training script.

    What an execution can still give, a required hyperparameter or a further channel, is warned of
    only. Scripts in S3 and entry points that are not Python are not looked at.

    Parameters
    ----------
    scope : Construct
        Carries the errors and warnings.
    source_code : SourceCode
        The training script.
    hyperparameters : mapping of str to Any
        The construct's hyperparameters; of tokens the names alone are checked.
    channels : collection of str
        Names of its input channels.
    framework_version : FrameworkVersion
        PyTorch version of the training container.
    environment : collection of str, optional
        Names of the variables that the job sets. Defaults to none.
    py_version : str, optional
        Python of the container. Defaults to the newest of the version's images.
    """
    path = _python_script(source_code)
    if path is None:
        return
    findings = check_training_script(
        path,
        hyperparameters={name: _as_decoded(value) for name, value in hyperparameters.items()},
        channels=channels,
        framework_version=framework_version,
        environment=environment,
        py_version=py_version,
    )
    may_be_given = {"Training.requiredArgument", "Training.hyperparameterVariable"}
    if channels:  # without any, an execution can give none either
        may_be_given.add("Training.unknownChannel")
    doubts = dict.fromkeys(may_be_given, "or give it in the input of every execution")
    python = newest_python([py_version] if py_version else framework_version.training_py_versions) or _UNKNOWN
    findings += _forgotten(source_code)
    _annotate(scope, _not_acknowledged(source_code, findings), doubts, python)


def annotate_inference_script(
    scope: Construct,
    source_code: SourceCode,
    *,
    framework_version: FrameworkVersion,
    accelerator_type: str | None = None,
    py_version: str | None = None,
    instance_type: str | None = None,
    shown_folder: str | None = None,
) -> None:
    """Annotate a construct with what is wrong with its inference script.

    Scripts in S3 and entry points that are neither Python nor notebooks are not looked at.

    Parameters
    ----------
    scope : Construct
        Carries the errors and warnings.
    source_code : SourceCode
        The inference script.
    framework_version : FrameworkVersion
        PyTorch version of the serving container.
    accelerator_type : str, optional
        Elastic Inference accelerator. Defaults to none.
    py_version : str, optional
        Python of the container. Defaults to the newest of the version's images.
    instance_type : str, optional
        Instance type of the endpoint. Defaults to unknown.
    shown_folder : str, optional
        What the findings call the script's folder. Defaults to where it lies.
    """
    path = source_code.path
    if path is None or path.suffix not in (".py", ".ipynb"):
        return
    # Of requirements.txt `check_inference_code` knows whether it ships at all.
    beside_the_point = {"Inference.requirements"}
    if framework_version.ships_handlers:
        beside_the_point.add("Inference.modelFn")  # the library's handlers have one
    python = (
        newest_python([py_version] if py_version else framework_version.inference_py_versions) or _UNKNOWN
    )
    findings = check_inference_script(
        path,
        framework_version=framework_version,
        accelerator_type=accelerator_type,
        shipped=source_code.shipped_names,
        python=python if python > (3, 0) else None,
        instance_type=instance_type,
    )
    findings += _forgotten(source_code)
    findings = [finding for finding in findings if finding.id not in beside_the_point]
    _annotate(scope, _not_acknowledged(source_code, findings), {}, python, path.parent, shown_folder)


def _forgotten(source_code: SourceCode) -> list[Finding]:
    path = source_code.forgotten_requirements
    return [] if path is None else [requirements_left_behind(path)]


def _not_acknowledged(source_code: SourceCode, findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not source_code.acknowledges(finding.id, finding.line)]


def _python_script(source_code: SourceCode) -> Path | None:
    path = source_code.path
    return path if path is not None and path.suffix == ".py" else None


def _as_decoded(value: Any) -> Any:
    """Turn a value into what the container decodes from its JSON; a token into text that shows its mark."""
    encoded = json.dumps(value)
    return encoded if "{Token[" in encoded else json.loads(encoded)


def _annotate(
    scope: Construct,
    findings: Iterable[Finding],
    doubts: Mapping[str, str],
    python: tuple[int, int],
    folder: Path | None = None,
    shown_folder: str | None = None,
) -> None:
    """Add findings to a construct; an error that is in doubt, by its id, is a warning that says why."""
    annotations = Annotations.of(scope)
    for finding in findings:
        path = _short(finding.path)
        if folder is not None and shown_folder is not None:
            path = f"{shown_folder}/{Path(finding.path).relative_to(folder).as_posix()}"
        text = f"{path}:{finding.line}: {finding.message}: {finding.remedy}"
        doubt = doubts.get(finding.id)
        if finding.id == "Script.syntax" and _may_be_read_by(python, finding):
            doubt = _OTHER_PYTHON
        if finding.severity == "error" and doubt is None:
            annotations.add_error(f"{text} [{finding.id}]")
        else:
            annotations.add_warning_v2(
                f"cdk-sagemaker-pytorch:{finding.id}", text if doubt is None else f"{text}, {doubt}"
            )


def _may_be_read_by(python: tuple[int, int], finding: Finding) -> bool:
    """Whether a container's Python may read what this one does not."""
    if (3, 0) <= python <= sys.version_info[:2]:
        return False
    lines = Path(finding.path).read_text(errors="replace").splitlines()
    return python < (3, 0) or any(map(_NEWER_SYNTAX.search, lines[finding.line - 1 : finding.line]))


def _short(path: str) -> str:
    """Write a path as seen from the working directory, if it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path

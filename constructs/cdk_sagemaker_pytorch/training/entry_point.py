"""What the training container can start."""

import re
from pathlib import Path

from aws_cdk import Annotations
from constructs import Construct

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .settings import JobOptions

__all__ = ["check_entry_point", "refuse_shadowed_modules"]

# https://github.com/aws/sagemaker-training-toolkit, process.py of 5.1.4: `_SAFE_ENTRY_POINT`.
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")

# The SDK's fw_utils.py: TORCH_DISTRIBUTED_GPU_SUPPORTED_FRAMEWORK_VERSIONS.
_TORCHRUN_FROM = (1, 13)

# What `import torch` imports, and what the container's images hold: a file of that name comes first.
_NEEDED_BY_TORCH = """
    abc argparse ast base64 bisect calendar codecs collections concurrent copy contextlib copyreg
    csv ctypes dataclasses datetime difflib dis email enum fnmatch functools glob gzip hashlib heapq
    http importlib inspect io ipaddress json keyword linecache locale logging multiprocessing
    numbers opcode operator os pathlib pickle pickletools pkgutil platform pprint queue quopri
    random re reprlib runpy selectors shutil signal socket ssl stat string struct subprocess tarfile
    tempfile textwrap threading timeit token tokenize traceback types typing unittest urllib uuid
    warnings weakref zipfile torch numpy typing_extensions sympy networkx filelock fsspec jinja2
    sagemaker_training sagemaker_pytorch_container
    """


def check_entry_point(
    problems: Problems, source_code: SourceCode, options: JobOptions, framework_version: FrameworkVersion
) -> None:
    """Note an entry point that the container refuses, or cannot start in the way that was asked for.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    source_code : SourceCode
        The entry point, with what ships beside it.
    options : JobOptions
        Flat keywords of the job.
    framework_version : FrameworkVersion
        PyTorch version of the container.
    """
    if options.source_code is None:
        _check_bundled(problems, options, framework_version)
    name = source_code.entry_point
    if not is_token(name):
        _check_name(problems, name)
        _check_torchrun(problems, name, source_code, options, framework_version)
    path = source_code.path
    if path is None:
        return
    if source_code.ships("setup.py") and name.endswith(".py") and "/" in name:
        problems.add(
            "entry_point must be at the top of source code with a setup.py, which runs with python -m, got"
            f' {name}: move it, or exclude=["setup.py"]'
        )
    _check_content(problems, name, path)


def _check_bundled(problems: Problems, options: JobOptions, framework_version: FrameworkVersion) -> None:
    problems.check(
        _is_own(options.image) or framework_version.runs_bundled_training,
        "source_code must be given for framework_version before 1.9, whose images have a Python before 3.8"
        f" that does not run the bundled script, got none for {framework_version.full}",
    )


def _is_own(image: object) -> bool:
    """Say whether an image is none of AWS's: what it holds is not known here."""
    return isinstance(image, PyTorchImage) and image.family is None


def _check_name(problems: Problems, name: str) -> None:
    problems.check(
        _NAME.fullmatch(name) is not None and not {".", ".."} & set(name.split("/")),
        "entry_point must be a path inside the source code of letters, digits and . _ + - /, not beginning"
        f" with -, for the container refuses others, got {name!r}: rename it",
    )
    problems.check(
        not name.endswith((".ipynb", ".pyc")),
        f"entry_point must be a script, got {name!r}: jupyter nbconvert --to script makes one of a notebook",
    )


def _check_torchrun(
    problems: Problems,
    name: str,
    source_code: SourceCode,
    options: JobOptions,
    framework_version: FrameworkVersion,
) -> None:
    if options.torch_distributed is not True:
        return
    problems.check(
        name.endswith(".py"),
        f"torch_distributed=True needs a Python script as entry_point, torchrun starts no other, got {name}",
    )
    problems.check(
        not source_code.ships("setup.py"),
        "torch_distributed=True cannot start source code with a setup.py at its top, which runs as a package:"
        ' exclude=["setup.py"]',
    )
    problems.check(
        _is_own(options.image) or framework_version.release >= _TORCHRUN_FROM,
        "torch_distributed=True needs framework_version 1.13 or newer, or an image of yours, got"
        f" {framework_version.full}: call torch.distributed.init_process_group in the script instead",
    )


def _check_content(problems: Problems, name: str, path: Path) -> None:
    if name.endswith(".py"):
        return
    begin = path.read_bytes()
    first_line = begin.partition(b"\n")[0]
    if name.endswith(".sh") or first_line.startswith(b"#!"):
        problems.check(
            b"\r\n" not in begin,
            f"entry_point must have line endings that a shell on Linux reads, got {name} with Windows' own:"
            " dos2unix, and *.sh text eol=lf in .gitattributes",
        )
        return
    problems.check(
        name.endswith((".ipynb", ".pyc")),  # of which enough is said
        f"entry_point must be a .py or .sh file, or begin with a line such as #!/bin/bash, got {name}",
    )


def refuse_shadowed_modules(scope: Construct, source_code: SourceCode) -> None:
    """Say which modules of the container are hidden behind files of the source code.

    The folder of the source code comes first on the path, also for what torch itself imports.
    """
    needed = set(_NEEDED_BY_TORCH.split())
    for module in source_code.top_modules:
        if module in needed and not source_code.acknowledges("Training.shadowedModule", 1):
            Annotations.of(scope).add_error(
                f"{module} in the source code is imported in place of the module that Python or PyTorch"
                f" needs, and the job fails: rename {module}.py [Training.shadowedModule]"
            )

"""Checks of inference scripts."""

import ast
import re
from collections.abc import Collection
from pathlib import Path

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion, newest_python
from cdk_sagemaker_pytorch.images.instance_processor import instance_family, processor_of

from .finding import Finding
from .handler_functions import check_handler_functions
from .imports import check_imports, files_beside, statements_that_may_fail
from .main_guard import check_main_guard
from .removed_modules import check_removed_modules
from .script import Script
from .syntax import check_syntax
from .torch_load import check_torch_load

__all__ = ["check_inference_script"]

# Packages of TorchServe's container, and what they are called where packages are installed from.
_OF_TORCHSERVE = {
    "sagemaker_inference": "sagemaker-inference",
    "sagemaker_pytorch_serving_container": "sagemaker-pytorch-inference",
    "ts": "torchserve",
    "mms": "multi-model-server",
}
_GPU = re.compile(r"cuda(:\d+)?")


def check_inference_script(
    path: str | Path,
    *,
    framework_version: str | FrameworkVersion | None = None,
    accelerator_type: str | None = None,
    shipped: Collection[str] | None = None,
    python: tuple[int, int] | None = None,
    instance_type: str | None = None,
) -> list[Finding]:
    """Find what is wrong with an inference script, without running it.

    A comment allows a finding on its line or the next one, and says why:
    ``# script-check: allow Inference.torchLoad: the file is our own``.

    Parameters
    ----------
    path : str or Path
        The script. A requirements.txt beside it is looked at too.
    framework_version : str or FrameworkVersion, optional
        PyTorch version of the serving container. Defaults to unknown: then rules that only some
        versions have are not applied.
    accelerator_type : str, optional
        Elastic Inference accelerator of the endpoint. Defaults to none.
    shipped : collection of str, optional
        What ships with it, by path relative to its folder. Defaults to all Python files there.
    python : tuple of int, optional
        Python of the container, such as ``(3, 12)``. Defaults to the newest of `framework_version`'s images.
    instance_type : str, optional
        Instance type of the endpoint. Defaults to unknown: it may have a GPU.

    Returns
    -------
    list of Finding
        In the order of lines; empty if nothing was found.

    Raises
    ------
    OSError
        When the file cannot be read.
    UnknownFrameworkVersionError
        When there is no such version.
    """
    version = None if framework_version is None else FrameworkVersion.of(framework_version)
    if Path(path).suffix == ".ipynb":
        return [_notebook(path)]
    script = Script(path)
    files = files_beside(script.path) if shipped is None else shipped
    others: list[Finding] = []
    if script.is_parsed:
        check_main_guard(script)
        check_handler_functions(script)
        check_imports(script, files)
        python = python or _newest_python(version)
        others = check_syntax(script, files, python)
        if python is not None:
            check_removed_modules(script, python)
        _check_model_fn(script, version, accelerator_type)
        check_torch_load(script, version)
        _check_model_server(script, version)
        _check_device(script, instance_type)
        if accelerator_type is not None:
            _check_elastic_inference(script)
    if version:
        _check_requirements(script, version)
    return sorted({*script.sorted_findings(), *others})


def _notebook(path: str | Path) -> Finding:
    Path(path).read_bytes()
    return Finding(
        str(path),
        1,
        "Script.notebook",
        "error",
        "a notebook is no script that the model server could import",
        "export it with jupyter nbconvert --to script, and keep the functions",
    )


def _newest_python(version: FrameworkVersion | None) -> tuple[int, int] | None:
    """Python of a version's newest image; None if it is not known, or too old to be told by its syntax."""
    python = newest_python(version.inference_py_versions) if version else None
    return python if python is not None and python > (3, 0) else None


def _check_model_fn(script: Script, version: FrameworkVersion | None, accelerator_type: str | None) -> None:
    if version is None or accelerator_type or script.star_imports or "model_fn" in script.handlers:
        return
    if version.model_server in ("flask", "mms"):
        script.add(
            1,
            "Inference.modelFn",
            "error",
            f"it has no model_fn, and the container of PyTorch {version.full} has no default one",
            "define model_fn(model_dir), which loads the model",
        )
    elif version.model_server == "torchserve":
        script.add(
            1,
            "Inference.modelFn",
            "warning",
            "it has no model_fn, and a default one loads nothing but a single TorchScript file",
            "define model_fn(model_dir), or save the model with torch.jit.save as the only .pt or .pth file",
        )


def _check_model_server(script: Script, version: FrameworkVersion | None) -> None:
    """Note imports of what only TorchServe's container has."""
    if version is None or version.model_server != "ray":
        return
    prepared = statements_that_may_fail(script)
    requirements = script.path.parent / "requirements.txt"
    installed = requirements.read_text(errors="replace") if requirements.is_file() else ""
    for statement in script.module_statements():
        names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom) and not statement.level:
            names = [statement.module or ""]
        for top in {name.partition(".")[0] for name in names} & _OF_TORCHSERVE.keys():
            if id(statement) not in prepared and _OF_TORCHSERVE[top] not in installed.replace("_", "-"):
                script.add(
                    statement.lineno,
                    "Inference.modelServer",
                    "error",
                    f"{top} is not in the container of PyTorch {version.full}, which serves with Ray Serve",
                    f"do without it, or put {_OF_TORCHSERVE[top]} into requirements.txt",
                )


def _check_device(script: Script, instance_type: str | None) -> None:
    """Note GPUs that are asked for without a look at whether there is one, where the instance has none."""
    family = instance_family(instance_type) if instance_type else None
    if instance_type is None or family is None or processor_of(instance_type) == "gpu":
        return
    looks = ("is_available", "device_count", "current_accelerator")
    if any(getattr(node, "attr", None) in looks for node in script.nodes):
        return
    for node in script.nodes:
        if not isinstance(node, ast.Call):
            continue
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        names_gpu = any(
            isinstance(value, ast.Constant) and isinstance(value.value, str) and _GPU.fullmatch(value.value)
            for value in given
        )
        moves = isinstance(node.func, ast.Attribute) and (
            (node.func.attr == "cuda" and not given) or (node.func.attr in ("to", "device") and names_gpu)
        )
        if moves or (
            names_gpu and any(keyword.arg in ("device", "map_location") for keyword in node.keywords)
        ):
            script.add(
                node.lineno,
                "Inference.device",
                "error",
                f"it asks for a GPU, and {instance_type} has none",
                'use torch.device("cuda" if torch.cuda.is_available() else "cpu")',
            )


def _check_elastic_inference(script: Script) -> None:
    """Note what an accelerator cannot run: it takes TorchScript only, loaded to the CPU."""
    for call in _calls_in(script, "model_fn", "torch.load"):
        script.add(
            call.lineno,
            "Inference.elasticInference",
            "error",
            "torch.load does not load TorchScript, which is all that an accelerator runs",
            "save the model with torch.jit.save and load it with torch.jit.load",
        )
    for call in script.calls("torch.jit.load"):
        if len(call.args) < 2 and not any(keyword.arg in ("map_location", None) for keyword in call.keywords):
            script.add(
                call.lineno,
                "Inference.elasticInference",
                "error",
                "torch.jit.load without map_location may look for a GPU, which the instance lacks",
                'add map_location=torch.device("cpu")',
            )
    predict_fn = script.functions.get("predict_fn")
    if predict_fn and not _calls_in(script, "predict_fn", "torch.jit.optimized_execution"):
        script.add(
            predict_fn.lineno,
            "Inference.elasticInference",
            "warning",
            "predict_fn does not use the accelerator",
            'run the model in torch.jit.optimized_execution(True, {"target_device": "eia:0"})',
        )


def _calls_in(script: Script, function_name: str, name: str) -> list[ast.Call]:
    function = script.functions.get(function_name)
    inside = {id(node) for node in ast.walk(function)} if function else set()
    return [call for call in script.calls(name) if id(call) in inside]


def _check_requirements(script: Script, version: FrameworkVersion) -> None:
    requirements = script.path.parent / "requirements.txt"
    if version.inference_requirements == "unsupported" and requirements.is_file():
        script.findings.append(
            Finding(
                str(requirements),
                1,
                "Inference.requirements",
                "error",
                f"the serving container of PyTorch {version.full} does not install requirements.txt",
                "use 1.3.1 or newer, or ship the packages as dependencies",
            )
        )

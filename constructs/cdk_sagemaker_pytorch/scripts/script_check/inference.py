"""Checks of inference scripts."""

import ast
from pathlib import Path

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

from .finding import Finding
from .script import HANDLERS, Script

__all__ = ["check_inference_script"]


def check_inference_script(
    path: str | Path,
    *,
    framework_version: str | FrameworkVersion | None = None,
    accelerator_type: str | None = None,
) -> list[Finding]:
    """Find what is wrong with an inference script, without running it.

    Parameters
    ----------
    path : str or Path
        The script. A requirements.txt beside it is looked at too.
    framework_version : str or FrameworkVersion, optional
        PyTorch version of the serving container. Defaults to unknown: then rules that only some
        versions have are not applied.
    accelerator_type : str, optional
        Elastic Inference accelerator of the endpoint. Defaults to none.

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
    script = Script(path)
    if script.is_parsed:
        script.check_main_guard()
        _check_model_fn(script, version, accelerator_type)
        _check_signatures(script)
        _check_transform_fn(script)
        _check_torch_load(script, version)
        if accelerator_type is not None:
            _check_elastic_inference(script)
    if version:
        _check_requirements(script, version)
    return script.sorted_findings()


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


def _check_signatures(script: Script) -> None:
    for name, parameters in HANDLERS.items():
        function = script.functions.get(name)
        if function is None:
            continue
        expected = f"{name}({', '.join(parameters)})"
        if isinstance(function, ast.AsyncFunctionDef):
            script.add(
                function.lineno,
                "Inference.handlerSignature",
                "error",
                f"{name} is a coroutine, which the model server does not await",
                f"define it with def {expected}",
            )
        elif not _accepts(function.args, len(parameters)):
            script.add(
                function.lineno,
                "Inference.handlerSignature",
                "error",
                f"{name} must take {len(parameters)} arguments, and may take context after them",
                f"define it as {expected} or {name}({', '.join(parameters)}, context)",
            )


def _accepts(arguments: ast.arguments, count: int) -> bool:
    """Whether a function can be called with `count` positional arguments, or with one more, the context."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    if any(default is None for default in arguments.kw_defaults):
        return False
    enough = positional >= count or arguments.vararg is not None
    return enough and required <= count + 1


def _check_transform_fn(script: Script) -> None:
    handlers = script.handlers
    others = [name for name in ("input_fn", "predict_fn", "output_fn") if name in handlers]
    if "transform_fn" in handlers and others:
        script.add(
            handlers["transform_fn"].lineno,
            "Inference.transformFn",
            "error",
            f"transform_fn excludes {', '.join(others)}, which it stands for",
            "keep either transform_fn or the others",
        )


def _check_torch_load(script: Script, version: FrameworkVersion | None) -> None:
    """Note loads that run code from the file; weights_only exists since 1.13 and is the default since 2.6."""
    needs_argument = version is None or (1, 13) <= version.release < (2, 6)
    for call in script.calls("torch.load"):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        value = given.get("weights_only")
        is_off = isinstance(value, ast.Constant) and value.value is False
        is_missing = value is None and None not in given
        if is_off or (is_missing and needs_argument):
            script.add(
                call.lineno,
                "Inference.torchLoad",
                "warning",
                f"torch.load {'with weights_only=False' if is_off else 'without weights_only'} "
                "runs whatever code the file holds",
                "save the state_dict and load it with weights_only=True",
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

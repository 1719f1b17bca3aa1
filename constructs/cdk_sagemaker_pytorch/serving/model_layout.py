"""Whether model data on this machine can be served: their layout, their script, their file of weights."""

import tempfile
from pathlib import Path

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.packaging.local_model import LocalModel, look_into
from cdk_sagemaker_pytorch.packaging.model_data import ModelData
from cdk_sagemaker_pytorch.scripts.script_check.script import HANDLERS, Script
from cdk_sagemaker_pytorch.source.source_code import SourceCode

__all__ = ["check_model_layout"]

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_WEIGHTS = ("model.pt", "model.pth")
_SHOWN = 5


def check_model_layout(
    problems: Problems,
    model_data: ModelData,
    *,
    source_code: SourceCode | None,
    entry_point: str,
    framework_version: FrameworkVersion,
    accelerator_type: str | None,
    has_application: bool,
) -> LocalModel | None:
    """Note what is wrong with model data on this machine; None for those that are elsewhere.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    model_data : ModelData
        The model.
    source_code : SourceCode or None
        The inference code, if it is not the model's own.
    entry_point : str
        The script in the model's own ``code/``.
    framework_version : FrameworkVersion
        PyTorch version of the serving container.
    accelerator_type : str or None
        Elastic Inference accelerator, if any: its container loads ``model.pt``.
    has_application : bool
        Whether something else than handler functions serves.
    """
    if model_data.local_path is None:
        return None
    model = look_into(model_data.local_path)
    if model.problem is not None:
        problems.add(
            f"model_data must be a gzip-compressed tar archive, got {model_data.local_path}, which cannot be"
            f" read: {model.problem}"
        )
    elif not model.names:
        problems.add(f"model_data must hold files, got {model_data.local_path}, which has none")
    elif len(model.names) == 1 and next(iter(model.names)).endswith(_ARCHIVES):
        problems.add(
            f"model_data must be an archive of the model's files, got {model_data.local_path}, which holds"
            f" nothing but the archive {next(iter(model.names))}: give that one, as a model.tar.gz"
        )
    elif (not has_application and accelerator_type is None) and _has_its_script(
        problems, model, source_code, entry_point, framework_version
    ):
        script = _script(model, source_code, entry_point)
        if script is None or _leaves_loading_to_the_default(script):
            _check_weights(problems, model, framework_version)
    return model


def _has_its_script(
    problems: Problems,
    model: LocalModel,
    source_code: SourceCode | None,
    entry_point: str,
    version: FrameworkVersion,
) -> bool:
    """Note a script that is somewhere else than the container looks for it."""
    if source_code is not None or not version.code_in_model_archive or entry_point in model.scripts:
        return True
    place = f"code/{entry_point}"
    if entry_point in model.names:
        problems.add(
            f"model_data must have {place}, got {entry_point} at the top: put it into code/, or give it as"
            " source_code"
        )
    elif model.top_folder is not None and f"{model.top_folder}/{place}" in model.names:
        problems.add(
            f"model_data must have {place}, got {model.top_folder}/{place}: pack what lies in"
            f" {model.top_folder}/, as tar -C {model.top_folder} -czf model.tar.gz . does"
        )
    elif others := _scripts_with_handlers(model):
        problems.add(
            f"entry_point must be a script in the code/ of model_data, got {entry_point}, while handler"
            f" functions are in {', '.join(others)}: name one of them"
        )
    elif not version.ships_handlers and version.model_server in ("flask", "mms"):
        problems.add(
            f"model_data must have {place} for framework_version {version.full}, whose container has no"
            f" default model_fn, got {_shown(model)}: add it, or give source_code"
        )
    else:
        return True
    return False


def _scripts_with_handlers(model: LocalModel) -> list[str]:
    return sorted(name for name, text in model.scripts.items() if "/" not in name and _handlers(text))


def _handlers(text: bytes) -> set[str]:
    return {name for name in HANDLERS if f"def {name}(".encode() in text}


def _script(model: LocalModel, source_code: SourceCode | None, entry_point: str) -> Script | None:
    """Read the script that serves; None where there is none, or none on this machine."""
    if source_code is not None:
        path = source_code.path
        return Script(path) if path is not None and path.is_file() else None
    if entry_point not in model.scripts:
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "script.py")
        copy.write_bytes(model.scripts[entry_point])
        return Script(copy)


def _leaves_loading_to_the_default(script: Script) -> bool:
    return script.is_parsed and not script.star_imports and "model_fn" not in script.handlers


def _check_weights(problems: Problems, model: LocalModel, version: FrameworkVersion) -> None:
    """Note weights that a default model_fn cannot load: it takes TorchScript, and ours our own too."""
    if version.model_server in ("flask", "mms"):
        return
    chosen = [name for name in _WEIGHTS if name in model.models][:1] or list(model.models)
    if len(chosen) != 1:
        inside = model.top_folder
        where = f", all of it in the folder {inside}/" if inside is not None else ""
        problems.add(
            "model_data must have model.pt, model.pth or one file that ends so at the top, as no model_fn"
            f" loads another, got {', '.join(sorted(model.models)) or _shown(model)}{where}"
        )
        return
    (name,) = chosen
    if model.models[name] == "tensors" or (model.models[name] == "bundled" and not version.ships_handlers):
        problems.add(
            f"model_data must be TorchScript where no model_fn loads it, got {name}, which holds tensors and"
            " no network: give source_code with a model_fn, or save the model with torch.jit.save"
        )


def _shown(model: LocalModel) -> str:
    names = sorted(model.names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""The default handler functions, for those that a user's script leaves out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

from .answers import as_array, to_json
from .bundled_model import load_bundled_model
from .codecs import CODECS, JSON, SUPPORTED, Limits, decode, encode
from .content_types import content_type_of, negotiate

_LIMITS = Limits.from_environment()


def model_fn(model_dir: str, context: Any = None) -> torch.nn.Module:
    """Load ``model.pt``, else ``model.pth``, else the only file that ends so.

    Parameters
    ----------
    model_dir
        The folder into which ``model.tar.gz`` was unpacked.
    context
        The context of the model server; its ``gpu_id`` chooses among several GPUs.

    Returns
    -------
    torch.nn.Module
        A TorchScript module or the model of the bundled training script, in eval mode, on the GPU if there is
        one.

    Raises
    ------
    FileNotFoundError
        There is no such file, or several and none of these names.
    ValueError
        The file is neither TorchScript nor a model of the bundled training script.
    """
    path = _model_file(Path(model_dir))
    device = _device(context)
    if _is_torchscript(path):
        module: torch.nn.Module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
        return module.eval()
    return load_bundled_model(path).to(device)


def _model_file(model_dir: Path) -> Path:
    # Archives made on a Mac hold a ._model.pt beside each model.pt.
    found = (path for path in model_dir.glob("*") if not path.name.startswith("."))
    files = sorted(path for path in found if path.suffix in (".pt", ".pth"))
    for name in ("model.pt", "model.pth"):
        if model_dir / name in files:
            return model_dir / name
    if len(files) != 1:
        raise FileNotFoundError(
            f"{model_dir} must hold model.pt, model.pth or one file that ends so, "
            f"got {[path.name for path in files]}: save one there or write a model_fn"
        )
    return files[0]


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def input_fn(request_body: bytes | bytearray | str, request_content_type: str) -> torch.Tensor:
    """Read JSON, CSV or NPY into a tensor on the CPU.

    Parameters
    ----------
    request_body
        The body of the request.
    request_content_type
        Its content type, see `codecs.decode`.

    Returns
    -------
    torch.Tensor
        float32 for JSON and CSV, of the dtype of the array for NPY.

    Raises
    ------
    RequestError
        The body cannot be read, see `codecs.decode`.
    """
    array = decode(request_body, request_content_type, _LIMITS)
    if not CODECS[content_type_of(request_content_type, SUPPORTED).name].keeps_dtype:
        array = array.astype(np.float32)
    elif array.dtype.kind == "u" and array.dtype.itemsize > 1:
        # torch has no arithmetic for unsigned integers of more than eight bits.
        array = array.astype(np.int64)
    elif array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(array)


def predict_fn(input_object: Any, model: Callable[..., Any], context: Any = None) -> Any:
    """Call the model on the input, in eval and inference mode, on the GPU if there is one.

    Parameters
    ----------
    input_object
        What input_fn returned. Floating-point tensors are cast to the dtype of the model's parameters. So are
        integers, unless they are 32 or 64 bits wide and the model has an embedding or no parameters.
    model
        What model_fn returned: a module, or anything that can be called.
    context
        The context of the model server; its ``gpu_id`` chooses among several GPUs.

    Returns
    -------
    object
        What the model returned.

    Raises
    ------
    Exception
        Whatever the model raises, also where the input does not fit it: torch does not tell the caller's
        mistake from the model's.
    """
    if isinstance(model, torch.nn.Module):
        device = _device(context)
        if model.training:
            model.eval()
        weight = next(model.parameters(), None)
        if weight is not None and weight.device != device:
            model.to(device)
        if isinstance(input_object, torch.Tensor):
            input_object = input_object.to(device, dtype=_input_dtype(input_object, model))
    with torch.inference_mode():
        return model(input_object)


def _device(context: Any) -> torch.device:
    """Choose the GPU that the model server names, else the current one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpu = getattr(context, "system_properties", {}).get("gpu_id")
    return torch.device("cuda", torch.cuda.current_device() if gpu is None else int(gpu))


def _input_dtype(tensor: torch.Tensor, model: torch.nn.Module) -> torch.dtype:
    dtypes = (weight.dtype for weight in model.parameters() if weight.is_floating_point())
    dtype = next(dtypes, None)
    if tensor.is_floating_point():
        return dtype or torch.get_default_dtype()
    if tensor.dtype in (torch.int32, torch.int64) and (dtype is None or _has_embedding(model)):
        return tensor.dtype
    return dtype or tensor.dtype


def _has_embedding(model: torch.nn.Module) -> bool:
    # A TorchScript module keeps the name of its class only in `original_name`.
    names = (getattr(module, "original_name", type(module).__name__) for module in model.modules())
    return any("Embedding" in name for name in names)


def output_fn(prediction: Any, content_type: str) -> tuple[bytes, str]:
    """Write a prediction as JSON, CSV or NPY.

    Parameters
    ----------
    prediction
        A tensor, an array, a list or a number; bfloat16 is written as float32. Anything else that JSON can
        carry, tensors and arrays in it included, is written as JSON.
    content_type
        The Accept header of the request, see `codecs.encode`.

    Returns
    -------
    tuple of bytes and str
        The body and its content type.

    Raises
    ------
    NotAcceptableError
        The caller accepts none of `codecs.CODECS`, or not JSON for what is not numbers.
    PredictionEncodingError
        JSON cannot carry the prediction.
    """
    array = as_array(prediction)
    if array is None:
        if not _is_numbers(prediction):
            # Dicts, strings and lists of different lengths, which only JSON can carry.
            return to_json(prediction), negotiate(content_type, (JSON,))
        array = prediction
    return encode(array, content_type, _LIMITS)


def _is_numbers(prediction: Any) -> bool:
    try:
        return np.asarray(prediction).dtype.kind in "biuf"
    except (ValueError, TypeError, RuntimeError):  # lists of different lengths, tensors of different shapes
        return False

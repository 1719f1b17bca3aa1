"""The entry point of a model on an Elastic Inference accelerator (PyTorch 1.3.1 and 1.5.1, Python 3.6).

The model is TorchScript, saved with `torch.jit.save` as ``model.pt``. Requests and answers are left to the
container's own input_fn and output_fn.
"""

import os

import torch


def model_fn(model_dir):  # type: ignore[no-untyped-def]
    """Load ``model.pt`` onto the CPU.

    The framework of the accelerator's client is CPU-only, and a traced model may name the device it was
    traced on.

    Parameters
    ----------
    model_dir : str
        The folder into which ``model.tar.gz`` was unpacked.

    Returns
    -------
    torch.jit.ScriptModule
        The model, in eval mode.

    Raises
    ------
    FileNotFoundError
        There is no ``model.pt``.
    """
    path = os.path.join(model_dir, "model.pt")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{model_dir} must hold model.pt, saved with torch.jit.save, got {sorted(os.listdir(model_dir))}"
        )
    return torch.jit.load(path, map_location=torch.device("cpu")).eval()  # type: ignore[no-untyped-call]


def predict_fn(input_data, model):  # type: ignore[no-untyped-def]
    """Call the model on the accelerator.

    Parameters
    ----------
    input_data : torch.Tensor
        What input_fn returned.
    model : torch.jit.ScriptModule
        What model_fn returned.

    Returns
    -------
    torch.Tensor
        What the model returned.
    """
    # The second argument exists in the accelerator's build of torch only.
    accelerated = torch.jit.optimized_execution(True, {"target_device": "eia:0"})  # type: ignore[call-arg,attr-defined]
    with torch.no_grad(), accelerated:
        return model(input_data.to(torch.device("cpu")))

"""The chain of handlers behind AWS's PyTorch inference toolkit (TorchServe, PyTorch 1.9 to 2.6).

Set ``SAGEMAKER_PROGRAM`` to ``cdk_sagemaker_pytorch_serving.torchserve_entry_point`` (no ``.py``: the
toolkit imports it by name) and ``CDK_SAGEMAKER_PYTORCH_ENTRY_POINT`` to the user's own script beside this
package, which defaults to ``inference.py``. Scripts that define only some of the functions then get the
defaults of this package instead of the toolkit's, and callers get 4xx for their own mistakes. A model that
cannot be loaded ends TorchServe, so that the health check fails; ``CDK_SAGEMAKER_PYTORCH_CHECK_MODEL=false``
leaves it running, and trying again.
"""

from __future__ import annotations

import os
import sys
from http.client import responses
from pathlib import Path
from typing import Any

from .check_model import checks_model
from .entry_point import load_entry_point, resolve_handlers
from .handler_chain import HandlerChain, Request
from .torchserve_process import end_torchserve

CODE_DIR = Path(__file__).resolve().parent.parent


def model_fn(model_dir: str, context: Any) -> HandlerChain:
    """Load the model of the user's script, with the functions to serve it."""
    _take_bodies_as_they_come()
    try:
        module = load_entry_point(CODE_DIR, os.environ.get("CDK_SAGEMAKER_PYTORCH_ENTRY_POINT") or None)
        return HandlerChain(resolve_handlers(module), model_dir, context)
    except BaseException:
        if checks_model():
            end_torchserve()
        raise


def transform_fn(
    model: HandlerChain, request_body: bytes | str, content_type: str | None, accept: str | None, context: Any
) -> tuple[bytes, str]:
    """Answer a request.

    An error is an answer too, with its status set in the context of the model server: what is raised would
    reach the caller as the toolkit's traceback.
    """
    response = model.invoke_batch([Request(request_body, content_type, accept, context=context)])[0]
    if response.status != context.get_response_status(0)[0]:
        context.set_response_status(response.status, responses.get(response.status, ""), 0)
    return response.body, response.content_type


def _take_bodies_as_they_come() -> None:
    """Keep the toolkit from decoding JSON and CSV itself, and from answering 500 to what is not UTF-8."""
    content_types = sys.modules.get("sagemaker_inference.content_types")
    if content_types is not None:
        content_types.UTF8_TYPES = []  # type: ignore[attr-defined]

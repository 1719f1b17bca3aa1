"""The entry point of a model whose user gives no script: the default handler functions."""

from cdk_sagemaker_pytorch_serving.handlers import (  # type: ignore[import-not-found]  # ships beside this file
    input_fn,
    model_fn,
    output_fn,
    predict_fn,
)

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]

"""Serve a PyTorch model with the handler functions of SageMaker: model_fn, input_fn, predict_fn, output_fn.

The package ships inside ``model.tar.gz`` as ``code/cdk_sagemaker_pytorch_serving``. It runs on Python 3.8 and
later with torch 1.9 and later, and needs numpy besides; orjson makes JSON faster where it is installed.
"""

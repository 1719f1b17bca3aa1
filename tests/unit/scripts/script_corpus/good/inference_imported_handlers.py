# check: inference {"framework_version": "2.4"}
from handlers import loader as model_fn
from handlers import predict_fn

__all__ = ["model_fn", "predict_fn"]

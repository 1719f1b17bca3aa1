# check: inference {"framework_version": "1.3.1", "accelerator_type": "ml.eia2.medium"}
from torch import jit


def model_fn(model_dir):
    return jit.load(model_dir + "/model.pt")  # expect: Inference.elasticInference error

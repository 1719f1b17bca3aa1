# check: inference {"framework_version": "1.3.1", "accelerator_type": "ml.eia1.large"}
import json


def output_fn(prediction, content_type):
    return json.dumps(prediction.tolist())

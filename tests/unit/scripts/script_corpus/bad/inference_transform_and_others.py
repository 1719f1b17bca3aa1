# check: inference {"framework_version": "2.6.0"}
def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return body


def transform_fn(model, body, content_type, accept):  # expect: Inference.transformFn error
    return body

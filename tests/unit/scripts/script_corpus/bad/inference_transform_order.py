# check: inference {"framework_version": "2.6"}
def model_fn(model_dir):
    return model_dir


def transform_fn(request_body, model, content_type, accept):  # expect: Inference.handlerOrder error
    return model(request_body)

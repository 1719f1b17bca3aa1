# check: inference {"framework_version": "2.6"}
def model_fn(model_dir):
    return model_dir


def input_fn(content_type, request_body):  # expect: Inference.handlerOrder error
    return request_body


def predict_fn(model, input_object):  # expect: Inference.handlerOrder error
    return model(input_object)


def output_fn(accept, prediction):  # expect: Inference.handlerOrder error
    return prediction

# check: inference {"framework_version": "2.6.0"}
def model_fn():  # expect: Inference.handlerSignature error
    return None


def input_fn(body, content_type, context, more):  # expect: Inference.handlerSignature error
    return body


def predict_fn(data, model, *, device):  # expect: Inference.handlerSignature error
    return model(data)


def output_fn(prediction):  # expect: Inference.handlerSignature error
    return prediction

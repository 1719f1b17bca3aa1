# check: inference {"framework_version": "2.6"}
def model_fn(model_dir):
    return model_dir


def ouput_fn(prediction, accept):  # expect: Inference.handlerName warning
    return prediction


def predict_func(data, model):  # expect: Inference.handlerName warning
    return model(data)

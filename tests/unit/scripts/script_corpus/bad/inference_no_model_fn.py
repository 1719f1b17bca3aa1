# check: inference {"framework_version": "1.5.0"}  # expect: Inference.modelFn error
def predict_fn(data, model):
    return model(data)

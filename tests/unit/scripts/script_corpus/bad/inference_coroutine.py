# check: inference {}
def model_fn(model_dir):
    return None


async def predict_fn(data, model):  # expect: Inference.handlerSignature error
    return model(data)

"""Answers with the model's number; the word `broken` does not load, `rejects` does not predict."""

import os


def model_fn(model_dir):
    with open(os.path.join(model_dir, "answer.txt")) as model:
        answer = model.read()
    if answer == "broken":
        raise RuntimeError("this model is broken on purpose")
    return answer


def input_fn(body, content_type):
    return body


def predict_fn(data, model):
    if model == "rejects":
        raise ValueError("this model answers nothing")
    return model


def output_fn(prediction, accept):
    return prediction, "application/json"

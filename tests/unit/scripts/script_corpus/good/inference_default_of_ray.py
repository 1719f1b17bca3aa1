# check: inference {"framework_version": "2.10.0"}
def output_fn(prediction, accept):
    return repr(prediction)

# check: inference {"framework_version": "1.9"}
def model_fn(model_dir):
    match model_dir:  # expect: Script.newSyntax error
        case "/opt/ml/model":
            return 1
    return 2

from cdk_sagemaker_pytorch.local.training.hyperparameters import (
    command_line_arguments,
    decode_hyperparameters,
    sm_variables,
)


def test_hyperparameters_are_decoded_and_what_is_no_json_stays() -> None:
    encoded = {"a": "1", "b": '"1"', "c": "true", "d": "[1]", "e": "plain", "f": "null"}
    assert decode_hyperparameters(encoded) == {"a": 1, "b": "1", "c": True, "d": [1], "e": "plain", "f": None}


def test_arguments_are_encoded_as_the_toolkit_does() -> None:
    hyperparameters = {
        "z": True,
        "layers": [1, "b"],
        "map": {"b": 2, "a": 1},
        "none": None,
        "rate": 0.1,
        "name": "x y",
    }
    assert command_line_arguments(hyperparameters) == [
        *("--layers", "[1, 'b']"),
        *("--map", "a=1,b=2"),
        *("--name", "x y"),
        *("--none", ""),
        *("--rate", "0.1"),
        *("-z", "True"),
    ]


def test_variables_are_strings_as_they_are_and_the_rest_as_compact_json() -> None:
    values = {"hosts": ["algo-1", "b"], "model_dir": "/opt/ml/model", "hp_use-cuda": False, "nothing": None}
    assert sm_variables(values) == {
        "SM_HOSTS": '["algo-1","b"]',
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_HP_USE-CUDA": "false",
        "SM_NOTHING": "",
    }

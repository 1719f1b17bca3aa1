"""Models that were trained elsewhere, with their own code or with a script beside it; an app for tests/local.

The variable ``OWN_MODELS`` names a folder with ``my_model``, ``serve.py`` and ``shared``.
"""

import os
from pathlib import Path

from aws_cdk import App, CfnOutput, Stack

from cdk_sagemaker_pytorch import ModelData, PyTorchEndpoint, PyTorchModel, SourceCode

FOLDER = Path(os.environ["OWN_MODELS"])


def main() -> None:
    """Synthesize."""
    app = App()
    stack = Stack(app, "OwnModels")
    data = ModelData.from_directory(FOLDER / "my_model")
    joined = SourceCode.from_file(FOLDER / "serve.py", dependencies=[FOLDER / "shared"])
    for name, version, code in (("Own", "2.13", None), ("Joined", "2.6", joined)):
        model = PyTorchModel(
            stack, f"{name}Model", model_data=data, framework_version=version, source_code=code
        )
        endpoint = PyTorchEndpoint(stack, name, model=model)
        CfnOutput(stack, f"{name}Endpoint", value=endpoint.endpoint_name)
    app.synth()


if __name__ == "__main__":
    main()

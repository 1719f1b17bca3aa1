"""Runs model servers on TorchServe, in the environment of AWS's inference toolkit; a program of its own.

Its argument is a JSON list of servers: folder of the model, environment, log file. It prints the list of
their addresses once all models are loaded, and ends with its standard input.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer


def main() -> None:
    """Serve until nobody needs it."""
    servers = [
        ModelServer("torchserve", Path(model), environment=environment, log_path=Path(log))
        for model, environment, log in json.loads(sys.argv[1])
    ]
    for server in servers:
        if server.server_note:
            sys.exit(server.server_note)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        for server in servers:
            stack.callback(server.stop)
        list(pool.map(ModelServer.start, servers))
        print(
            json.dumps([server.url_invocations.removesuffix("/invocations") for server in servers]),
            flush=True,
        )
        sys.stdin.read()


if __name__ == "__main__":
    main()

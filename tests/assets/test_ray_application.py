"""The Ray Serve application, run for real on the local AWS's Ray Serve host."""

import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cdk_sagemaker_pytorch.local.serving.model_server import ModelLoadError, ModelServer

LIMIT_SECONDS = 90


@pytest.fixture
def ray_serve(model_folder):
    def server(**settings):
        environment = {"SM_RAYSERVE_APP": "cdk_sagemaker_pytorch_serving.ray_application:app", **settings}
        log = model_folder.parent / "endpoint.log"
        return ModelServer("ray", model_folder, environment=environment, log_path=log)

    return server


def post(server, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(server.url_invocations, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            return response.status, response.headers.get_content_type(), response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


def test_requests_that_come_together_are_predicted_together(ray_serve, model_folder, digits, npy):
    (model_folder / "code" / "inference.py").write_text(
        "from cdk_sagemaker_pytorch_serving.handlers import predict_fn as default\n"
        "def predict_fn(data, model):\n"
        "    prediction = default(data, model).clone()\n"
        "    prediction[:, 0] = len(data)  # tells how many rows were predicted together\n"
        "    return prediction\n"
    )
    rows = digits["test"][0][:8].astype(np.float32)
    settings = {
        "CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE": "8",
        "CDK_SAGEMAKER_PYTORCH_BATCH_WAIT_SECONDS": "30",
        "CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "false",
    }
    with ray_serve(**settings) as server, ThreadPoolExecutor(8) as threads:

        def ask(row):
            return post(server, npy(row[None]), content_type="application/x-npy", accept="text/csv")

        answers = list(threads.map(ask, rows))

    assert [answer[:2] for answer in answers] == [(200, "text/csv")] * 8
    # Eight requests fill a batch, long before its wait is over.
    assert [float(answer[2].split(b",")[0]) for answer in answers] == [8.0] * 8


def test_statuses_tell_mistakes_apart(ray_serve, model_folder, npy):
    (model_folder / "code" / "inference.py").write_text(
        "import threading\n"
        "import torch\n"
        "def predict_fn(data, model, context):\n"
        "    if data.sum() < 0:\n"
        "        threading.Event().wait(8)\n"  # late, but not stuck
        "    return torch.tensor([float(context.get_request_header(0, 'X-Trace'))])\n"
    )
    kinds = {
        "content_type": "application/json",
        "accept": "text/csv;q=0.5, application/x-npy",
        "x_trace": "7",
    }
    settings = {"RAYSERVE_BACKEND_TIMEOUT": "5", "CDK_SAGEMAKER_PYTORCH_THREADS": "2"}
    with ray_serve(**settings) as server:
        assert post(server, b"[1]", **kinds) == (200, "application/x-npy", npy(np.float32([7])))
        assert post(server, b"[", **kinds)[0] == 400
        assert post(server, b"[1]", **{**kinds, "content_type": "text/html"})[0] == 415
        assert post(server, b"[1]", **{**kinds, "accept": "image/png"})[0] == 406
        assert post(server, b"[1]", **{**kinds, "x_trace": "x"})[0] == 500
        assert post(server, b"[-1]", **kinds) == (504, "text/plain", b"no answer within 5 s")
        assert post(server, None)[0] == 405
        assert server.ping()


def until(condition):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline


def test_a_script_that_hangs_or_ends_its_process_stops_one_replica_for_a_while(ray_serve, model_folder):
    (model_folder / "code" / "inference.py").write_text(
        "import os, sys\n"
        "def model_fn(model_dir): return 'model'\n"
        "def input_fn(body, content_type): return bytes(body)\n"
        "def predict_fn(data, model):\n"
        "    while data == b'hang':\n"
        "        pass\n"
        "    if data == b'sys.exit':\n"
        "        sys.exit()\n"
        "    if data == b'os._exit':\n"
        "        os._exit(1)\n"
        "    return str(os.getpid())\n"
        "def output_fn(prediction, accept): return prediction\n"
    )
    settings = {
        "RAYSERVE_BACKEND_TIMEOUT": "5",
        "CDK_SAGEMAKER_PYTORCH_THREADS": "2",
        "CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "false",
    }
    with ray_serve(**settings) as server, ThreadPoolExecutor(2) as threads:

        def replica():
            status, _, body = post(server, b"who")
            return body if status == 200 else None

        first = replica()
        assert first
        assert post(server, b"sys.exit")[::2] == (500, b"predict_fn raised SystemExit: ")
        assert replica() == first

        assert post(server, b"os._exit")[0] == 500
        until(replica)
        second = replica()
        assert second != first

        # With one thread stuck the other answers, without a gap, until another replica does.
        assert post(server, b"hang")[::2] == (504, b"no answer within 5 s")
        answers = [second]
        until(lambda: answers.append(replica()) or answers[-1] != second)
        third = answers[-1]
        assert third

        # With both stuck there is a gap.
        assert [answer[0] for answer in threads.map(lambda body: post(server, body), [b"hang"] * 2)] == [
            504
        ] * 2
        until(replica)
        assert replica() != third


def test_fails_when_the_model_does_not_load_and_is_never_healthy(ray_serve, model_folder):
    (model_folder / "model.pth").unlink()
    server = ray_serve()
    pings, ended = [], threading.Event()

    def poll():
        while not ended.wait(0.02):
            pings.append(server.ping())

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        with pytest.raises(ModelLoadError, match=r"must hold model\.pt, model\.pth or one file"):
            server.start()
    finally:
        ended.set()
        watcher.join()

    assert len(pings) > 5
    assert not any(pings)

"""The Ray Serve application, run for real on the local AWS's Ray Serve host as it is set up on AWS."""

import http.client
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.local.serving.model_server import ModelLoadError, ModelServer
from cdk_sagemaker_pytorch.serving.ray_environment import ray_environment
from waiting import wait_for

TOKEN = "sesame"  # noqa: S105 - of a test
RAY_SERVE = {
    "SM_RAYSERVE_APP": "cdk_sagemaker_pytorch_serving.ray_application:app",
    "CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "false",
    **ray_environment(PyTorchImage.inference().ray_serve_tag),
}
# Does as its request says.
SCRIPT = """
import ctypes, os, sys, threading, time
from cdk_sagemaker_pytorch_serving.errors import RequestError

held, released = threading.Semaphore(0), threading.Event()

def model_fn(model_dir):
    if os.path.exists(os.path.join(model_dir, "is gone")):
        os._exit(1)
    return "model"

def input_fn(body, content_type):
    if content_type == "text/html":
        raise RequestError("no HTML")
    return bytes(body).split(b" ")[0]

def predict_fn(data, model, context):
    while data == b"hang":
        pass
    if data == b"sys.exit":
        sys.exit()
    if data == b"interrupt":
        raise KeyboardInterrupt
    if data == b"os._exit":
        os._exit(1)
    if data == b"lose thread":
        ctypes.CDLL(None).pthread_exit(None)
    if data == b"status":
        error = RuntimeError("asked elsewhere")
        error.status = 404
        raise error
    if data == b"hold":
        while not os.path.exists(context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")):
            time.sleep(0.01)
    if data == b"late":
        time.sleep(6)
    if data == b"context":
        return context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    return str(os.getpid())

def output_fn(prediction, accept): return prediction
"""


def make_server(folder, **settings):
    log = folder.parent / "endpoint.log"
    return ModelServer("ray", folder, environment={**RAY_SERVE, **settings}, log_path=log, token=TOKEN)


def post(server, body, timeout=60, **headers):
    """Send a request; return its status and its answer, both as the container's adapter has them."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | server.headers
    request = urllib.request.Request(server.url_invocations, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except http.client.RemoteDisconnected as error:
        return 500, str(error).encode()
    except TimeoutError:
        return 504, b"Request timeout"


def replica(server):
    """Return which process answers, or None where none does."""
    status, body = post(server, b"who", timeout=10)
    return body if status == 200 else None


@pytest.fixture(scope="module")
def served(tmp_path_factory, assets):
    """A replica with two threads and five seconds for an answer, which all tests of it share in turn."""
    import shutil

    folder = tmp_path_factory.mktemp("served") / "model"
    package = folder / "code" / "cdk_sagemaker_pytorch_serving"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(assets / "inference_assets" / "serving", package, ignore=ignore)
    (folder / "code" / "inference.py").write_text(SCRIPT)
    settings = {
        "RAYSERVE_BACKEND_TIMEOUT": "5",
        "CDK_SAGEMAKER_PYTORCH_THREADS": "2",
        "CDK_SAGEMAKER_PYTORCH_MAX_ONGOING_REQUESTS": "6",
        "CDK_SAGEMAKER_PYTORCH_MAX_BODY_BYTES": "1000000",
        "CDK_SAGEMAKER_PYTORCH_UNHEALTHY_AFTER_SECONDS": "30",
    }
    with make_server(folder, **settings) as server:
        yield server


def log_of(server):
    return server.log_path.read_text(errors="replace")


def test_each_request_fails_for_itself_alone(served):
    first = wait_for(lambda: replica(served))
    attributes = "X-Amzn-SageMaker-Custom-Attributes"

    assert post(served, b"context", **{attributes: "7"}) == (200, b"7")
    assert post(served, b"x", content_type="text/html") == (400, b"no HTML")
    assert post(served, b"status")[0] == 500
    assert post(served, b"sys.exit") == (500, b"predict_fn raised SystemExit: ")
    assert post(served, b"interrupt") == (500, b"predict_fn raised KeyboardInterrupt: ")
    assert post(served, None)[0] == 405
    assert replica(served) == first


def test_the_log_names_the_request_and_has_the_traceback(served):
    post(served, b"status", X_Amzn_SageMaker_Inference_Id="my-own-id")

    wait_for(lambda: "request my-own-id: predict_fn failed" in log_of(served))
    wait_for(lambda: "raise error\n" in log_of(served) and "asked elsewhere" in log_of(served))


def test_a_body_is_refused_while_it_is_read(served):
    assert post(served, b"who " + b"x" * 900_000)[0] == 200
    assert post(served, b"who " + b"x" * 1_000_000) == (
        413,
        b"the body must have at most 1000000 bytes, got 1000004",
    )

    # Without a length nothing says beforehand how much comes.
    target = urllib.parse.urlsplit(served.url_invocations)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
    chunks = (b"x" * 100_000 for _ in range(11))
    try:
        connection.request("POST", "/", chunks, served.headers, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, response.read()) == (
            413,
            b"the body must have at most 1000000 bytes, got 1100000",
        )
    finally:
        connection.close()
    assert replica(served)


def test_a_request_that_is_cut_off_leaves_room_for_others(served):
    target = urllib.parse.urlsplit(served.url_invocations)
    head = "".join(f"{name}: {value}\r\n" for name, value in served.headers.items())
    for _ in range(20):  # more than are taken at once
        with socket.create_connection((target.hostname, target.port), timeout=60) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 50\r\n\r\nwho".encode())

    wait_for(lambda: replica(served))


def test_what_is_too_much_gets_503_while_health_checks_pass(served, tmp_path):
    flag = tmp_path / "flag"

    def hold(_):
        return post(served, b"hold", X_Amzn_SageMaker_Custom_Attributes=str(flag))

    with ThreadPoolExecutor(12) as threads:
        calls = [threads.submit(hold, number) for number in range(12)]
        refused = wait_for(lambda: len(done := [call for call in calls if call.done()]) >= 6 and done)
        assert {call.result() for call in refused} == {(503, b"busy: 6 requests are being answered or wait")}
        assert all(served.ping() for _ in range(50))
        flag.touch()
        # Those that were accepted are answered, or at least told.
        assert {call.result()[0] for call in calls if call not in refused} <= {200, 504}
    assert wait_for(lambda: replica(served))


def test_a_process_that_ends_is_replaced_and_the_container_is_healthy_meanwhile(served):
    first = wait_for(lambda: replica(served))

    assert post(served, b"os._exit")[0] == 500
    pings = []
    wait_for(lambda: pings.append(served.ping()) or replica(served) not in (None, first))
    assert all(pings)


def test_an_answer_that_is_late_is_504_and_says_where_it_was(served):
    first = wait_for(lambda: replica(served))

    assert post(served, b"late", X_Amzn_SageMaker_Inference_Id="the-late-one") == (
        504,
        b"no answer within 5 s",
    )
    wait_for(lambda: "request the-late-one: no answer within 5 s; the threads are at" in log_of(served))
    wait_for(lambda: "time.sleep(6)" in log_of(served))
    assert replica(served) == first  # late is not stuck


def test_a_thread_that_is_lost_or_stuck_costs_no_answer_of_others(served):
    first = wait_for(lambda: replica(served))

    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(post, served, b"hang")
        # The other thread answers until another replica does.
        answers = [first]
        wait_for(lambda: answers.append(replica(served)) or answers[-1] != first)
        assert stuck.result() == (504, b"no answer within 5 s")
    assert None not in answers


def test_a_replica_whose_threads_are_all_stuck_is_replaced(served):
    first = wait_for(lambda: replica(served))

    with ThreadPoolExecutor(2) as threads:
        stuck = [threads.submit(post, served, b"hang") for _ in range(2)]
        assert [call.result() for call in stuck] == [(504, b"no answer within 5 s")] * 2
    wait_for(lambda: replica(served) not in (None, first))
    assert served.ping()


def test_a_container_without_a_replica_for_long_is_unhealthy(served, assets):
    """The last one: nothing answers after it."""
    gone = served._model_dir / "is gone"
    wait_for(lambda: replica(served))
    gone.touch()

    assert post(served, b"os._exit")[0] == 500
    wait_for(lambda: not served.ping())
    gone.unlink()
    # Whatever comes of it, it is the truth: healthy is what answers.
    wait_for(lambda: served.ping() and replica(served))


def test_requests_that_come_together_are_predicted_together(model_folder, digits, npy):
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
        "CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION": "0",
        "CDK_SAGEMAKER_PYTORCH_BATCH_WAIT_SECONDS": "30",
    }
    with make_server(model_folder, **settings) as server, ThreadPoolExecutor(8) as threads:

        def ask(row):
            return post(server, npy(row[None]), content_type="application/x-npy", accept="text/csv")

        answers = list(threads.map(ask, rows))

    assert [status for status, _ in answers] == [200] * 8
    # Eight requests fill a batch, long before its wait is over.
    assert [float(body.split(b",")[0]) for _, body in answers] == [8.0] * 8


# HAProxy takes a server for healthy until its first check, which has a second. The container's entry point
# asks before it starts the adapter, through which SageMaker asks: what is healthy for a moment is not taken.
@pytest.mark.parametrize(("haproxy", "unchecked_seconds"), [("1", 5), ("0", 0)])
def test_fails_when_the_model_does_not_load_and_is_never_taken_for_healthy(
    model_folder, haproxy, unchecked_seconds
):
    (model_folder / "model.pth").unlink()
    server = make_server(
        model_folder, CDK_SAGEMAKER_PYTORCH_CHECK_MODEL="true", RAY_SERVE_ENABLE_HA_PROXY=haproxy
    )
    pings, ended = [], threading.Event()

    def poll():
        while not ended.wait(0.02):
            pings.append((server.ping(), time.monotonic()))

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        with pytest.raises(ModelLoadError, match=r"must hold model\.pt, model\.pth or one file"):
            server.start()
    finally:
        ended.set()
        watcher.join()

    assert len(pings) > 5
    healthy = [when for is_healthy, when in pings if is_healthy]
    assert not healthy or healthy[-1] - healthy[0] < unchecked_seconds

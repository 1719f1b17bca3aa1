"""A hostile web page in a real browser: it reads nothing, and nothing that it sends takes effect."""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer

pytestmark = pytest.mark.local

PAGE = Path(__file__).with_name("hostile_page.html")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# Leaves a trace of each request.
HANDLERS = """
import pathlib
def model_fn(model_dir): return pathlib.Path(model_dir, "asked")
def input_fn(body, content_type): return body
def predict_fn(data, asked):
    asked.touch()
    return data
def output_fn(prediction, accept): return prediction
"""
# What a page may notice of a request to anybody: that it was sent, not what came of it.
NOTICED = ("sent", "failed", "nothing")
# What works where nobody is on guard: the browser itself does not stop these.
UNGUARDED = {
    "fetch no-cors",
    "POST of text, no-cors",
    "POST of a form, no-cors",
    "image of a leaked URL",
    "script of a leaked URL",
    "beacon",
}


class Site:
    """A web server without any guard: of the hostile page, and of what the same page is tried on."""

    def __init__(self, page: Callable[[], str]) -> None:
        self.reports: list[list[dict[str, str]]] = []
        self.reported = threading.Event()
        self.requests: set[tuple[str, str]] = set()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.add(("GET", self.path))
                kinds = {"/": ("text/html", page().encode()), "/image.png": ("image/png", PNG)}
                kind, body = kinds.get(self.path, ("text/javascript", b"1"))
                self.answer(kind, body)

            def do_POST(self) -> None:
                site.requests.add(("POST", self.path))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/report":
                    site.reports.append(json.loads(body))
                self.answer("text/plain", b"")
                if self.path == "/report":
                    site.reported.set()

            def answer(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def chromium() -> str:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if "CI" in os.environ:
            pytest.fail("Chromium is not installed: see the table in .ci/run")
        pytest.skip("Chromium is not installed, on a machine of one's own it is optional")
    return program


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Open an address in a browser whose names of "evil.test" all lead to this machine."""
    opened: list[subprocess.Popen[str]] = []

    def start(url: str, *more: str) -> subprocess.Popen[str]:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        options += [f"--user-data-dir={tmp_path / f'profile-{len(opened)}'}"]
        options += ["--host-resolver-rules=MAP *.test 127.0.0.1", "--disable-component-update"]
        options += ["--disable-background-networking", "--no-proxy-server"]
        process = subprocess.Popen(
            [chromium, *options, *more, url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        opened.append(process)
        return process

    yield start
    for process in opened:
        process.kill()
        process.communicate()


@pytest.fixture
def model_server(tmp_path: Path) -> Iterator[ModelServer]:
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "code" / "inference.py").write_text(HANDLERS)
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    server = ModelServer(
        "asgi",
        tmp_path / "model",
        environment=environment,
        log_path=tmp_path / "server.log",
        token="open sesame",  # noqa: S106
    )
    with server:
        yield server


def test_a_hostile_page_gets_nowhere(
    aws: LocalAws, bucket: str, browse: Callable[..., Any], model_server: ModelServer, tmp_path: Path
) -> None:
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    leaked = {}
    for name, kind, body in (("image.png", "image/png", PNG), ("script.js", "text/javascript", b"1")):
        s3.put_object(Bucket=bucket, Key=name, Body=body, ContentType=kind)
        leaked[name] = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": name})
    before = [item["Name"] for item in s3.list_buckets()["Buckets"]]
    aws.faults.throttle("sagemaker:ListHubs")

    def target(base: str, **names: str) -> dict[str, str]:
        return {"base": base, "image": names.get("image", base), "script": names.get("script", base)}

    def page() -> str:
        local, model = aws.endpoint_url, model_server.url_invocations.removesuffix("/invocations")
        found = {"image": leaked["image.png"], "script": leaked["script.js"]}
        control = f"http://127.0.0.1:{unguarded.port}"
        targets = {"control": target(control, image=f"{control}/image.png", script=f"{control}/script.js")}
        for host in ("127.0.0.1", "localhost", "evil.test", "sub.evil.test"):
            for name, base, more in (("local AWS", local, found), ("model server", model, {})):
                renamed = {key: url.replace("127.0.0.1", host) for key, url in more.items()}
                targets[f"{name} as {host}"] = target(base.replace("127.0.0.1", host), **renamed)
        key = aws.environment["AWS_ACCESS_KEY_ID"]
        return PAGE.read_text().replace("TARGETS", json.dumps(targets)).replace("KEY", key)

    hostile, unguarded = Site(page), Site(page)
    browse(f"http://evil.test:{hostile.port}/")
    assert hostile.reported.wait(600), "the page did not come to its end"
    results = hostile.reports[0]
    tried = [result for result in results if result["target"] != "control"]
    assert len(tried) >= 200
    assert [result for result in tried if result["seen"] not in NOTICED] == []
    # The same on a server without a guard is not stopped by the browser.
    control = {result["way"]: result["seen"] for result in results if result["target"] == "control"}
    assert {way for way in UNGUARDED if control[way] in ("sent", "loaded")} == UNGUARDED
    assert {
        ("POST", "/_local/faults"),
        ("POST", "/moto-api/reset"),
        ("POST", "/bucket"),
    } <= unguarded.requests

    # Nothing has happened.
    assert len(aws.faults.pending) == 1
    aws.faults.clear()
    assert [item["Name"] for item in s3.list_buckets()["Buckets"]] == before
    assert s3.get_object(Bucket=bucket, Key="image.png")["Body"].read() == PNG
    assert "evil" not in str(aws.client("iam").list_users()["Users"])
    assert not (tmp_path / "model" / "asked").exists()
    for site in (hostile, unguarded):
        site.server.shutdown()
        site.server.server_close()


def test_a_name_that_leads_here_shows_nothing(aws: LocalAws, bucket: str, browse: Callable[..., Any]) -> None:
    """DNS rebinding: the page's own name resolves to this machine, which the browser takes for one site."""
    aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"secret-content", ContentType="text/plain")
    port = aws.endpoint_url.rpartition(":")[2]
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    leaked = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    for url in (f"http://evil.test:{port}/", leaked.replace("127.0.0.1", "evil.test")):
        text, _ = browse(url, "--dump-dom").communicate(timeout=60)
        assert "the local AWS answers as" in text
        assert "secret-content" not in text
    # The user, who follows a link of their own, sees the object.
    text, _ = browse(leaked, "--dump-dom").communicate(timeout=60)
    assert "secret-content" in text

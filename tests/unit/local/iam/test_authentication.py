"""Requests that botocore signs pass; changed in any one thing they do not. A real server reads them."""

import datetime as dt
import hashlib
import http.client
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.sts.models import sts_backends
from werkzeug.serving import make_server

from cdk_sagemaker_pytorch.local.base import server_state
from cdk_sagemaker_pytorch.local.iam import access
from cdk_sagemaker_pytorch.local.iam.authentication import authenticate
from cdk_sagemaker_pytorch.local.iam.signed_request import Refusal, SignatureError
from cdk_sagemaker_pytorch.local.iam.signers import ChunkSigner

ACCOUNT = "123456789012"
HEADER_SIGNERS = {"s3": S3SigV4Auth, "lambda": SigV4Auth}
QUERY_SIGNERS = {"s3": S3SigV4QueryAuth, "lambda": SigV4QueryAuth}


@dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Gate:
    """A server that says of each request whether its signature holds."""

    def __init__(self, port: int, user: Credentials, session: Credentials) -> None:
        self.port = port
        self.user = user
        self.session = session

    def send(self, sent: Sent) -> str:
        """Return "" where the signature holds, else why it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(sent.method, sent.target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.headers:
                connection.putheader(name, value.encode())
            connection.putheader("Content-Length", str(len(sent.body)))
            connection.endheaders(sent.body)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def sign(
        self,
        keys: Credentials,
        service: str = "s3",
        method: str = "PUT",
        path: str = "/b/k",
        query: tuple[tuple[str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        *,
        presigned: bool = False,
        signer: Any = None,
    ) -> Sent:
        """Return a request that botocore has signed, as a client of HTTP would send it."""
        encode = urllib.parse.quote
        target = encode(path, safe="/~")
        if query:
            target += "?" + "&".join(f"{encode(a, safe='-_.~')}={encode(b, safe='-_.~')}" for a, b in query)
        request = AWSRequest(method, f"http://127.0.0.1:{self.port}{target}", data=body)
        for name, value in headers:
            request.headers[name] = value
        if signer is None:
            signer = (QUERY_SIGNERS if presigned else HEADER_SIGNERS)[service](keys, service, "us-east-1")
        signer.add_auth(request)
        host = ("Host", f"127.0.0.1:{self.port}")
        rest = tuple((name, str(value)) for name, value in request.headers.items())
        return Sent(method, request.url.partition(str(self.port))[2], (host, *rest), body)


def assume_role(duration: int) -> Any:
    return sts_backends[ACCOUNT]["aws"].assume_role(
        region_name="us-east-1",
        role_session_name="s",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/r",
        policy="",
        duration=duration,
        external_id="",
    )


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        try:
            authenticate(environ)
            said = b""
        except SignatureError as error:
            said = error.refusal.name.encode()
        start_response("200 OK", [("Content-Length", str(len(said)))])
        # A body that nobody reads would break the connection.
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return [said] if environ["REQUEST_METHOD"] != "HEAD" else []

    class Quiet(MotoRequestHandler):
        def log_request(self, *_: Any) -> None: ...

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    user = server_state.Credentials.random()
    before = server_state._settings
    server_state.configure(
        server_state.ServerSettings(
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region="us-east-1",
            account=ACCOUNT,
            directory=Path(tmp_path_factory.mktemp("gate")),
            enforce_iam=True,
            user=user,
        )
    )
    session = assume_role(3600)
    try:
        yield Gate(
            server.server_port,
            Credentials(user.access_key_id, user.secret_access_key),
            Credentials(session.access_key_id, session.secret_access_key, session.session_token),
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server_state._settings = before


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
segments = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
        lambda part: part not in (".", "..") and "/" not in part
    ),
    min_size=1,
    max_size=4,
)
paths = segments.map(lambda parts: "/" + "/".join(parts))
# Names that no signer uses; the same name may come again.
queries = st.lists(st.tuples(text.map("q{}".format), text), max_size=4).map(tuple)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("äß日"), max_size=16)
headers = st.lists(
    st.tuples(st.sampled_from(["x-amz-meta-a", "x-amz-meta-b_c", "x-amz-tagging", "content-type"]), values),
    max_size=3,
    unique_by=lambda item: item[0],
).map(tuple)
methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"])
services = st.sampled_from(["s3", "lambda"])
bodies = st.binary(max_size=40)


@given(
    service=services,
    method=methods,
    path=paths,
    query=queries,
    more=headers,
    body=bodies,
    presigned=st.booleans(),
    by_session=st.booleans(),
)
def test_what_botocore_signs_passes(
    gate: Gate,
    service: str,
    method: str,
    path: str,
    query: tuple[tuple[str, str], ...],
    more: tuple[tuple[str, str], ...],
    body: bytes,
    presigned: bool,
    by_session: bool,
) -> None:
    keys = gate.session if by_session else gate.user
    if presigned:  # botocore moves a body into the query, and keeps one value of each name
        body, query = b"", tuple(dict(query).items())
    assert gate.send(gate.sign(keys, service, method, path, query, more, body, presigned=presigned)) == ""


def changed_header(name: str, change: Callable[[str], str]) -> Callable[[Sent], Sent]:
    def apply(sent: Sent) -> Sent:
        pairs = ((key, change(value) if key.lower() == name else value) for key, value in sent.headers)
        return replace(sent, headers=tuple(pairs))

    return apply


def in_authorization(old: str, new: str) -> Callable[[Sent], Sent]:
    return changed_header("authorization", lambda value: value.replace(old, new))


def without_header(name: str) -> Callable[[Sent], Sent]:
    return lambda sent: replace(sent, headers=tuple(pair for pair in sent.headers if pair[0].lower() != name))


def with_header(name: str, value: str) -> Callable[[Sent], Sent]:
    return lambda sent: replace(sent, headers=(*sent.headers, (name, value)))


def in_target(old: str, new: str) -> Callable[[Sent], Sent]:
    return lambda sent: replace(sent, target=sent.target.replace(old, new, 1))


def later(value: str) -> str:
    moment = dt.datetime.strptime(value, "%Y%m%dT%H%M%SZ") + dt.timedelta(seconds=1)
    return moment.strftime("%Y%m%dT%H%M%SZ")


CHANGES: Mapping[str, Callable[[Sent], Sent]] = {
    "method": lambda sent: replace(sent, method="DELETE"),
    "path": in_target("/b/", "/c/"),
    "end of the path": in_target("?", "x?"),
    "another spelling of the path": in_target("/b/", "/./b/"),
    "a way out of the path": in_target("/b/", "/x/../b/"),
    "two slashes": in_target("/b/", "/b//"),
    "a fragment": in_target("?", "#?"),
    "query": in_target("color=red", "color=blue"),
    "more query": lambda sent: replace(sent, target=f"{sent.target}&versionId=1"),
    "less query": in_target("color=red&", ""),
    "a repeated parameter": in_target("color=red", "color=red&color=blue"),
    "an order of values": in_target("same=1&same=2", "same=12&same="),
    "a signed header": changed_header("x-amz-meta-a", lambda _: "other"),
    "a second value of a signed header": with_header("x-amz-meta-a", "other"),
    "a signed header taken away": without_header("x-amz-meta-a"),
    "a header with an underscore": lambda sent: replace(
        sent,
        headers=tuple((key.replace("a_b", "a-b"), value) for key, value in sent.headers),
    ),
    "a header that is not signed": with_header("x-amz-acl", "public-read"),
    "a target that is not signed": with_header("X-Amz-Target", "DynamoDB_20120810.DeleteTable"),
    "host": changed_header("host", lambda value: value.replace("127.0.0.1", "localhost")),
    "body": lambda sent: replace(sent, body=b"other"),
    "no body": lambda sent: replace(sent, body=b""),
    "hash of the body": changed_header("x-amz-content-sha256", lambda _: hashlib.sha256(b"x").hexdigest()),
    "a body that is not signed": lambda sent: changed_header(
        "x-amz-content-sha256", lambda _: "UNSIGNED-PAYLOAD"
    )(replace(sent, body=b"other")),
    "time": changed_header("x-amz-date", later),
    "day": changed_header("authorization", lambda value: re.sub(r"/\d{8}/", "/20200101/", value)),
    "region": in_authorization("us-east-1", "eu-west-1"),
    "service": in_authorization("/s3/", "/sts/"),
    "signature": changed_header(
        "authorization", lambda value: value[:-1] + "0123456789abcdef"[int(value[-1], 16) ^ 1]
    ),
    "no signature": changed_header(
        "authorization", lambda value: value.partition("Signature=")[0] + "Signature="
    ),
    "signed headers": in_authorization("host;", ""),
    "two credentials": in_authorization(
        "Credential=", "Credential=AKIAX/20200101/a/s3/aws4_request, Credential="
    ),
    "token": changed_header("x-amz-security-token", lambda value: value[:-1] + "x"),
    "no token": without_header("x-amz-security-token"),
    "two signatures": lambda sent: replace(sent, target=f"{sent.target}&X-Amz-Signature=0"),
}


@pytest.fixture
def sample(gate: Gate) -> Sent:
    return gate.sign(
        gate.session,
        query=(("color", "red"), ("same", "1"), ("same", "2")),
        headers=(("x-amz-meta-a", "1"), ("x-amz-meta-a_b", "2")),
        body=b"body",
    )


def test_the_sample_passes(gate: Gate, sample: Sent) -> None:
    assert gate.send(sample) == ""


@pytest.mark.parametrize("change", CHANGES)
def test_fails_when_one_thing_is_another(gate: Gate, sample: Sent, change: str) -> None:
    other = CHANGES[change](sample)
    assert other != sample
    assert gate.send(other) != ""


@given(
    sent=st.tuples(services, methods, paths, queries, headers, bodies, st.booleans()),
    other=st.tuples(services, methods, paths, queries, headers, bodies),
    what=st.sampled_from(range(1, 6)),
)
def test_fails_when_a_request_carries_the_signature_of_another(
    gate: Gate, sent: Any, other: Any, what: int
) -> None:
    *parts, by_session = sent
    keys = gate.session if by_session else gate.user
    changed = [*parts[:what], other[what], *parts[what + 1 :]]
    if what == 3:
        # The order of parameters counts for nothing, on AWS as here.
        parts[3], changed[3] = sorted(parts[3]), sorted(changed[3])
    if what == 4:
        # Blanks at the ends of headers, and how many there are, count for nothing either.
        fold = lambda pairs: sorted((name, " ".join(value.split())) for name, value in pairs)  # noqa: E731
        if fold(parts[4]) == fold(changed[4]):
            return
    if changed == parts:
        return
    signed, target = gate.sign(keys, *parts), gate.sign(keys, *changed)
    names = ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
    own = [pair for pair in signed.headers if pair[0].lower() in names]
    forged = replace(
        target, headers=(*(pair for pair in target.headers if pair[0].lower() not in names), *own)
    )
    assert gate.send(signed) == ""
    assert gate.send(forged) != ""


@pytest.mark.parametrize("service", ["s3", "lambda"])
@pytest.mark.parametrize("presigned", [False, True])
def test_fails_when_the_secret_is_another(gate: Gate, service: str, presigned: bool) -> None:
    for keys in (gate.user, gate.session):
        stranger = Credentials(keys.access_key, keys.secret_key[:-1], keys.token)
        assert gate.send(gate.sign(stranger, service, presigned=presigned)) == "WRONG_SIGNATURE"


@pytest.mark.parametrize("presigned", [False, True])
def test_fails_when_token_and_key_do_not_belong_together(gate: Gate, presigned: bool) -> None:
    user, session = gate.user, gate.session
    for keys in (
        Credentials(user.access_key, user.secret_key, session.token),
        Credentials(session.access_key, session.secret_key, "other"),
        Credentials(session.access_key, session.secret_key),
    ):
        assert gate.send(gate.sign(keys, presigned=presigned)) == "WRONG_TOKEN"
    unknown = Credentials("AKIAXXXXXXXXXXXXXXXX", user.secret_key)
    assert gate.send(gate.sign(unknown, presigned=presigned)) == "UNKNOWN_KEY"


def test_keys_of_a_session_hold_for_its_time(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    for duration, said in ((900, ""), (-1, "EXPIRED_TOKEN")):
        session = assume_role(duration)
        keys = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
        assert gate.send(gate.sign(keys)) == said
    # What runs as a role has keys that AWS renews; here they last.
    monkeypatch.setattr(access, "_service_key_ids", {session.access_key_id})
    assert gate.send(gate.sign(keys)) == ""


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the signer's clock some minutes off."""

    def set_clock(minutes: float) -> None:
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
        monkeypatch.setattr("botocore.auth.time.time", moment.timestamp)

    return set_clock


@pytest.mark.parametrize(
    ("minutes", "said"), [(-16, "SKEWED"), (-14, ""), (14, ""), (16, "SKEWED"), (-60 * 24 * 365, "SKEWED")]
)
def test_clocks_may_differ_by_a_quarter_of_an_hour(
    gate: Gate, at: Callable[[float], None], minutes: float, said: str
) -> None:
    at(minutes)
    assert gate.send(gate.sign(gate.user)) == said


@pytest.mark.parametrize(("minutes", "said"), [(-61, "EXPIRED"), (-59, ""), (14, ""), (16, "EXPIRED")])
def test_a_presigned_url_holds_for_its_time(
    gate: Gate, at: Callable[[float], None], minutes: float, said: str
) -> None:
    at(minutes)
    assert gate.send(gate.sign(gate.user, presigned=True)) == said


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "1.5", "x", ""])
def test_fails_when_a_presigned_url_would_hold_for_ever(gate: Gate, expires: str) -> None:
    sent = gate.sign(gate.user, signer=S3SigV4QueryAuth(gate.user, "s3", "us-east-1", expires))
    assert gate.send(sent) == "MALFORMED"


@pytest.mark.parametrize(
    "name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"]
)
def test_fails_when_a_presigned_url_says_something_twice_or_not(gate: Gate, name: str) -> None:
    sent = gate.sign(gate.session, presigned=True)
    [pair] = [part for part in sent.target.partition("?")[2].split("&") if part.startswith(f"X-Amz-{name}=")]
    assert gate.send(sent) == ""
    assert gate.send(replace(sent, target=f"{sent.target}&{pair}")) != ""
    assert gate.send(replace(sent, target=sent.target.replace(pair, "a=b"))) != ""
    assert gate.send(replace(sent, target=sent.target.replace(pair, f"{pair}0"))) != ""


def test_fails_when_a_presigned_request_has_headers_of_its_own(gate: Gate) -> None:
    sent = gate.sign(gate.user, presigned=True)
    assert gate.send(with_header("x-amz-acl", "public-read")(sent)) == "WRONG_SIGNATURE"
    assert gate.send(with_header("Authorization", "AWS4-HMAC-SHA256 x")(sent)) == "MALFORMED"


# boto3's presigned URLs of S3 are of Version 2 where nobody asks for another.
def test_a_presigned_url_of_version_2_is_verified(gate: Gate, at: Callable[[float], None]) -> None:
    for keys in (gate.user, gate.session):
        query = (("versionId", "v+ä x"), ("prefix", "p"))
        signer = HmacV1QueryAuth(keys)
        sent = gate.sign(keys, method="GET", path="/b/a b#+ä", query=query, signer=signer)
        sent = replace(sent, headers=sent.headers[:1])
        assert gate.send(sent) == ""
        for old, new in (
            ("/b/", "/c/"),
            ("%23", "#"),
            ("versionId=v", "versionId=w"),
            ("Expires=", "Expires=9"),
            ("Signature=", "Signature=x"),
            (keys.access_key, "AKIAXXXXXXXXXXXXXXXX"),
        ):
            assert gate.send(in_target(old, new)(sent)) != ""
        assert gate.send(replace(sent, method="DELETE")) != ""
        assert gate.send(with_header("x-amz-acl", "public-read")(sent)) != ""
        stranger = HmacV1QueryAuth(Credentials(keys.access_key, "other", keys.token))
        assert gate.send(gate.sign(keys, method="GET", signer=stranger)) != ""
    at(-61)
    sent = gate.sign(gate.user, method="GET", signer=HmacV1QueryAuth(gate.user))
    assert gate.send(replace(sent, headers=sent.headers[:1])) == "EXPIRED"


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS {key}:c2lnbmF0dXJl",
        "AWS3-HTTPS AWSAccessKeyId={key},Algorithm=HmacSHA256,Signature=x",
        "AWS4-ECDSA-P256-SHA256 Credential={key}/20260101/s3/aws4_request, SignedHeaders=host, Signature=00",
        "Basic {key}",
        "Bearer {key}",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential={key}",
        "AWS4-HMAC-SHA256 Credential={key}/x/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    ],
)
def test_fails_when_it_is_signed_in_another_way(gate: Gate, authorization: str) -> None:
    host = ("Host", f"127.0.0.1:{gate.port}")
    given = ("Authorization", authorization.format(key=gate.user.access_key))
    sent = Sent("GET", "/", (host, given, ("X-Amz-Date", "20260101T000000Z")), b"")
    assert gate.send(sent) in ("UNSUPPORTED", "MALFORMED")
    assert gate.send(replace(sent, headers=(host,))) == "MISSING"
    old = f"/?AWSAccessKeyId={gate.user.access_key}&SignatureVersion=2&Signature=x&Expires=1"
    assert gate.send(replace(sent, headers=(host,), target=old)) == "UNSUPPORTED"


def chunked(gate: Gate, kind: str, chunks: list[bytes], keys: Credentials) -> Sent:
    """Return an upload in chunks, as AWS's SDKs send it."""

    class Signer(S3SigV4Auth):
        def payload(self, _: Any) -> str:
            return kind

    length = str(sum(map(len, chunks)))
    more = (("x-amz-decoded-content-length", length), ("Content-Encoding", "aws-chunked"))
    sent = gate.sign(keys, headers=more, signer=Signer(keys, "s3", "us-east-1"))
    authorization, moment = (dict(sent.headers)[name] for name in ("Authorization", "X-Amz-Date"))
    local = server_state.Credentials(keys.access_key, keys.secret_key, keys.token)
    sign = chain(local, moment, authorization.rpartition("=")[2])
    body = b""
    for data in [*chunks, b""]:
        signature = f";chunk-signature={sign.chunk(data)}" if kind.startswith("STREAMING-AWS4") else ""
        body += f"{len(data):x}{signature}\r\n".encode() + data + (b"\r\n" if data else b"")
    if kind.endswith("TRAILER"):
        body += b"x-amz-checksum-crc32:AAAAAA==\r\n"
    if kind.startswith("STREAMING-AWS4") and kind.endswith("TRAILER"):
        body += (
            b"x-amz-trailer-signature:" + sign.trailer(b"x-amz-checksum-crc32:AAAAAA==\n").encode() + b"\r\n"
        )
    return replace(sent, body=body + b"\r\n")


def chain(keys: server_state.Credentials, moment: str, signature: str) -> ChunkSigner:
    from cdk_sagemaker_pytorch.local.iam.signed_request import SignedRequest

    scope = (keys.access_key_id, moment[:8], "us-east-1", "s3", moment, ("host",), signature)
    return ChunkSigner(keys, SignedRequest(*scope, token=None, expires=None))


KINDS = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
]


@pytest.mark.parametrize("kind", KINDS)
@given(chunks=st.lists(st.binary(min_size=1, max_size=30), max_size=4))
def test_uploads_in_chunks_pass(gate: Gate, kind: str, chunks: list[bytes]) -> None:
    assert gate.send(chunked(gate, kind, chunks, gate.session)) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_fails_when_a_chunk_is_another(gate: Gate, kind: str) -> None:
    sent = chunked(gate, kind, [b"one", b"three"], gate.user)
    assert gate.send(sent) == ""
    for old, new in (
        (b"three", b"thre"),
        (b"\r\n0", b"\r\n1"),
        (b"5", b"+5"),
        (b"5", b"0"),
        (b"3", b"4"),
        (b"one\r\n", b"one"),
        (b"one\r\n", b"one\n"),
        (sent.body, b""),
        (sent.body, sent.body[: len(sent.body) // 2]),
    ):
        changed = sent.body.replace(old, new, 1)
        assert gate.send(replace(sent, body=changed)) in ("WRONG_BODY", "WRONG_SIGNATURE")
    if kind.startswith("STREAMING-AWS4"):
        for old, new in ((b"one", b"two"), (b"three", b"forty")):
            assert gate.send(replace(sent, body=sent.body.replace(old, new))) == "WRONG_SIGNATURE"
    if kind == KINDS[1]:
        changed = replace(sent, body=sent.body.replace(b"AAAAAA==", b"BBBBBB=="))
        assert gate.send(changed) == "WRONG_SIGNATURE"
    longer = changed_header("x-amz-decoded-content-length", lambda value: value + "0")(sent)
    assert gate.send(longer) == "WRONG_SIGNATURE"


def test_a_chunk_is_signed_as_in_the_documentation_of_aws() -> None:
    # "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
    keys = server_state.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    signer = chain(keys, "20130524T000000Z", seed)
    assert [signer.chunk(b"a" * size) for size in (65536, 1024, 0)] == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


def test_each_refusal_has_a_code_in_each_protocol() -> None:
    from cdk_sagemaker_pytorch.local.server.error_answers import refusal_code

    for refusal in Refusal:
        for environ in ({}, {"CONTENT_TYPE": "application/json"}, {"QUERY_STRING": "Action=x"}):
            status, code = refusal_code(refusal, environ)
            assert status[:3] in ("400", "403")
            assert code

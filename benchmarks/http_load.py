"""Many clients of one HTTP server, each on a connection that it keeps, as fast as one process can."""

import asyncio
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple


class Answer(NamedTuple):
    """A status, a body, and how many milliseconds it took."""

    status: int
    body: bytes
    milliseconds: float


class Connection:
    """A connection to a server that is opened when it is needed, and again when the server closes it."""

    def __init__(self, url: str) -> None:
        target = urllib.parse.urlsplit(url)
        self._host, self._port, self._path = target.hostname, target.port, target.path or "/"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a request and read its answer; status 0 where the connection was closed without one."""
        began = time.perf_counter()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {self._path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            await writer.drain()
            status, answer = await self._read(reader)
        except (OSError, asyncio.IncompleteReadError):
            status, answer = 0, b""
        if status == 0:
            self.close()
        return Answer(status, answer, (time.perf_counter() - began) * 1e3)

    async def cut_off(self, body: bytes, headers: dict[str, str]) -> None:
        """Send half of a request, and go."""
        self.close()
        self._streams = await asyncio.open_connection(self._host, self._port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {self._path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        self._streams[1].write(head.encode() + body[: len(body) // 2])
        await self._streams[1].drain()
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(head[0].split()[1]), body


class Figures(NamedTuple):
    """What came of a load: answers a second, milliseconds of those that were 200, and all statuses."""

    per_second: float
    p50_ms: float
    p99_ms: float
    statuses: dict[int, int]


async def _load(
    url: str, clients: int, seconds: float, request: Callable[[int], tuple[bytes, dict[str, str], bool]]
) -> Figures:
    times: list[float] = []
    statuses: Counter[int] = Counter()
    numbers = iter(range(10**9))
    end = time.monotonic() + seconds

    async def client() -> None:
        connection = Connection(url)
        while time.monotonic() < end:
            body, headers, counts = request(next(numbers))
            answer = await connection.post(body, headers)
            statuses[answer.status] += 1
            if answer.status == 200 and counts:
                times.append(answer.milliseconds)
        connection.close()

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.monotonic() - began
    times.sort()
    return Figures(
        round(statuses[200] / took, 1),
        round(times[len(times) // 2], 2),
        round(times[int(len(times) * 0.99)], 2),
        dict(statuses),
    )


def load(
    url: str, clients: int, seconds: float, request: Callable[[int], tuple[bytes, dict[str, str], bool]]
) -> Figures:
    """Ask a server for some seconds.

    Parameters
    ----------
    url
        What is POSTed to.
    clients
        How many ask at once.
    seconds
        How long.
    request
        Returns the body and the headers of a request by its number, and whether its time counts.
    """
    return asyncio.run(_load(url, clients, seconds, request))

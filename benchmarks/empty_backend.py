"""Answers every request at once with the same NPY: what is left to be measured stands in front of it.

python benchmarks/empty_backend.py PORT
"""

import asyncio
import io
import sys

import numpy as np


def _answer() -> bytes:
    body = io.BytesIO()
    np.save(body, np.zeros((1, 10), dtype=np.float32))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-npy\r\nContent-Length: {body.tell()}\r\n\r\n"
    return head.encode() + body.getvalue()


_ANSWER = _answer()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            if found:
                await reader.readexactly(int(rest.partition(b"\r\n")[0]))
            writer.write(_ANSWER)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def main() -> None:
    """Answer until it is killed."""
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

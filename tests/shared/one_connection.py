"""A server that speaks to one client, as no real one would."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def one_connection(speak: Callable[[socket.socket], object]) -> Iterator[int]:
    """Listen on loopback, and let a function speak to the first who connects; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                speak(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()

"""Health checks of a container in service: one that ended, or is not healthy for long, is started again."""

import logging
import threading
import time
from collections.abc import Callable

from .model_server import ModelLoadError, ModelServer

_PAUSE_SECONDS = 1.0
# Far longer than a handler needs to be replaced, and than a busy machine is silent.
_UNHEALTHY_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class ContainerWatch:
    """Watches a model server that is in service.

    Parameters
    ----------
    server
        The server, started.
    make_server
        Returns another like it, not started.
    say
        Called with each line for the log of the container.
    """

    def __init__(
        self, server: ModelServer, make_server: Callable[[], ModelServer], say: Callable[[str], None]
    ) -> None:
        self.server = server
        self._make_server = make_server
        self._say = say
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="container-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop the server, and do not start it again."""
        with self._lock:
            self._stopped.set()
            server = self.server
        server.stop()

    def _watch(self) -> None:
        last_healthy = time.monotonic()
        while not self._stopped.wait(_PAUSE_SECONDS):
            code = self.server.ended
            if code is None and self.server.ping():
                last_healthy = time.monotonic()
                continue
            if code is not None:
                self._replace(f"the container ended with exit code {code}")
            elif time.monotonic() - last_healthy > _UNHEALTHY_SECONDS:
                self._replace(f"the container was not healthy for {_UNHEALTHY_SECONDS:g} seconds")
            else:
                continue
            last_healthy = time.monotonic()

    def _replace(self, reason: str) -> None:
        pause = _PAUSE_SECONDS
        self._tell(f"{reason}: it is started again")
        self.server.stop()
        while not self._stopped.is_set():
            server = self._make_server()
            with self._lock:
                if self._stopped.is_set():
                    return
                self.server = server  # so that `stop` reaches it while it starts
            try:
                server.start()
            except (ModelLoadError, OSError) as error:
                if not self._stopped.is_set():
                    self._tell(f"the container did not start again: {error}")
                self._stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._tell("the container is in service again")
                return

    def _tell(self, line: str) -> None:
        _logger.warning("%s", line)
        self._say(line)

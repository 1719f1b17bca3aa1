"""Run HAProxy as Ray Serve wants it, on loopback alone, and for those alone who have the server's token.

A program of its own, which `RAY_SERVE_HAPROXY_BINARY_PATH` names: Ray Serve starts it in place of HAProxy,
with a configuration that it has written. Out of that go the two listeners for figures, which are open to
every interface. What is left wants the token that `token_check` wants, and sends it along where HAProxy
checks replicas. The token is in a file that only its owner can read, and in no command line.
"""

import os
import re
import sys
from pathlib import Path

from token_check import TOKEN_HEADER, TOKEN_VARIABLE  # type: ignore[import-not-found]

#: Sections that listen on every interface: figures for Prometheus, and a page about them.
_OPEN_SECTIONS = ("frontend prometheus", "listen stats")
_SECTION = re.compile(r"^(?=(?:global|defaults|frontend|backend|listen)\b)", re.MULTILINE)
_FRONTEND = "frontend http_frontend\n"
_HEALTH_CHECK = re.compile(r"^( *)option httpchk GET (\S+)$", re.MULTILINE)
_TOKEN = re.compile(r"[0-9A-Za-z_-]*")


def guarded(configuration: str, token: str) -> str:
    """Return a configuration of Ray Serve's HAProxy that lets nobody in without a token.

    Parameters
    ----------
    configuration
        What Ray Serve has written.
    token
        The token; empty lets everybody in who reaches loopback.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token must be letters, digits, - and _ alone")
    sections = [part for part in _SECTION.split(configuration) if not part.startswith(_OPEN_SECTIONS)]
    text = "".join(sections)
    if text.count(_FRONTEND) != 1:
        raise ValueError("Ray Serve's configuration of HAProxy has no http_frontend: it has changed")
    if not token:
        return text
    deny = f"    http-request deny deny_status 403 unless {{ req.hdr({TOKEN_HEADER}) -m str -- {token} }}\n"
    text = text.replace(_FRONTEND, _FRONTEND + deny)
    return _HEALTH_CHECK.sub(
        rf"\1option httpchk\n\1http-check send meth GET uri \2 hdr {TOKEN_HEADER} {token}", text
    )


def main() -> None:
    """Guard the configuration, and become HAProxy."""
    binary, *arguments = sys.argv[1:]
    path = Path(arguments[arguments.index("-f") + 1])
    path.chmod(0o600)
    text = guarded(path.read_text(encoding="utf-8"), os.environ.get(TOKEN_VARIABLE, ""))
    path.write_text(text, encoding="utf-8")
    os.execv(binary, [binary, *arguments])  # noqa: S606 - what Ray Serve would have started


if __name__ == "__main__":
    main()

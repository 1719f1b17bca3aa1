"""Let the gRPC servers of a Ray worker listen on loopback alone, and to the token of its Ray alone.

Serve binds each replica's to [::], and takes what it gets there for its own. Importing this closes the
process, or ends it where that fails: Ray imports it first in every worker (`RAY_preload_python_modules`),
and goes on without what cannot be imported.
"""

import os
import traceback
from typing import Any


def _keep_to_ourselves() -> None:
    import grpc  # type: ignore[import-untyped]
    from grpc.aio import _server  # type: ignore[import-untyped]
    from ray._private.authentication import grpc_authentication_client_interceptor as client_side
    from ray._private.authentication import grpc_authentication_server_interceptor as server_side

    add_insecure_port, new_server = _server.Server.add_insecure_port, grpc.aio.server
    new_channel = grpc.aio.insecure_channel

    def add_loopback_port(self: Any, address: str) -> Any:
        return add_insecure_port(self, address.replace("[::]", "127.0.0.1"))

    def server_with_check(*args: Any, interceptors: Any = None, **options: Any) -> Any:
        checks = [server_side.AsyncAuthenticationServerInterceptor()]
        return new_server(*args, interceptors=[*checks, *(interceptors or ())], **options)

    def channel_with_token(*args: Any, interceptors: Any = None, **options: Any) -> Any:
        tokens = client_side.get_async_auth_interceptors()  # type: ignore[no-untyped-call]
        return new_channel(*args, interceptors=[*tokens, *(interceptors or ())], **options)

    _server.Server.add_insecure_port = add_loopback_port
    grpc.aio.server = server_with_check
    grpc.aio.insecure_channel = channel_with_token


try:
    _keep_to_ourselves()
except BaseException:
    traceback.print_exc()
    os._exit(1)

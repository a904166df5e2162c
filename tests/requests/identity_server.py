"""A token endpoint as Azure's managed identities have it, on loopback, in a thread."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Identity:
    """The endpoint; its tokens are made-up-token-1, -2 and so on.

    Attributes:
        life_s: Seconds that the next token lives.
        given: Tokens that were given.
        down: Whether it fails.
    """

    life_s: int = 3600
    given: list[str] = field(default_factory=list)
    down: bool = False
    address: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the identity library finds it."""
        return {"IDENTITY_ENDPOINT": f"{self.address}/token", "IDENTITY_HEADER": "made-up-header"}


@contextmanager
def serve_identity() -> Iterator[Identity]:
    """Runs the endpoint while the block runs."""
    identity = Identity()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if identity.down:
                self.send_error(400)  # the library tries again after a 5xx, for seconds
                return
            identity.given.append(f"made-up-token-{len(identity.given) + 1}")
            expires_on = str(int(time.time()) + identity.life_s)
            body = json.dumps({"access_token": identity.given[-1], "expires_on": expires_on, "token_type": "Bearer"})
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        identity.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield identity
        server.shutdown()

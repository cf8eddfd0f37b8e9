"""A thin HTTP layer over the standard library: requests, responses, routes, server."""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Mapping, Optional, Pattern, Protocol
from urllib.parse import parse_qsl, urlsplit

from .store import Store

access_logger = logging.getLogger("bookshop.access")


class HTTPError(Exception):
    """An answer other than success that a handler chose to give."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Request:
    """What a client asks for."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    params: Dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Dict[str, str]:
        """The query's fields; of a repeated field, the last one."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> Optional[str]:
        """Return a header, or None if the client did not send it."""
        return self.headers.get(name)

    def json(self) -> Dict[str, Any]:
        """Return the body as a JSON object; anything else is the client's mistake."""
        try:
            payload = json.loads(self.body)
        except ValueError:
            raise HTTPError(400, "the body is not JSON") from None
        if not isinstance(payload, dict):
            raise HTTPError(400, "the body is not a JSON object")
        return payload


@dataclass
class Response:
    """What a handler answers: a status and a JSON document."""

    document: Any
    status: int = 200


Handler = Callable[[Store, Request], Response]


@dataclass(frozen=True)
class Route:
    """A method and a path template such as ``/books/{book_id}``, and who answers it."""

    method: str
    pattern: Pattern[str]
    handler: Handler


class Routes(List[Route]):
    """The routes of one module, filled by decorating its handlers."""

    def get(self, template: str) -> Callable[[Handler], Handler]:
        """Register the decorated handler for GET."""
        return self._register("GET", template)

    def post(self, template: str) -> Callable[[Handler], Handler]:
        """Register the decorated handler for POST."""
        return self._register("POST", template)

    def _register(self, method: str, template: str) -> Callable[[Handler], Handler]:
        pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template))

        def register(handler: Handler) -> Handler:
            self.append(Route(method, pattern, handler))
            return handler

        return register


class Responder(Protocol):
    """Whatever turns a request into a response."""

    def handle(self, request: Request) -> Response:
        """Answer the request; never raises."""
        ...


def make_server(app: Responder, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that answers with ``app``, one thread for each connection."""

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "bookshop"
        # Head and body leave in one packet, and an idle client is dropped.
        wbufsize = -1
        disable_nagle_algorithm = True
        timeout = 10

        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            response = app.handle(Request(self.command, self.path, self.headers, body))
            content = json.dumps(response.document).encode()
            self.send_response_only(response.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self._log_access(response.status, len(content))

        do_GET = do_POST = do_PUT = do_DELETE = _respond

        def _log_access(self, status: int, size: int) -> None:
            client = self.headers.get("X-Forwarded-For", self.client_address[0])
            access_logger.info(
                '%s - - [%s] "%s" %d %d "%s" "%s"',
                client,
                time.strftime("%d/%b/%Y:%H:%M:%S %z"),
                self.requestline,
                status,
                size,
                self.headers.get("Referer", "-"),
                self.headers.get("User-Agent", "-"),
            )

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on standard error: the access log has it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    return Server((host, port), Connection)

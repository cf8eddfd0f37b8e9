"""The application: finds the handler of a request and turns failures into answers."""

from __future__ import annotations

import logging
import time

from . import catalogue, orders, ratings
from .store import Store
from .web import HTTPError, Request, Response, Route, Routes

logger = logging.getLogger("bookshop.app")

SLOW_SECONDS = 0.1

health_routes = Routes()


@health_routes.get("/healthz")
def health(store: Store, request: Request) -> Response:
    """Tell the load balancer that the service can reach its data."""
    return Response({"status": "ok", "books": store.one("SELECT count(*) AS n FROM books")["n"]})


class Application:
    """The bookshop without its sockets, so that tests can call it directly."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.routes = [
            *health_routes,
            *catalogue.routes,
            *ratings.routes,
            *orders.routes,
        ]

    def handle(self, request: Request) -> Response:
        """Answer the request: with what was asked for, or with what went wrong."""
        started = time.monotonic()
        owner = logger
        try:
            route = self._find_route(request)
            owner = logging.getLogger(route.handler.__module__)
            response = route.handler(self.store, request)
        except HTTPError as error:
            response = Response({"error": error.message}, error.status)
        except Exception:
            owner.exception("Unhandled exception on %s %s", request.method, request.path)
            response = Response({"error": "internal server error"}, 500)
        elapsed = time.monotonic() - started
        if elapsed > SLOW_SECONDS:
            logger.warning(
                "Slow request: %s %s took %d ms", request.method, request.path, elapsed * 1000
            )
        return response

    def _find_route(self, request: Request) -> Route:
        """Return the route of the request and keep the path's parameters in it."""
        known_path = False
        for route in self.routes:
            match = route.pattern.fullmatch(request.path)
            if match is None:
                continue
            if route.method == request.method:
                request.params = match.groupdict()
                return route
            known_path = True
        if known_path:
            raise HTTPError(405, "this method is not supported here")
        raise HTTPError(404, "there is nothing here")

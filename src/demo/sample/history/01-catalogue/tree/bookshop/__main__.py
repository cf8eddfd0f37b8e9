"""Start the bookshop: ``python -m bookshop --port 8080 --logs /var/log/bookshop``."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from pathlib import Path

from . import __version__
from .app import Application
from .logs import configure_logging
from .store import Store
from .web import make_server

logger = logging.getLogger("bookshop.main")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bookshop", description="Serve the bookshop.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free port")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="where logs are written")
    return parser.parse_args()


def main() -> None:
    """Serve until a SIGTERM or SIGINT arrives, then finish what was begun."""
    arguments = parse_arguments()
    configure_logging(arguments.logs)
    store = Store()
    server = make_server(Application(store), arguments.host, arguments.port)

    def stop(signum: int, _frame: object) -> None:
        logger.info("Received %s, stopping", signal.Signals(signum).name)
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    host, port = server.server_address[:2]
    logger.info("Bookshop %s listening on %s:%d", __version__, host, port)
    print(f"ready http://{host}:{port}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        store.close()
        logger.info("Stopped")


if __name__ == "__main__":
    main()

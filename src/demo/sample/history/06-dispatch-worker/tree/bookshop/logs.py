"""Logging: one file for people, one for requests and one for machines."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from pathlib import Path

APP_FORMAT = "%(asctime)s %(levelname)s [%(name)s] %(message)s"


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, with its traceback under ``exc_info``."""
        moment = datetime.fromtimestamp(record.created, tz=timezone.utc)
        document = {
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(document)


def configure_logging(directory: Path) -> None:
    """Send the application's, the requests' and the worker's records to their own files."""
    directory.mkdir(parents=True, exist_ok=True)
    _route("bookshop", directory / "app.log", logging.Formatter(APP_FORMAT))
    _route("bookshop.access", directory / "access.log", logging.Formatter("%(message)s"))
    _route("bookshop.worker", directory / "worker.log", JsonFormatter())


def _route(name: str, path: Path, formatter: logging.Formatter) -> None:
    """Write the records of the logger ``name`` to ``path`` and nowhere else."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(formatter)
    target = logging.getLogger(name)
    target.setLevel(logging.DEBUG)
    target.addHandler(handler)
    target.propagate = False

"""Logging: one file for the application and one for its requests."""

from __future__ import annotations

import logging
from pathlib import Path

APP_FORMAT = "%(asctime)s %(levelname)s [%(name)s] %(message)s"


def configure_logging(directory: Path) -> None:
    """Send the application's and the requests' records to their own files."""
    directory.mkdir(parents=True, exist_ok=True)
    _route("bookshop", directory / "app.log", logging.Formatter(APP_FORMAT))
    _route("bookshop.access", directory / "access.log", logging.Formatter("%(message)s"))


def _route(name: str, path: Path, formatter: logging.Formatter) -> None:
    """Write the records of the logger ``name`` to ``path`` and nowhere else."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(formatter)
    target = logging.getLogger(name)
    target.setLevel(logging.DEBUG)
    target.addHandler(handler)
    target.propagate = False

"""The data: an SQLite database in memory, filled with a demonstration catalogue."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any, List, Optional

SEED = Path(__file__).with_name("seed.json")

SCHEMA = """
CREATE TABLE books (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    price INTEGER NOT NULL, -- in pence
    stock INTEGER NOT NULL
);
"""


class Store:
    """A database that threads may share: one statement or one transaction at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(SCHEMA)
        self._fill(json.loads(SEED.read_text(encoding="utf-8")))

    def __enter__(self) -> Store:
        """Begin a transaction, which commits if nothing is raised in it."""
        self._lock.acquire()
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, failure: object, *_details: object) -> None:
        """End the transaction."""
        self._connection.execute("COMMIT" if failure is None else "ROLLBACK")
        self._lock.release()

    def all(self, sql: str, *values: Any) -> List[sqlite3.Row]:
        """Return every row of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Optional[sqlite3.Row]:
        """Return the first row of a query, or None if it has none."""
        with self._lock:
            return self._connection.execute(sql, values).fetchone()

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement that changes data."""
        with self._lock:
            return self._connection.execute(sql, values)

    def close(self) -> None:
        """Give the database up."""
        self._connection.close()

    def _fill(self, tables: dict) -> None:
        """Insert the rows of the seed, whose keys are tables and columns."""
        for table, rows in tables.items():
            for row in rows:
                columns = ", ".join(row)
                marks = ", ".join("?" for _ in row)
                self.run(f"INSERT INTO {table} ({columns}) VALUES ({marks})", *row.values())

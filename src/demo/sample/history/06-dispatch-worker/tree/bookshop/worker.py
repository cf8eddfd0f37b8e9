"""The background worker: whatever an order needs after its customer has been answered."""

from __future__ import annotations

import logging
import sqlite3
import threading

from .shipping import depot_for
from .store import Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.02
BACKLOG = 25


class Worker(threading.Thread):
    """Takes jobs from the store, one at a time, in the order they were queued."""

    def __init__(self, store: Store) -> None:
        super().__init__(name="worker", daemon=True)
        self.store = store
        self._stopping = threading.Event()
        self._steps = {"confirm": self._confirm, "dispatch": self._dispatch}

    def run(self) -> None:
        """Work until stop() is called and no job is left."""
        logger.info("Worker started")
        while True:
            # Read before the queue: what is queued before stop() must still be done.
            stopping = self._stopping.is_set()
            if self.work():
                continue
            if stopping:
                break
            self._stopping.wait(POLL_SECONDS)
        logger.info("Worker stopped")

    def stop(self) -> None:
        """Finish the queued jobs and stop."""
        self._stopping.set()
        self.join()

    def work(self) -> bool:
        """Do the next job; return whether there was one. A failed job is set aside."""
        job = self.store.one("SELECT * FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1")
        if job is None:
            return False
        self._watch_backlog()
        order = self.store.one(
            "SELECT orders.*, name, email FROM orders"
            " JOIN customers ON customers.id = customer_id WHERE orders.id = ?",
            job["order_id"],
        )
        try:
            self._steps[job["kind"]](order)
            state = "done"
        except Exception:
            logger.exception("Job %d (%s) failed for order %d", job["id"], job["kind"], order["id"])
            state = "failed"
        self.store.run("UPDATE jobs SET state = ? WHERE id = ?", state, job["id"])
        return True

    def _watch_backlog(self) -> None:
        """Warn when customers order faster than this thread works."""
        waiting = self.store.one("SELECT count(*) AS n FROM jobs WHERE state = 'queued'")["n"]
        if waiting > BACKLOG:
            logger.warning("%d jobs are waiting", waiting)

    def _confirm(self, order: sqlite3.Row) -> None:
        """Write to the customer; the mail itself leaves through the relay's spool."""
        logger.info("Confirmed order %d to %s <%s>", order["id"], order["name"], order["email"])

    def _dispatch(self, order: sqlite3.Row) -> None:
        """Hand the order to a depot."""
        depot = depot_for(order["address"])
        logger.info("Order %d leaves from %s", order["id"], depot)

"""Reports for the shop's staff."""

from __future__ import annotations

import logging

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

DEFAULT_DAYS = "30"
MAX_DAYS = 366


@routes.get("/reports/sales")
def sales(store: Store, request: Request) -> Response:
    """Report the best sellers of the last ``days`` days."""
    days = int(request.query.get("days", DEFAULT_DAYS))
    if not 1 <= days <= MAX_DAYS:
        raise HTTPError(422, f"days is a number from 1 to {MAX_DAYS}")
    rows = store.all(
        "SELECT book_id, sum(quantity) AS copies, sum(total) AS pence FROM orders"
        " WHERE placed_at >= datetime('now', ?) GROUP BY book_id ORDER BY copies DESC LIMIT 5",
        f"-{days} days",
    )
    logger.info("Sales report over %d days: %d titles", days, len(rows))
    return Response(
        {
            "days": days,
            "best_sellers": [
                {"book_id": row["book_id"], "copies": row["copies"], "sales": row["pence"] / 100}
                for row in rows
            ],
        }
    )

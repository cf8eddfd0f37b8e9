"""Reviews and the ratings made from them."""

from __future__ import annotations

import logging
from typing import List

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()


@routes.get("/books/{book_id}/reviews")
def list_reviews(store: Store, request: Request) -> Response:
    """List the reviews of a book, the newest first."""
    reviews = store.all(
        "SELECT stars, comment FROM reviews WHERE book_id = ? ORDER BY id DESC LIMIT 20",
        request.params["book_id"],
    )
    return Response({"reviews": [dict(review) for review in reviews]})


@routes.post("/books/{book_id}/reviews")
def add_review(store: Store, request: Request) -> Response:
    """Add a review: from one to five stars, with or without a comment."""
    payload = request.json()
    book_id = request.params["book_id"]
    stars = payload.get("stars")
    if stars not in (1, 2, 3, 4, 5):
        raise HTTPError(422, "stars is a whole number from 1 to 5")
    if store.one("SELECT id FROM books WHERE id = ?", book_id) is None:
        raise HTTPError(404, "there is no such book")
    store.run(
        "INSERT INTO reviews (book_id, stars, comment) VALUES (?, ?, ?)",
        book_id,
        stars,
        str(payload.get("comment") or ""),
    )
    logger.info("Book %s was given %d stars", book_id, stars)
    return Response({"stars": stars}, 201)


def stars_of(store: Store, book_id: int) -> List[int]:
    """Return the stars of every review of a book."""
    reviews = store.all("SELECT stars FROM reviews WHERE book_id = ?", book_id)
    return [review["stars"] for review in reviews]


def average(stars: List[int]) -> float:
    """Return the mean of the stars."""
    return sum(stars) / len(stars)

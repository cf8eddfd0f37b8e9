"""The catalogue: finding books, looking at one, asking whether it can be had."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any, Dict

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

PAGE_SIZE = 10

# The supplier's system is reached over a slow line; this stands in for it.
SUPPLIER_DSN = "host=supplier.example user=bookshop password=hunter2-example"
SUPPLIER_SECONDS = 0.15


@routes.get("/books")
def search(store: Store, request: Request) -> Response:
    """List the books whose title or author holds ``q``, a page at a time."""
    text = request.query.get("q", "").strip()
    page = request.query.get("page", "1")
    if not page.isdigit() or page == "0":
        raise HTTPError(400, "page is a number from 1")
    books = store.all(
        "SELECT * FROM books WHERE title LIKE ? OR author LIKE ? ORDER BY title LIMIT ? OFFSET ?",
        f"%{text}%",
        f"%{text}%",
        PAGE_SIZE,
        (int(page) - 1) * PAGE_SIZE,
    )
    if text:
        logger.debug("Search for %r matched %d books on page %s", text, len(books), page)
    return Response({"page": int(page), "books": [summary(book) for book in books]})


@routes.get("/books/{book_id}")
def show(store: Store, request: Request) -> Response:
    """Show one book."""
    book = find_book(store, request.params["book_id"])
    return Response(summary(book))


@routes.get("/books/{book_id}/stock")
def stock(store: Store, request: Request) -> Response:
    """Tell how many copies can be had, from the supplier if the shop has none left."""
    book = find_book(store, request.params["book_id"])
    if book["stock"] > 0:
        return Response({"copies": book["stock"], "from": "shop"})
    return Response({"copies": ask_supplier(book), "from": "supplier"})


def find_book(store: Store, book_id: str) -> sqlite3.Row:
    """Return a book by the id in a path; a book that is not there is a 404."""
    book = store.one("SELECT * FROM books WHERE id = ?", book_id)
    if book is None:
        raise HTTPError(404, "there is no such book")
    return book


def summary(book: sqlite3.Row) -> Dict[str, Any]:
    """Return what a list shows of a book."""
    return {
        "id": book["id"],
        "title": book["title"],
        "author": book["author"],
        "price": book["price"] / 100,
        "available": book["stock"] > 0,
    }


def ask_supplier(book: sqlite3.Row) -> int:
    """Return how many copies the supplier holds."""
    logger.debug("Opening supplier link: %s", SUPPLIER_DSN)
    time.sleep(SUPPLIER_SECONDS)
    copies = len(book["title"]) % 7
    if copies == 0:
        logger.warning("Supplier is out of %r by %s", book["title"], book["author"])
    return copies

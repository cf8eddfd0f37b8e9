"""Orders: checking, pricing and placing them, and showing them to who placed them."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any, Dict

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

MAX_QUANTITY = 20


@routes.post("/orders")
def place(store: Store, request: Request) -> Response:
    """Place an order, taking its copies from the stock."""
    payload = request.json()
    quantity = check_quantity(payload)
    with store:
        customer = lookup(store, "customers", payload.get("customer_id"))
        book = lookup(store, "books", payload.get("book_id"))
        if book["stock"] < quantity:
            logger.warning("Order refused: book %d has %d copies left", book["id"], book["stock"])
            raise HTTPError(409, "there are not enough copies left")
        total = book["price"] * quantity
        order_id = store.run(
            "INSERT INTO orders (customer_id, book_id, quantity, total, address)"
            " VALUES (?, ?, ?, ?, ?)",
            customer["id"],
            book["id"],
            quantity,
            total,
            str(payload.get("address") or ""),
        ).lastrowid
        store.run("UPDATE books SET stock = stock - ? WHERE id = ?", quantity, book["id"])
        store.run("INSERT INTO jobs (kind, order_id) VALUES ('confirm', ?)", order_id)
        store.run("INSERT INTO jobs (kind, order_id) VALUES ('dispatch', ?)", order_id)
    logger.info(
        "Order %d placed by customer %d: %d x book %d, total %.2f",
        order_id,
        customer["id"],
        quantity,
        book["id"],
        total / 100,
    )
    return Response({"order_id": order_id, "total": total / 100}, 201)


@routes.get("/orders/{order_id}")
def show(store: Store, request: Request) -> Response:
    """Show an order to the customer who placed it."""
    order = store.one(
        "SELECT orders.*, token FROM orders JOIN customers ON customers.id = customer_id"
        " WHERE orders.id = ?",
        request.params["order_id"],
    )
    if order is None:
        raise HTTPError(404, "there is no such order")
    credentials = request.header("Authorization")
    if credentials != f"Bearer {order['token']}":
        logger.warning("Rejected credentials for order %d: %s", order["id"], credentials)
        raise HTTPError(401, "this order belongs to another customer")
    return Response(
        {"order_id": order["id"], "book_id": order["book_id"], "total": order["total"] / 100}
    )


def check_quantity(payload: Dict[str, Any]) -> int:
    """Return how many copies are ordered."""
    quantity = payload.get("quantity", 1)
    if not isinstance(quantity, int) or not 1 <= quantity <= MAX_QUANTITY:
        raise HTTPError(422, f"quantity is a whole number from 1 to {MAX_QUANTITY}")
    return quantity


def lookup(store: Store, table: str, row_id: Any) -> sqlite3.Row:
    """Return the row that an order refers to by its id."""
    row = store.one(f"SELECT * FROM {table} WHERE id = ?", row_id)
    if row is None:
        raise HTTPError(422, f"the order refers to none of the {table}")
    return row

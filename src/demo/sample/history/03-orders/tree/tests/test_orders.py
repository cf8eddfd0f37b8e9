"""Tests of orders."""

from .support import ShopTest

ORDER = {
    "customer_id": 1,
    "book_id": 1,
    "quantity": 2,
    "address": "1 High Street, London SW1A 1AA",
}


class OrdersTest(ShopTest):
    def test_an_order_takes_copies_from_the_stock(self) -> None:
        before = self.get("/books/1/stock").document["copies"]
        self.assertEqual(self.post("/orders", ORDER).status, 201)
        self.assertEqual(self.get("/books/1/stock").document["copies"], before - 2)

    def test_what_is_out_of_stock_cannot_be_ordered(self) -> None:
        self.assertEqual(self.post("/orders", {**ORDER, "book_id": 20}).status, 409)

    def test_an_unknown_customer_cannot_order(self) -> None:
        self.assertEqual(self.post("/orders", {**ORDER, "customer_id": 999}).status, 422)

    def test_an_order_is_shown_to_its_customer_only(self) -> None:
        order_id = self.post("/orders", ORDER).document["order_id"]
        token = self.store.one("SELECT token FROM customers WHERE id = 1")["token"]
        shown = self.get(f"/orders/{order_id}", authorization=f"Bearer {token}")
        self.assertEqual(shown.status, 200)
        refused = self.get(f"/orders/{order_id}", authorization="Bearer other")
        self.assertEqual(refused.status, 401)

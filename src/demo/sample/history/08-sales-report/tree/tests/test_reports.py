"""Tests of the reports."""

from .support import ShopTest
from .test_orders import ORDER


class ReportsTest(ShopTest):
    def test_the_best_seller_comes_first(self) -> None:
        self.post("/orders", {**ORDER, "book_id": 2, "quantity": 1})
        self.post("/orders", {**ORDER, "book_id": 3, "quantity": 5})
        report = self.get("/reports/sales?days=7").document
        self.assertEqual([row["book_id"] for row in report["best_sellers"]], [3, 2])

    def test_a_period_has_an_end(self) -> None:
        self.assertEqual(self.get("/reports/sales?days=1000").status, 422)

    def test_a_month_is_the_default(self) -> None:
        self.assertEqual(self.get("/reports/sales").document["days"], 30)

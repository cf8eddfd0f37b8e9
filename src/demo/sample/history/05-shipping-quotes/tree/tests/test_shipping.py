"""Tests of shipping."""

from .support import ShopTest


class ShippingTest(ShopTest):
    def test_weight_has_a_price(self) -> None:
        light = self.get("/shipping/quote?country=FR&grams=200").document["price"]
        heavy = self.get("/shipping/quote?country=FR&grams=2000").document["price"]
        self.assertLess(light, heavy)

    def test_an_unknown_country_is_refused(self) -> None:
        self.assertEqual(self.get("/shipping/quote?country=AQ&grams=200").status, 422)

    def test_weight_is_required(self) -> None:
        self.assertEqual(self.get("/shipping/quote?country=FR").status, 400)

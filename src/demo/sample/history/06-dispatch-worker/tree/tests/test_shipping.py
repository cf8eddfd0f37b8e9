"""Tests of shipping."""

from bookshop.shipping import depot_for

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

    def test_the_postcode_chooses_the_depot(self) -> None:
        self.assertEqual(depot_for("5 Rose Street, Edinburgh EH2 2PR"), "Livingston")
        self.assertEqual(depot_for("2 Mill Lane, Cambridge CB2 1RX"), "Daventry")
        self.assertEqual(depot_for(""), "Daventry")

"""Tests of reviews and ratings."""

from bookshop.ratings import average

from .support import ShopTest


class RatingsTest(ShopTest):
    def test_the_average_is_the_mean(self) -> None:
        self.assertEqual(average([5, 4, 3]), 4.0)

    def test_a_book_shows_its_rating(self) -> None:
        self.assertIn("rating", self.get("/books/1").document)

    def test_a_review_is_listed_first(self) -> None:
        added = self.post("/books/1/reviews", {"stars": 2, "comment": "Too long."})
        self.assertEqual(added.status, 201)
        newest = self.get("/books/1/reviews").document["reviews"][0]
        self.assertEqual(newest, {"stars": 2, "comment": "Too long."})

    def test_six_stars_are_too_many(self) -> None:
        self.assertEqual(self.post("/books/1/reviews", {"stars": 6}).status, 422)

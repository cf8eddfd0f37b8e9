"""Tests of the help pages."""

from .support import ShopTest


class PagesTest(ShopTest):
    def test_the_first_known_language_is_taken(self) -> None:
        page = self.get("/help/returns", accept_language="nl, fr-CH;q=0.9, de;q=0.5")
        self.assertEqual(page.document["language"], "fr")

    def test_english_is_the_last_resort(self) -> None:
        page = self.get("/help/returns", accept_language="nl")
        self.assertEqual(page.document["language"], "en")

    def test_an_unknown_topic_is_not_found(self) -> None:
        self.assertEqual(self.get("/help/magic", accept_language="en").status, 404)

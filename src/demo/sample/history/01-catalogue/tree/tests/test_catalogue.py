"""Tests of the catalogue."""

from unittest import mock

from bookshop import catalogue

from .support import ShopTest


class CatalogueTest(ShopTest):
    def test_search_finds_titles_and_authors(self) -> None:
        books = self.get("/books?q=austen").document["books"]
        self.assertTrue(books)
        self.assertTrue(all("Austen" in book["author"] for book in books))

    def test_pages_are_numbers_from_one(self) -> None:
        self.assertEqual(self.get("/books?page=2").status, 200)
        self.assertEqual(self.get("/books?page=0").status, 400)
        self.assertEqual(self.get("/books?page=two").status, 400)

    def test_an_unknown_book_is_not_found(self) -> None:
        self.assertEqual(self.get("/books/9999").status, 404)

    def test_the_supplier_is_asked_only_for_what_the_shop_lacks(self) -> None:
        with mock.patch.object(catalogue.time, "sleep") as sleep:
            self.assertEqual(self.get("/books/1/stock").document["from"], "shop")
            sleep.assert_not_called()
            self.assertEqual(self.get("/books/20/stock").document["from"], "supplier")
            sleep.assert_called_once()

    def test_an_unknown_method_is_refused(self) -> None:
        self.assertEqual(self.post("/healthz").status, 405)

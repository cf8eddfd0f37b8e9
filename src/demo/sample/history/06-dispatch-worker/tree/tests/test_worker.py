"""Tests of the background worker."""

from bookshop.worker import Worker

from .support import ShopTest
from .test_orders import ORDER


class WorkerTest(ShopTest):
    def test_an_order_is_confirmed_and_dispatched(self) -> None:
        self.post("/orders", ORDER)
        worker = Worker(self.store)
        with self.assertLogs("bookshop.worker") as logs:
            self.assertTrue(worker.work())
            self.assertTrue(worker.work())
        self.assertFalse(worker.work())
        self.assertIn("Confirmed order 1", logs.output[0])
        self.assertIn("leaves from Croydon", logs.output[1])

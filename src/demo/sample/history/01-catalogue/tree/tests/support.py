"""What the tests share."""

from __future__ import annotations

import json
import unittest
from typing import Any, Dict, Optional

from bookshop.app import Application
from bookshop.store import Store
from bookshop.web import Request, Response


class ShopTest(unittest.TestCase):
    """A test with a shop of its own."""

    def setUp(self) -> None:
        self.store = Store()
        self.addCleanup(self.store.close)
        self.app = Application(self.store)

    def get(self, target: str, **headers: str) -> Response:
        """Ask for a page; ``accept_language`` is sent as ``Accept-Language``."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return self.app.handle(Request("GET", target, named))

    def post(self, target: str, payload: Optional[Dict[str, Any]] = None) -> Response:
        """Send a JSON object."""
        return self.app.handle(Request("POST", target, body=json.dumps(payload).encode()))

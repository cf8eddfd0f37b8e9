"""Shipping: what it costs, and which depot an order leaves from."""

from __future__ import annotations

import logging
import re
from itertools import takewhile
from typing import Optional

from vendor.parcelrates import UnknownCountry, price

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

MAX_GRAMS = 30_000

POSTCODE = re.compile(r"\b(?P<outward>[A-Z]{1,2}[0-9][A-Z0-9]?) ?[0-9][A-Z]{2}\b")
DEFAULT_DEPOT = "Daventry"
DEPOTS = {"EH": "Livingston", "G": "Livingston", "M": "Warrington", "SW": "Croydon"}


@routes.get("/shipping/quote")
def quote(store: Store, request: Request) -> Response:
    """Quote the price of sending ``grams`` to ``country``."""
    country = request.query.get("country", "GB").upper()
    grams = request.query.get("grams", "")
    if not grams.isdigit() or not 1 <= int(grams) <= MAX_GRAMS:
        raise HTTPError(400, f"grams is a number from 1 to {MAX_GRAMS}")
    try:
        pence = price(country, int(grams))
    except UnknownCountry:
        logger.info("Nobody ships to %r yet", country)
        raise HTTPError(422, "we do not ship to this country") from None
    return Response({"country": country, "price": pence / 100})


def depot_for(address: str) -> str:
    """Return the depot nearest to an address."""
    code = outward_code(address)
    if code is None:
        return DEFAULT_DEPOT
    area = "".join(takewhile(str.isalpha, code))
    return DEPOTS.get(area, DEFAULT_DEPOT)


def outward_code(address: str) -> Optional[str]:
    """Return the first half of the postcode in an address, or None for an empty address."""
    if not address:
        return None
    match = POSTCODE.search(address.upper())
    return match.group("outward")

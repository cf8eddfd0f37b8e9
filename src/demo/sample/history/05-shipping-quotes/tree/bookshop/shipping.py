"""Shipping: what it costs to send a parcel."""

from __future__ import annotations

import logging

from vendor.parcelrates import UnknownCountry, price

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

MAX_GRAMS = 30_000


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

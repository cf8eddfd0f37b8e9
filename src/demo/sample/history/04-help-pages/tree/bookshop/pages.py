"""Help pages, in the language that a visitor's browser asks for."""

from __future__ import annotations

import logging
from typing import Optional

from .store import Store
from .web import HTTPError, Request, Response, Routes

logger = logging.getLogger(__name__)
routes = Routes()

DEFAULT_LANGUAGE = "en"

PAGES = {
    "delivery": {
        "en": "We deliver within three working days.",
        "fr": "Nous livrons sous trois jours ouvrables.",
        "de": "Wir liefern innerhalb von drei Werktagen.",
    },
    "returns": {
        "en": "Send a book back within 30 days.",
        "fr": "Renvoyez un livre sous 30 jours.",
        "de": "Sie können ein Buch innerhalb von 30 Tagen zurückgeben.",
    },
    "contact": {
        "en": "Write to help@bookshop.example.",
        "fr": "Écrivez à help@bookshop.example.",
        "de": "Schreiben Sie an help@bookshop.example.",
    },
}


@routes.get("/help/{topic}")
def show(store: Store, request: Request) -> Response:
    """Show a help page."""
    page = PAGES.get(request.params["topic"])
    if page is None:
        raise HTTPError(404, "there is no such help page")
    language = preferred_language(request) or DEFAULT_LANGUAGE
    return Response({"language": language, "text": page[language]})


def preferred_language(request: Request) -> Optional[str]:
    """Return the first language of the visitor's that we have, or None if we have none."""
    accepted = request.header("Accept-Language")
    for choice in accepted.split(","):
        language = choice.split(";")[0].split("-")[0].strip().lower()
        if language in PAGES["contact"]:
            return language
    logger.info("No page in any language of %r", accepted)
    return None

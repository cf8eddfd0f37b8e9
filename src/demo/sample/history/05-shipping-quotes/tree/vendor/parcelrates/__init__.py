"""parcelrates 2.3.0: the price of a parcel, from the carriers' published tariffs."""

from .tariff import UnknownCountry, price

__all__ = ["UnknownCountry", "price"]

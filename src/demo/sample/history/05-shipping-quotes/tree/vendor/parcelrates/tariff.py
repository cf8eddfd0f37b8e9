"""Tariffs by zone. All prices are in pence."""

ZONES = {
    "GB": "domestic",
    "FR": "europe",
    "DE": "europe",
    "NL": "europe",
    "IS": "nordic",
    "NO": "nordic",
    "US": "world",
    "JP": "world",
}

TARIFFS = {
    "domestic": {"base": 299, "per_kilogram": 80, "remote_surcharge": 0},
    "europe": {"base": 699, "per_kilogram": 210, "remote_surcharge": 0},
    "nordic": {"base": 749, "per_kilogram": 260},
    "world": {"base": 1149, "per_kilogram": 520, "remote_surcharge": 300},
}


class UnknownCountry(LookupError):
    """No carrier has a tariff for the country."""


def price(country, grams):
    """Return the price of a parcel of ``grams`` to the country with this ISO code."""
    if country not in ZONES:
        raise UnknownCountry(country)
    tariff = TARIFFS[ZONES[country]]
    total = tariff["base"] + tariff["per_kilogram"] * grams // 1000
    surcharge = tariff["remote_surcharge"]
    if surcharge:
        total += surcharge
    return total

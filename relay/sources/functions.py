"""Functions that expressions of the configuration may call beside JMESPath's own."""

from typing import Any

from jmespath.functions import Functions, signature

from relay.sources import leaving
from relay.sources.whose import names_another

_OF_AN_ADDRESS = {"addr_line1", "city", "state", "postal"}


def country_of_address(fields: Any) -> str | None:
    """Return the country that the one address among the fields of a form names; None where there are
    several, as nothing tells which is the number's, or where it is somebody else's."""
    listed = fields.items() if isinstance(fields, dict) else ()
    own = [one for name, one in listed if _is_address(one) and not names_another(name)]
    country = own[0]["country"] if len(own) == 1 else None
    return country if isinstance(country, str) else None


def _is_address(one: Any) -> bool:
    return isinstance(one, dict) and "country" in one and not _OF_AN_ADDRESS.isdisjoint(one)


class OwnFunctions(Functions):
    """JMESPath's functions and the relay's own."""

    @signature({"types": []})
    def _func_tells_of_leaving(self, kind: Any) -> bool:
        return leaving.tells_of_leaving(kind)

    @signature({"types": []})
    def _func_has_left(self, person: Any) -> bool:
        return leaving.has_left(person)

    @signature({"types": []})
    def _func_country_of_address(self, fields: Any) -> str | None:
        return country_of_address(fields)

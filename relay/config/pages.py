"""What visitors see of a source: texts, colours and links of the relay's own pages."""

import re
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load, validate

from relay.config.schemas import Strict, Text, choice, page_address

LANGUAGES = ("en", "de", "fr", "es")
_COLOUR = "^#[0-9a-fA-F]{6}$"
_CAME_BY = ("gclid", "fbclid", "landing_page", "referrer")
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def _colour(example: str) -> fields.String:
    return fields.String(validate=validate.Regexp(_COLOUR, error=f"must be a colour like {example}"))


class TextsSchema(Strict):
    """``[sources.x.page.<language>]``"""

    title = fields.String()
    intro = fields.String()
    button = fields.String()
    thanks_title = fields.String()
    thanks_text = fields.String()
    labels = fields.Dict(fields.String(), fields.String())


class SiteSchema(Strict):
    """The site that a page leads back to."""

    name = fields.String()
    url = Text(page_address, required=True)

    @post_load
    def build(self, site: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"name": urlsplit(site["url"]).hostname, **site}


class Site(fields.Nested):
    """A site's name and address, or its address."""

    def __init__(self) -> None:
        super().__init__(SiteSchema)

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        return super()._deserialize({"url": value} if isinstance(value, str) else value, *rest, **options)


class PageSchema(TextsSchema):
    """``[sources.x.page]``"""

    language = choice(*LANGUAGES)
    accent = _colour("#1a5fb4")
    background = _colour("#ffffff")
    logo = fields.String()
    site = Site()
    privacy = Text(page_address)
    en = fields.Nested(TextsSchema)
    de = fields.Nested(TextsSchema)
    fr = fields.Nested(TextsSchema)
    es = fields.Nested(TextsSchema)


class Utm(fields.Dict):
    """What a page tells of how its visitor came, and the hidden field for it; ``""`` leaves it out."""

    def __init__(self) -> None:
        super().__init__(fields.String(), fields.String())

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        given: dict[str, str] = super()._deserialize(value, *rest, **options)  # type: ignore[no-untyped-call]
        wrong = [key for key in given if key not in _CAME_BY and not re.fullmatch("utm_[a-z_]{1,40}", key)]
        if wrong:
            known = ", ".join((*_UTM, *_CAME_BY))
            raise ValidationError({key: [f"is not known; one of {known}, or another utm_…"] for key in wrong})
        carried = {key: key for key in (*_UTM, *_CAME_BY)} | given
        return {key: field for key, field in carried.items() if field}

"""What visitors see of a source: texts and colours of the relay's own pages."""

from marshmallow import fields, validate

from relay.config.schemas import Strict, choice

LANGUAGES = ("en", "de", "fr", "es")


def _colour(example: str) -> fields.String:
    error = f"must be a colour like {example}"
    return fields.String(validate=validate.Regexp("^#[0-9a-fA-F]{6}$", error=error))


class PageSchema(Strict):
    """``[sources.x.page]``"""

    title = fields.String()
    intro = fields.String()
    button = fields.String()
    thanks_title = fields.String()
    thanks_text = fields.String()
    language = choice(*LANGUAGES)
    accent = _colour("#1a5fb4")
    background = _colour("#ffffff")
    labels = fields.Dict(fields.String(), fields.String())

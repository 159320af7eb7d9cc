"""What the pages of a source say: its own texts in the visitor's language, else the relay's."""

from collections.abc import Mapping
from typing import Any

from relay.sources.source import Source
from relay.web.language import LANGUAGES, Language


def texts_of(source: Source | None, language: Language) -> dict[str, Any]:
    """Return ``[sources.x.page]`` with what ``[sources.x.page.<language>]`` says instead."""
    page: Mapping[str, Any] = source.page if source else {}
    own: Mapping[str, Any] = page.get(language.code, {})
    labels = {**page.get("labels", {}), **own.get("labels", {})}
    rest = {name: value for name, value in page.items() if name not in LANGUAGES}
    return {**rest, **own, "labels": labels}


def consent_label(source: Source, language: Language, box: str) -> str:
    """Return what stands beside a consent box on the relay's own page."""
    mapped = [contact for contact in source.mapping.consent if contact in source.mapping.rules]
    covered = [contact for contact in mapped if source.mapping.consent[contact].field == box]
    name = f"consent_{covered[0]}" if len(covered) == 1 else "consent"
    said: str = texts_of(source, language)["labels"].get(box) or language.texts[name]
    return said


def wording(source: Source, code: str) -> dict[str, str]:
    """Return what stands beside each consent box on the relay's own page in a language, if there is one."""
    if code not in LANGUAGES:
        return {}
    return {box: consent_label(source, LANGUAGES[code], box) for box in source.mapping.boxes}

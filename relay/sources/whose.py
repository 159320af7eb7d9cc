"""Whose a field is: what is called after somebody else is not the visitor's."""

import re
from functools import lru_cache

from relay.sources.text import normal

_LONG_NAME = 200
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")
_ANOTHER = re.compile(
    r"\b(?:"
    # who they are to the visitor
    r"friends?|buddy|partners?|spouse|husband|wife|fianc|colleague|cowork|co work|emergenc|next of kin|"
    r"siblings?\b|(?:mother|father) ?s\b|room ?mates?\b|team ?mates?\b|neighbou?rs?\b|plus (?:one|1)\b|"
    r"(?:guest|attendee|participant|passenger|player|person|(?:team )?member|applicant) ?[2-9]\b|"
    r"(?:second|other) (?:person|guest|attendee|applicant)|co ?applicant|"
    r"relative|guardian|beneficiar|recipient|addressee|gift|invite[ed]|referr|refer a|refer e|referee|"
    r"freund|bekannte|ehe(?:mann|frau|partner|gatt)|notfall|kolleg|empf[aä]n|empfaen|beschenkt|geworben|werber|"
    r"nachbar|begleit(?:er|ung|person)|trauzeug|mitbewohn|"
    r"amie?s?\b|conjoint|urgence|coll[eè]gue|destinataire|parrain|filleul|"
    r"amig[oa]s?\b|pareja|c[oó]nyuge|emerg[eê]nc|compa[nñ]er|destinatari|referid|padrin|"
    r"amic(?:o|a|i|he)\b|coniuge|emergenza|collega|vriend|vriendin|noodgeval|ontvanger|"
    r"child|kids?\b|kindes|enfant|hij[oa]s?\b|figli[oa]?\b|"
    # who runs the site
    r"owners?|admins?|administrator|site mail|supervisor|manager|boss|assistant|inhaber|vorgesetzt|chef|"
    # who looks after the visitor, or brought them
    r"agente?s?\b|realtor|brokers?\b|sales ?(?:reps?|person|man)\b|reps?\b|advis[eo]r|consultant|makler|"
    r"berater|conseiller|courtier|asesor|corredor|consulent|nominee|nominat(?:e|ed|ion)\b|references?\b|"
    r"affiliate|sales (?:team|e ?mail|mail)|account exec|post author|"
    r"physician|doctors?\b|dentist|employer|landlord|accountant|"
    r"(?:haus)?arzt|[aä]rztin|arbeitgeber|vermieter|steuerberat|m[eé]decin|employeur|comptable|"
    # who gets a copy, or is written to: a choice may send the shop's own address
    r"b?cc\b|departments?\b|abteilung|filiale|branch(?:es)?\b|subject\b|betreff"
    r")"
    r"|^(?:q[0-9]+)? ?(?:(?:send|copy|forward) ?to|(?:e ?mail|mail) to|to|to e ?mail|notif\w* e ?mail|ref)"
    r"(?: address)? ?$"
)
"""The beginnings of words that say that a field is about somebody else."""
_OF_PROGRAMS = "__"
"""What begins so is what a form builder says of itself: Fluent Forms names its own user there."""


def names_another(label: str) -> bool:
    """Whether a field is called after somebody who is not the visitor, or by the program itself."""
    return label.startswith(_OF_PROGRAMS) or _names_another(label[:_LONG_NAME])


# The same names come with every message of a form.
@lru_cache(4096)
def _names_another(label: str) -> bool:
    return bool(_ANOTHER.search(_HUMP.sub(" ", normal(label)).casefold()))

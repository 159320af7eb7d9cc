"""Names of a form's fields that are the relay's own: its pages and its script fill them in, and browsers."""

from relay.sources import charsets, stamp

NEXT = "_next"
"""Where its visitor wants to go next."""
PAGE = "relay_page"
"""The page a form stood on, kept through a round of errors, which is posted from a page of ours."""
SHOWN = "relay_shown"
"""The language a page of ours was shown in: so what stood beside its boxes is known."""
SUGGEST = "relay_suggest"
"""``ask``: a script is there to ask "Did you mean …?". Without one nobody is kept from signing up."""
KEY = "relay_key"
"""The key under which a script has posted the same before, without an answer: a browser sends no header."""
ANEW = frozenset([stamp.FIELD, charsets.FIELD, PAGE, SHOWN, SUGGEST, KEY])
"""What each page that shows a form fills in anew."""
ALL = ANEW | {NEXT}

"""Character sets: what a browser may have written a form in, when it was told to."""

from collections.abc import Sequence

from relay.sources.bounds import BadBody

FIELD = "_charset_"
"""The hidden field in which a browser says what it wrote the form in."""

# The names browsers know (https://encoding.spec.whatwg.org), by Python's name for what they mean by them.
_LABELS = {
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 latin1 l1 us-ascii ascii",
    "cp1253": "windows-1253 cp1253 x-cp1253",
    "cp1254": "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 latin5 l5",
    "cp1255": "windows-1255 cp1255 x-cp1255",
    "cp1256": "windows-1256 cp1256 x-cp1256",
    "cp1257": "windows-1257 cp1257 x-cp1257",
    "cp1258": "windows-1258 cp1258 x-cp1258",
    "cp874": "windows-874 iso-8859-11 tis-620 dos-874",
    "iso8859-2": "iso-8859-2 iso8859-2 latin2 l2",
    "iso8859-3": "iso-8859-3 iso8859-3 latin3 l3",
    "iso8859-4": "iso-8859-4 iso8859-4 latin4 l4",
    "iso8859-5": "iso-8859-5 iso8859-5 cyrillic",
    "iso8859-6": "iso-8859-6 iso8859-6 arabic",
    "iso8859-7": "iso-8859-7 iso8859-7 greek",
    "iso8859-8": "iso-8859-8 iso-8859-8-i iso8859-8 hebrew",
    "iso8859-10": "iso-8859-10 iso8859-10 latin6 l6",
    "iso8859-13": "iso-8859-13 iso8859-13",
    "iso8859-14": "iso-8859-14 iso8859-14",
    "iso8859-15": "iso-8859-15 iso8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "koi8-r koi8 koi8_r",
    "koi8-u": "koi8-u koi8-ru",
    "cp866": "ibm866 cp866 866",
    "mac_roman": "macintosh mac x-mac-roman",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "gb18030 gbk gb2312 x-gbk",
    "big5hkscs": "big5 big5-hkscs x-x-big5",
    "euc_jp": "euc-jp x-euc-jp",
    "cp932": "shift_jis shift-jis sjis windows-31j x-sjis ms932",
    "cp949": "euc-kr ks_c_5601-1987 korean windows-949",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
# Written in ASCII characters alone, so that it would pass for UTF-8.
_SEVEN_BIT = {"iso-2022-jp": "iso2022_jp", "csiso2022jp": "iso2022_jp"}


def codec_of(label: str) -> str | None:
    """Return Python's name of what browsers mean by a label."""
    return _CODECS.get(label.strip().lower())


def decode_all(texts: Sequence[bytes], said: bytes | None) -> list[str]:
    """Return texts as UTF-8; where they are not, in the character set their form says. Raises BadBody."""
    label = (said or b"").decode("latin-1").strip().lower()
    for codec in (_SEVEN_BIT.get(label), "utf-8", codec_of(label)):
        if codec:
            try:
                return [text.decode(codec) for text in texts]
            except UnicodeDecodeError:
                continue
    raise BadBody(400, "The form is not UTF-8.")

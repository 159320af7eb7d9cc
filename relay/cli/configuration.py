"""Commands about the configuration: check, try, presets."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from relay.cli.failed import ASKED_WRONGLY, FAILED, Failed, count_of
from relay.cli.submissions import _try_recorded
from relay.config import environment, presets
from relay.config import settings as configuration


def _check(asked: argparse.Namespace) -> int:
    if asked.config:
        os.environ["RELAY_CONFIG"] = asked.config
    lacking = configuration.lacks_token()
    settings = configuration.load(sandbox_url="http://127.0.0.1/" if lacking else None)
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    mode = "no token: sandbox mode" if settings.is_sandbox else "ready to send"
    sources, destinations = len(settings.sources), len(settings.destinations)
    print(f"ok: {count_of(sources, 'source')}, {count_of(destinations, 'destination')}; {mode}")
    return 0


def _try_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="its name in relay.toml")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the body; - for standard input")
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="map everything stored again, and show what would change; exit 1 if anything got worse",
    )
    parser.add_argument("--type", metavar="CONTENT_TYPE", help="default: guessed from the body")
    parser.add_argument(
        "--header",
        metavar="'N: V'",
        type=_header,
        action="append",
        default=[],
        help="as the sender sends it; repeatable",
    )


def _try(asked: argparse.Namespace) -> int:
    from relay.sources import body as submission
    from relay.sources.body import BadBody

    if asked.recorded:
        return _try_recorded(asked.source)
    if not asked.source or not asked.file:
        print("relay: try SOURCE FILE, or try --recorded [SOURCE]", file=sys.stderr)
        return ASKED_WRONGLY
    settings = configuration.load(offline=True)
    source = settings.sources.get(asked.source)
    if source is None:
        raise Failed(f"there is no source {asked.source}; one of {', '.join(settings.sources)}")
    raw = sys.stdin.buffer.read() if asked.file == "-" else Path(asked.file).read_bytes()
    headers = dict(asked.header)
    kind = asked.type or headers.get("content-type") or _guess(raw)
    try:
        fields = submission.parse(raw, kind, source.limits, source.json_fields)
    except BadBody as problem:
        raise Failed(f"{problem.status}: {problem}") from None
    if source.is_excluded(fields, headers):
        print("excluded: this is no sign-up (a test, or an event that `only` leaves out)")
        return 0
    mapped = source.mapping.apply(fields)
    if not mapped.ok:
        for name, messages in mapped.errors.items():
            print(f"{name}: {' '.join(messages)}", file=sys.stderr)
        return FAILED
    print(json.dumps({**mapped.profile, **mapped.extra}, indent=2, ensure_ascii=False))
    if mapped.dropped:
        print(f"dropped: {', '.join(mapped.dropped)}")
    return 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"takes 'Name: value', not {text!r}")
    return name.strip().lower(), value.strip()


def _guess(raw: bytes) -> str:
    if raw.lstrip()[:1] in (b"{", b"["):
        return "application/json"
    if raw.startswith(b"--"):
        boundary = raw.split(b"\n", 1)[0].strip()[2:].decode("latin-1")
        return f'multipart/form-data; boundary="{boundary}"'
    return "application/x-www-form-urlencoded"


def _presets_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=["show"])
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--markdown", action="store_true", help="print docs/senders.md")


def _presets(asked: argparse.Namespace) -> int:
    if asked.action and not asked.name:
        print("relay: presets show NAME", file=sys.stderr)
        return ASKED_WRONGLY
    if asked.markdown:
        print(_senders_page(), end="")
        return 0
    if not asked.action:
        for name in presets.preset_names():
            known = presets.preset(name)
            print(f"{name:20} {known['sure']:11} {known['title']}")
        return 0
    try:
        known = presets.preset(asked.name)
    except KeyError as problem:
        raise Failed(str(problem.args[0])) from None
    setup = known["setup"].strip().replace("{url}", _submit_url())
    print(f"{known['title']} ({known['sure']})\n\n{setup}\n")
    for note in known.get("notes", []):
        print(f"- {note}")
    print("\n" + json.dumps(known["source"], indent=2, ensure_ascii=False))
    return 0


def _submit_url() -> str:
    values, _ = environment.read_environment(os.environ)
    return f"{values['RELAY_PUBLIC_URL'] or 'https://<your relay>'}/submit/<source>"


_SENDERS = """\
# Senders

Generated by `python -m relay presets --markdown` from `relay/presets/`; change it there.

A preset holds what is known of a sender: how it proves itself, which id it repeats when it retries, and
where it puts e-mail, phone and name. A source that names one needs only its secret:

```toml
[sources.crm]
kind   = "webhook"
preset = "typeform"
secret = "env:TYPEFORM_SECRET"
```

The source's own keys override the preset's, key by key; see [configuration.md](configuration.md).
`{url}` below is `https://<your relay>/submit/<source>`. *Documented* means that the sender publishes these
facts; *observed*, that they were seen in its messages or in other people's code only. Try a message of
your own with `python -m relay try SOURCE FILE` before you rely on one.

When you narrow a preset with `only` or `test` of your own: JMESPath reads `!a.b` as `(!a).b`, which is never
what is meant. Write `!(a.b)`.
"""


def _senders_page() -> str:
    parts = [_SENDERS, "| sender | preset | known from | proof |\n|---|---|---|---|\n"]
    known = {name: presets.preset(name) for name in presets.preset_names()}
    for name, one in known.items():
        parts[-1] += f"| [{one['title']}](#{name}) | `{name}` | {one['sure']} | {_proof(one['source'])} |\n"
    parts += [_sender(name, one) for name, one in known.items()]
    parts.append("## Senders without a preset, and why\n\nNaming one of them is refused with this reason.\n")
    for name, one in presets.refused().items():
        parts.append(f"**{one['title']}** (`{name}`): {one['why']}. {one['instead']}\n")
    return "\n".join(parts)


def _proof(source: dict[str, Any]) -> str:
    verify = source.get("verify", {})
    places = [f"`{verify[key]}`" for key in ("header", "body") if key in verify]
    places += [f"`?{verify['query']}=`"] if "query" in verify else []
    return f"{verify.get('scheme', 'none')} in {' or '.join(places)}"


def _sender(name: str, known: dict[str, Any]) -> str:
    notes = "".join(f"- {note}\n" for note in known.get("notes", []))
    facts = "".join(f"- <{fact}>\n" for fact in known.get("facts", []))
    text = f'<a id="{name}"></a>\n## {known["title"]}\n\n{known["setup"].strip()}\n'
    text += f"\nTo know:\n\n{notes}" if notes else ""
    return text + (f"\nRead:\n\n{facts}" if facts else "")

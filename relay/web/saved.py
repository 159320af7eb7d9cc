"""A file that a browser saves: what a filter shows, sent as it is read."""

from collections.abc import Iterator

from flask import Response

from relay.operator.exports import FORMATS


def saved(pieces: Iterator[str], format_: str) -> Response:
    """Return a file of submissions as an attachment, with a name of ours."""
    name = f"submissions.{'jsonl' if format_ == 'jsonl' else 'csv'}"
    response = Response(pieces, content_type=FORMATS[format_])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

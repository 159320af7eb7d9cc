"""Mail to operators: through one server, encrypted wherever it offers that, with deadlines."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.config.addresses import LOOPBACK
from relay.config.settings import Settings
from relay.dispatch import deadline

_STEP_SECONDS = 10.0
"""How long one answer of the server may take."""
_LETTER_SECONDS = 60.0
"""How long a letter may take, however often the server says a little: other alerts wait behind it."""
_PORTS = {"smtp": 587, "smtps": 465}


class Unsent(RuntimeError):
    """The mail could not be handed over; the text names no address and no password."""


class _Plain(smtplib.SMTP):
    """A connection that ends at the deadline of its letter."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        deadline.current.watch.connected(made)
        return made


class _Tls(smtplib.SMTP_SSL, _Plain):
    """The same with TLS from its first byte."""


def send(settings: Settings, content: Mapping[str, Any], within: float = _LETTER_SECONDS) -> None:
    """Mail what is to be told, in so many seconds. Raises Unsent."""
    with deadline.watched(within) as watch:
        try:
            with _connected(settings.smtp_url) as server:
                server.send_message(_message(settings, content))
        except (smtplib.SMTPException, OSError, ValueError) as problem:
            late = f"the mail server took longer than {within:.0f} s"
            raise Unsent(late if watch.expired else _why(problem)) from None


def _why(problem: Exception) -> str:
    if isinstance(problem, smtplib.SMTPResponseException):
        return f"the mail server answered {problem.smtp_code}"
    return type(problem).__name__


def _connected(url: str) -> smtplib.SMTP:
    """Return a connection, logged in if the address names somebody. Raises OSError, SMTPException."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = _Tls(host, port, timeout=_STEP_SECONDS, context=context)
    else:
        server = _Plain(host, port, timeout=_STEP_SECONDS)
    with contextlib.ExitStack() as stack:
        stack.callback(server.close)
        server.ehlo()
        if parts.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif parts.scheme == "smtp" and parts.password and host not in LOOPBACK:
            raise smtplib.SMTPNotSupportedError("the password would be sent in clear")
        if parts.username and parts.password:
            server.login(unquote(parts.username), unquote(parts.password))
        stack.pop_all()  # it is open for who asked
    return server


def _message(settings: Settings, content: Mapping[str, Any]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = content["subject"]
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.alert_mail)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # so that no holiday answer comes back
    message.set_content(content["text"])
    return message

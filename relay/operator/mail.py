"""Mail to operators: through one server, encrypted wherever it offers that, with deadlines."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.config.settings import Settings
from relay.dispatch import deadline
from relay.dispatch.connecting import connect
from relay.network import is_loopback
from relay.sources.origin import ascii_host

_STEP_SECONDS = 10.0
"""How long one answer of the server may take, but the one to a whole letter."""
_LETTER_SECONDS = 60.0
"""How long a letter may take, however often the server says a little: other alerts wait behind it."""
_END = b"\r\n.\r\n"
_PORTS = {"smtp": 587, "smtps": 465}
_FINAL = 500
"""From this code on a server means no for good."""
_TOO_LARGE = 552
"""Said of the sender, too, by a server that is told there how long the letter is."""
_NO_MAILBOX = 553
_LOG_IN_FIRST = 530
"""Said of whatever is asked; nothing is wrong with the letter or an address."""


class Unsent(RuntimeError):
    """The mail could not be handed over; the text names no address and no password."""


class Unanswered(Unsent):
    """The server has the whole letter and said nothing about it: it may have arrived."""


class _Plain(smtplib.SMTP):
    """A connection that ends at the deadline of its letter.

    ``has_letter``: what was written last is a whole one.
    """

    has_letter = False

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connect(host, port, timeout)

    def send(self, s: Any) -> None:
        """Write a command, which is text, or a letter, which may be looked through before it is taken."""
        super().send(s)
        self.has_letter = isinstance(s, bytes) and s.endswith(_END)
        if self.sock is not None:
            self.sock.settimeout(_LETTER_SECONDS if self.has_letter else _STEP_SECONDS)


class _Tls(smtplib.SMTP_SSL, _Plain):
    """The same with TLS from its first byte."""


def send(settings: Settings, content: Mapping[str, Any], within: float = _LETTER_SECONDS) -> list[int]:
    """Mail what is to be told, in so many seconds; return the codes by which addresses were refused.

    There is one code for each address that will not get it, so for all of them where the letter itself was
    refused for good. Raises Unsent where another try may help, Unanswered where it may make a copy.
    """
    with deadline.watched(within) as watch:
        try:
            with contextlib.closing(_connected(settings.smtp_url)) as server:
                to = [one for one in settings.alert_mail if _is_taken(server, one)]
                refused = [_NO_MAILBOX] * (len(settings.alert_mail) - len(to))
                if to:
                    refused += _handed_over(server, _message(settings, content, to), len(to))
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()  # whatever it says to this, what became of the letter is known
                return refused
        except (smtplib.SMTPException, OSError, ValueError) as problem:
            late = f"the mail server took longer than {within:.0f} s"
            raise Unsent(late if watch.expired else _why(problem)) from None


def _handed_over(server: _Plain, message: EmailMessage, addresses: int) -> list[int]:
    """Return the codes of the addresses that were refused. Raises SMTPException where a try may help."""
    try:
        refused = server.send_message(message)
    except smtplib.SMTPServerDisconnected:
        if server.has_letter:
            raise Unanswered("the mail server has the letter and did not answer") from None
        raise
    except smtplib.SMTPRecipientsRefused as problem:
        if not all(_is_final(code) for code, _ in problem.recipients.values()):
            raise
        refused = problem.recipients
    except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as problem:
        is_of_letter = isinstance(problem, smtplib.SMTPDataError) or problem.smtp_code == _TOO_LARGE
        if not (is_of_letter and _is_final(problem.smtp_code)):
            raise
        return [problem.smtp_code] * addresses
    return [code for code, _ in refused.values()]


def _is_final(code: int) -> bool:
    return code >= _FINAL and code != _LOG_IN_FIRST


def _why(problem: Exception) -> str:
    """Say what is to be mended, in words of our own: the server's may name an address."""
    match problem:
        case smtplib.SMTPAuthenticationError():
            return f"the mail server does not take the name and password ({problem.smtp_code})"
        case smtplib.SMTPResponseException():
            return f"the mail server answered {problem.smtp_code}"
        case smtplib.SMTPRecipientsRefused():
            codes = sorted({code for code, _ in problem.recipients.values()})
            return f"the mail server answered {', '.join(map(str, codes))}"
        case ssl.SSLCertVerificationError():
            return f"the mail server's certificate is not trusted: {problem.verify_message}"
        case ssl.SSLError() | smtplib.SMTPServerDisconnected():
            return "the mail server hung up or said nothing: smtps:// is for port 465, smtp:// for 587 and 25"
        case smtplib.SMTPException():  # the library's own words
            return f"the mail server lacks what is needed: {problem}"
        case socket.gaierror():
            return "the mail server's name is not found"
        case OSError(strerror=str(said)):
            return f"the mail server cannot be reached: {said}"
        case TimeoutError():
            return "the mail server does not answer"
    return type(problem).__name__


def _connected(url: str) -> _Plain:
    """Return a connection, logged in if the address names somebody. Raises OSError, SMTPException."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: _Plain = _Tls(host, port, timeout=_STEP_SECONDS, context=context)
    else:
        server = _Plain(host, port, timeout=_STEP_SECONDS)
    with contextlib.ExitStack() as stack:
        stack.callback(server.close)
        server.ehlo()
        if parts.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif parts.scheme == "smtp" and parts.password and not is_loopback(host):
            raise Unsent("the mail server offers no encryption, so that the password was not sent")
        if parts.username and parts.password:
            server.login(unquote(parts.username), unquote(parts.password))
        stack.pop_all()  # it is open for who asked
    return server


def _is_taken(server: smtplib.SMTP, address: str) -> bool:
    return server.has_extn("smtputf8") or parseaddr(_ascii(address))[1].isascii()


def _ascii(address: str) -> str:
    """Return an address with its domain as every mail server takes it."""
    before, _, domain = address.rpartition("@")
    bare = domain.removesuffix(">")
    return f"{before}@{ascii_host(bare)}{domain[len(bare) :]}"


def _message(settings: Settings, content: Mapping[str, Any], to: Sequence[str]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = content["subject"]
    message["From"] = _ascii(settings.mail_from)
    message["To"] = ", ".join(map(_ascii, to))
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=_ascii(settings.mail_from).rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # so that no holiday answer comes back
    message.set_content(content["text"])
    return message

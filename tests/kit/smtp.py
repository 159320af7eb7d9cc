"""A mail server for tests: takes what it is given, over a real socket, and refuses when it is told to."""

import contextlib
import itertools
import socketserver
import threading
import time
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Self


class _Talk(socketserver.StreamRequestHandler):
    server: "MailServer"

    def handle(self) -> None:
        """Speak as much SMTP as smtplib asks for."""
        self.server.talks += 1
        if self.server.refuses:
            return self._say("421 not now")
        self._say("220 kit")
        while line := self.rfile.readline().decode("latin-1").strip():
            word = line.split(" ", 1)[0].upper()
            self.server.answers.wait(60)
            if (said := self.server.refusal(line)) is not None:
                if not self._refuse(said):
                    return None
            elif word in ("EHLO", "HELO"):
                self._say("250-kit", *(f"250-{one}" for one in self.server.offers), "250 8BITMIME")
            elif word == "DATA":
                self._say("354 go on")
                raw = self._data()
                if (said := self.server.refusal(".")) is None:
                    self.server.take(raw)
                    self._say("250 taken")
                elif not self._refuse(said):
                    return None
            elif word == "QUIT":
                return self._say("221 bye")
            else:
                self.server.lines.append(line)
                self._say("250 ok")
        return None

    def _refuse(self, said: str) -> bool:
        """Say no, or nothing; returns whether the talk goes on after that."""
        if said:
            self._say(said)
        return bool(said) and not said.startswith("421")

    def _data(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class MailServer(socketserver.ThreadingTCPServer):
    """``letters``: what was taken; ``lines``: what was said besides; ``refuses``: takes nothing;
    ``answers``: cleared, it keeps who talks to it waiting; ``refusals``: what a line begins with (``.`` ends
    a letter), and what is answered to it once, where nothing means that it hangs up; ``offers``: what it can,
    beside 8BITMIME."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[Message] = []
        self.lines: list[str] = []
        self.talks = 0
        self.refuses = False
        self.refusals: list[tuple[str, str]] = []
        self.offers: tuple[str, ...] = ()
        self.answers = threading.Event()
        self.answers.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    def refusal(self, line: str) -> str | None:
        """What is to be answered to this line instead of what usually is."""
        for place, (begins, said) in enumerate(self.refusals):
            if line.upper().startswith(begins.upper()):
                del self.refusals[place]
                return said
        return None

    def take(self, raw: bytes) -> None:
        self.letters.append(message_from_bytes(raw))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Drip(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Begin a line, which is the beginning of TLS as well, and never end it."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"\x16\x03\x03\x20\x00")
            for byte in itertools.cycle(b"2"):
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)


class Dripping(socketserver.ThreadingTCPServer):
    """A mail server whose first line never ends."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Drip)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

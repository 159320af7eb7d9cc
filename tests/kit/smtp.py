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
            if word in ("EHLO", "HELO"):
                self._say("250-kit", "250 8BITMIME")
            elif word == "DATA":
                self._say("354 go on")
                self.server.take(self._data())
                self._say("250 taken")
            elif word == "QUIT":
                return self._say("221 bye")
            else:
                self.server.lines.append(line)
                self._say("250 ok")
        return None

    def _data(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class MailServer(socketserver.ThreadingTCPServer):
    """``letters``: what was taken; ``lines``: what was said besides; ``refuses``: takes nothing;
    ``answers``: cleared, it keeps who talks to it waiting."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[Message] = []
        self.lines: list[str] = []
        self.talks = 0
        self.refuses = False
        self.answers = threading.Event()
        self.answers.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"

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

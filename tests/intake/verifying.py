"""A captcha service to ask, and a form that asks it."""

import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.kit.relay import NEWSLETTER

CAPTCHA_SECRET = "canary-captcha-secret-91c4d7"
FORM = NEWSLETTER | {"recipient_limits": "none"}


class SiteVerify:
    """A captcha service: the visitor's answer says what becomes of it."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[dict[str, str]] = []
        self.hanging = threading.Event()
        self.taking = threading.Event()
        """While it is set a token is taken, but nobody hears of it."""
        self.free = threading.Event()
        """Answers wait for it."""
        self.free.set()
        self.once = False
        """Whether a token is good for one question only, as it is with the real ones."""
        self.reply = b'{"success": true}'
        self.status = 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                service.asked.append(dict(urllib.parse.parse_qsl(body, keep_blank_values=True)))
                if service.hanging.is_set():
                    time.sleep(30)
                said = service.answer(service.asked[-1])
                if service.taking.is_set():
                    self.close_connection = True
                    return
                service.free.wait(30)
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, asked: dict[str, str]) -> bytes:
        if self.once and sum(one["response"] == asked["response"] for one in self.asked) > 1:
            return b'{"success": false, "error-codes": ["timeout-or-duplicate"]}'
        if asked["response"].startswith("robot") or not asked["response"]:
            return b'{"success": false, "error-codes": ["invalid-input-response"]}'
        if asked["secret"] != CAPTCHA_SECRET:
            return b'{"success": false, "error-codes": ["invalid-input-secret"]}'
        return self.reply

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/siteverify"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def captcha(url: str, secret: str = "env:CAPTCHA_SECRET") -> dict[str, Any]:
    return FORM | {"captcha": {"url": url, "secret": secret, "field": "cf-turnstile-response"}}

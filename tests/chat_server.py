"""A server of this process that speaks as an OpenAI-compatible one does, for tests of whoever asks one."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]  # of a request
Reply = tuple[int, str | Callable[[Body], str]]  # status, and what is said or how it is made


def says(content: str, **message: str) -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"content": content, **message}, "finish_reason": "stop"}]})


class Server:
    """Answers the n-th request by `replies[n]` (the last one for all further), and remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [says("9")]
        self.requests: list[tuple[str, Body]] = []
        self.headers: list[str | None] = []
        self.delay = 0.0
        self.retry_after = ""  # the header, of replies that are errors
        self.blanks = 0  # sent before each reply, a fiftieth of a second apart, as busy servers keep a line alive
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(outer.requests)
                    outer.requests.append((self.path, body))
                    outer.headers.append(self.headers.get("Authorization"))
                time.sleep(outer.delay)
                status, reply = outer.replies[min(number, len(outer.replies) - 1)]
                text = reply(body) if callable(reply) else reply
                try:
                    self.send_response(status)
                    if outer.retry_after and status >= 400:
                        self.send_header("Retry-After", outer.retry_after)
                    self.end_headers()
                    for _ in range(outer.blanks):
                        self.wfile.write(b"\n")
                        time.sleep(0.02)
                    self.wfile.write(text.encode())
                except OSError:  # the client has given up
                    pass

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self) -> None:
        if not self.thread.is_alive():
            return
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

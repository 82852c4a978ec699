"""A hub of this process: the paths and headers that the Hugging Face hub's client asks for, and the files of a directory."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer:
    """Serves the data sets of `root`, each in ROOT/OWNER/NAME; `close` ends it."""

    def __init__(self, root: Path):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, _ = self.path.partition("?")
                if path.startswith("/api/datasets/"):
                    owner, name, kind = path.split("/")[3:6]
                    files = sorted(file for file in (root / owner / name).rglob("*") if file.is_file())
                    paths = [file.relative_to(root / owner / name).as_posix() for file in files]
                    if not files:
                        self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                    elif kind == "revision":
                        about = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": [{"rfilename": one} for one in paths]}
                        self.answer(200, json.dumps(about).encode())
                    else:
                        assert kind == "tree", path
                        rows = [
                            {"type": "file", "path": one, "size": file.stat().st_size, "oid": "0" * 40}
                            for one, file in zip(paths, files, strict=True)
                        ]
                        self.answer(200, json.dumps(rows).encode())
                    return
                _, _, owner, name, _, commit, *rest = path.split("/")
                content = (root / owner / name / Path(*rest)).read_bytes()
                self.answer(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit})

            do_HEAD = do_GET

            def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

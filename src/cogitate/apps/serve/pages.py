"""The chat page and its files, from the package; nothing is fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

HERE = Path(__file__).parent / "page"
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2", ".md": "text/plain; charset=utf-8",
}  # fmt: skip


class Pages:
    """The files, read once; a name that is none of theirs is not looked for on the disk."""

    def __init__(self) -> None:
        self._files = {
            str(path.relative_to(HERE)): (path.read_bytes(), KINDS[path.suffix]) for path in HERE.rglob("*") if path.is_file()
        }

    def response(self, name: str) -> Response | None:
        """None where there is no such file."""
        if name not in self._files:
            return None
        content, kind = self._files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

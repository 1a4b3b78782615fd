"""A package index on loopback that wants a user and a password (PEP 503 pages over plain HTTP)."""

from __future__ import annotations

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class PrivateIndex:
    """Serves the wheels of a folder at ``/simple/``; ``asked`` are the paths of all good requests."""

    def __init__(self, folder: Path, user: str = "user", password: str = "s3cret") -> None:
        self.asked: list[str] = []
        self.refused = 0
        self.user, self.password = user, password
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is http.server's
                if self.headers.get("Authorization") != wanted:
                    index.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                    self.end_headers()
                    return
                index.asked.append(self.path)
                body = index.page(folder, self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def page(self, folder: Path, path: str) -> bytes | None:
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return (folder / parts[1]).read_bytes()
        wheels = [wheel for wheel in sorted(folder.glob("*.whl")) if wheel.name.split("-")[0].lower() == parts[1]]
        links = [
            f'<a href="/files/{wheel.name}#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}">{wheel.name}</a>'
            for wheel in wheels
        ]
        return f"<html><body>{''.join(links)}</body></html>".encode() if links else None

    def __enter__(self) -> PrivateIndex:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def url(self, user: str | None = None, password: str | None = None) -> str:
        """The address with the credentials in it."""
        return f"http://{user or self.user}:{password or self.password}@{self.host}/simple"

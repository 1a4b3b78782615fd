"""A package index on loopback that wants a user and a password (PEP 503 pages over plain HTTP)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class PrivateIndex:
    """Serves the wheels of a folder at ``/simple/``; ``asked`` are the paths of all good requests, ``tokens`` of those for a token."""

    def __init__(self, folder: Path, user: str = "user", password: str = "s3cret", wanted: str = "") -> None:
        self.asked: list[str] = []
        self.refused = 0
        self.tokens: list[str] = []
        self.user, self.password = user, password
        wanted = wanted or "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
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
                # A proxy is asked for a whole address; CodeArtifact has its pages below /pypi/<repository>.
                body = index.page(folder, re.sub("^http://[^/]+|/pypi/[^/]+", "", self.path))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815

            def do_POST(self) -> None:  # CodeArtifact's GetAuthorizationToken, to whoever signs
                signed = self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=testing/")
                index.tokens.append(self.path)
                body = json.dumps({"authorizationToken": index.password, "expiration": 2e9} if signed else {}).encode()
                self.send_response(200 if signed else 403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def page(self, folder: Path, path: str) -> bytes | None:
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return (folder / parts[1]).read_bytes()
        wheels = [
            wheel
            for wheel in sorted(folder.glob("*.whl"))
            if wheel.name.split("-")[0].lower().replace("_", "-") == parts[1]
        ]
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


class PrivateRegistry(PrivateIndex):
    """An npm registry of one package, ``mod``, whose requests must bear the token, below /npm/<repository>/."""

    def __init__(self, folder: Path, token: str) -> None:
        super().__init__(folder, "aws", token, wanted=f"Bearer {token}")

    def page(self, folder: Path, path: str) -> bytes | None:
        tarball = io.BytesIO()
        # The time in the header would give the package another digest when it is asked for a second later.
        with (
            gzip.GzipFile(fileobj=tarball, mode="wb", mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w") as archive,
        ):
            for name, text in (("package.json", '{"name": "mod", "version": "1.5.0"}'), ("index.js", "")):
                info = tarfile.TarInfo(f"package/{name}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        if path.endswith(".tgz"):
            return tarball.getvalue()
        where = f"http://{self.shown}/npm/repo/files/mod-1.5.0.tgz"
        dist = {"tarball": where, "shasum": hashlib.sha1(tarball.getvalue()).hexdigest()}
        version = {"name": "mod", "version": "1.5.0", "dist": dist}
        return json.dumps({"name": "mod", "dist-tags": {"latest": "1.5.0"}, "versions": {"1.5.0": version}}).encode()

    shown = ""
    """The host in the addresses that it gives."""

"""An npm registry on loopback of strangers, or of ours: it has whatever name it is asked for, or just some."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class NpmRegistry:
    """``says`` is what the module of every package exports; ``asked`` are the packages that somebody wanted."""

    def __init__(self, says: str, version: str = "99.0.0", names: tuple[str, ...] = ()) -> None:
        self.says, self.version, self.names = says, version, names
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is http.server's
                name, _, rest = unquote(self.path).strip("/").partition("/-/")
                registry.asked.append(name)
                body = registry.tarball(name) if rest else registry.page(name)
                is_there = not registry.names or name in registry.names
                self.send_response(200 if is_there else 404)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/octet-stream" if rest else "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def tarball(self, name: str) -> bytes:
        packed = io.BytesIO()
        files = {"package.json": json.dumps({"name": name, "version": self.version, "main": "index.js"})}
        files["index.js"] = f"module.exports = {json.dumps(self.says)};\n"
        with (
            gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as archive,
        ):
            for file, text in files.items():
                info = tarfile.TarInfo(f"package/{file}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return packed.getvalue()

    def page(self, name: str) -> bytes:
        digest = hashlib.sha512(self.tarball(name)).digest()
        where = f"{self.url}{name}/-/{name.rpartition('/')[2]}-{self.version}.tgz"
        dist = {"tarball": where, "integrity": f"sha512-{b64encode(digest).decode()}"}
        version = {"name": name, "version": self.version, "main": "index.js", "dist": dist}
        page = {"name": name, "dist-tags": {"latest": self.version}, "versions": {self.version: version}}
        published = dict.fromkeys(("created", "modified", self.version), "2020-01-01T00:00:00.000Z")
        return json.dumps({**page, "time": published}).encode()

    def __enter__(self) -> NpmRegistry:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

"""A sparse registry of crates on loopback: it has whatever crate it is asked for, or just some.

https://doc.rust-lang.org/cargo/reference/registry-index.html#sparse-protocol
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class CrateRegistry:
    """``says`` is what ``says()`` of every crate returns; ``asked`` are the crates that somebody wanted to know of."""

    def __init__(self, says: str, versions: tuple[str, ...], names: tuple[str, ...] = ()) -> None:
        self.says, self.versions, self.names = says, versions, names
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is http.server's
                body = registry.page(self.path.strip("/").split("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def page(self, path: list[str]) -> bytes | None:
        if path == ["config.json"]:
            return json.dumps({"dl": self.url + "download/{crate}/{version}"}).encode()
        if path[0] == "download":
            return self.crate(path[1], path[2])
        self.asked.append(path[-1])
        if self.names and path[-1] not in self.names:
            return None
        return "".join(json.dumps(self.about(path[-1], version)) + "\n" for version in self.versions).encode()

    def about(self, name: str, version: str) -> dict[str, object]:
        digest = hashlib.sha256(self.crate(name, version)).hexdigest()
        return {"name": name, "vers": version, "deps": [], "cksum": digest, "features": {}, "yanked": False}

    def crate(self, name: str, version: str) -> bytes:
        packed = io.BytesIO()
        files = {
            "Cargo.toml": f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n',
            "src/lib.rs": f'pub fn says() -> &\'static str {{ "{self.says}" }}\n',
        }
        with (
            gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as archive,
        ):
            for file, text in files.items():
                info = tarfile.TarInfo(f"{name}-{version}/{file}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return packed.getvalue()

    def __enter__(self) -> CrateRegistry:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

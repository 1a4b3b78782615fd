"""An npm registry on loopback of strangers, or of ours: it has whatever name it is asked for, or just some."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode

from loopback import Loopback, packed


class NpmRegistry(Loopback):
    """``says`` is what the module of every package exports; ``asked`` are the packages that somebody wanted."""

    def __init__(self, says: str, version: str = "99.0.0", names: tuple[str, ...] = ()) -> None:
        self.says, self.version, self.names = says, version, names
        self.asked: list[str] = []
        super().__init__()

    def answer(self, path: str) -> tuple[bytes | None, str]:
        name, _, rest = path.partition("/-/")
        self.asked.append(name)
        kind = "application/octet-stream" if rest else "application/json"
        if self.names and name not in self.names:
            return None, kind
        return self.tarball(name) if rest else self.page(name), kind

    def tarball(self, name: str) -> bytes:
        files = {"package.json": json.dumps({"name": name, "version": self.version, "main": "index.js"})}
        files["index.js"] = f"module.exports = {json.dumps(self.says)};\n"
        return packed("package", files)

    def page(self, name: str) -> bytes:
        digest = hashlib.sha512(self.tarball(name)).digest()
        where = f"{self.url}{name}/-/{name.rpartition('/')[2]}-{self.version}.tgz"
        dist = {"tarball": where, "integrity": f"sha512-{b64encode(digest).decode()}"}
        version = {"name": name, "version": self.version, "main": "index.js", "dist": dist}
        page = {"name": name, "dist-tags": {"latest": self.version}, "versions": {self.version: version}}
        published = dict.fromkeys(("created", "modified", self.version), "2020-01-01T00:00:00.000Z")
        return json.dumps({**page, "time": published}).encode()

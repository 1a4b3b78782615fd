"""A sparse registry of crates on loopback: it has whatever crate it is asked for, or just some.

https://doc.rust-lang.org/cargo/reference/registry-index.html#sparse-protocol
"""

from __future__ import annotations

import hashlib
import json

from loopback import Loopback, packed


class CrateRegistry(Loopback):
    """``says`` is what ``says()`` of every crate returns; ``asked`` are the crates that somebody wanted to know of."""

    def __init__(self, says: str, versions: tuple[str, ...], names: tuple[str, ...] = ()) -> None:
        self.says, self.versions, self.names = says, versions, names
        self.asked: list[str] = []
        super().__init__()

    def answer(self, path: str) -> tuple[bytes | None, str]:
        return self.page(path.split("/")), "application/octet-stream"

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
        files = {
            "Cargo.toml": f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n',
            "src/lib.rs": f'pub fn says() -> &\'static str {{ "{self.says}" }}\n',
        }
        return packed(f"{name}-{version}", files)

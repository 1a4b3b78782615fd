"""Where artifacts are published: a store knows keys that hold the content's sha256, so what is there is right."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

from lambdabuild.artifacts.atomic import writing


class Store(Protocol):
    """Keys are like ``Orders/<sha256>.zip``. All methods may be called from several threads."""

    @property
    def region(self) -> str:
        """Where the store is, for addresses; "" when that has no meaning."""
        ...

    def location(self, key: str) -> str:
        """The address of a key: ``s3://bucket/prefix/key`` or an absolute path."""
        ...

    def has(self, key: str) -> bool: ...

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        """Send a file unless the key is there; gives whether it was sent. Raises StoreFailed (LB601)."""
        ...


class MemoryStore:
    """Objects in a dict: for tests, and to show what a store is."""

    region = ""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def location(self, key: str) -> str:
        return f"memory:{key}"

    def has(self, key: str) -> bool:
        return key in self.objects

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        if key in self.objects:
            return False
        with open(path, "rb") as stream:
            self.objects[key] = stream.read()
        return True


class FolderStore:
    """Objects as files of a folder; an object is whole or not there."""

    region = ""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def location(self, key: str) -> str:
        return os.path.join(self.folder, key)

    def has(self, key: str) -> bool:
        return os.path.isfile(self.location(key))

    def put(self, key: str, path: str, sha256: str, size: int) -> bool:
        target = self.location(key)
        if os.path.isfile(target) and os.path.getsize(target) == size:
            return False
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(path, "rb") as source, writing(target) as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
        return True

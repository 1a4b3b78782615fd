"""A cache behind HTTP as Bazel speaks it: ``/ac/<key>`` and ``/cas/<sha256>``, with GET, HEAD and PUT.

bazel-remote, nginx with DAV and many products serve it; bazel.build/remote/caching has what they must do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, BinaryIO

from lambdabuild.cache.cache import CHUNK, Digest, Sink
from lambdabuild.cache.remote import Connection
from lambdabuild.core.errors import CacheFailed

MISSING = (404, 410)


class HttpCache:
    """One session a thread, for connections are kept."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._local = threading.local()
        self._is_known = False

    @property
    def name(self) -> str:
        return self.connection.shown

    def record(self, key: str) -> bytes | None:
        content = bytearray()
        return bytes(content) if self._get(f"ac/{key}", content.extend, 0) else None

    def put_record(self, key: str, record: bytes) -> None:
        self._put(f"ac/{key}", record, len(record))

    def fetch(self, digest: Digest, sink: Sink) -> bool:
        return self._get(f"cas/{digest.sha256}", sink, digest.size)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return {digest for digest in digests if self._ask("HEAD", f"cas/{digest.sha256}").status_code in MISSING}

    def put(self, digest: Digest, path: str) -> None:
        with open(path, "rb") as stream:
            self._put(f"cas/{digest.sha256}", stream if digest.size else b"", digest.size)
        if not self._is_known:
            self._refuse_other(digest)
            self._is_known = True

    def _refuse_other(self, digest: Digest) -> None:
        """Raise CacheFailed unless the server has what it was sent: asked once, for it may be no cache at all."""
        path = f"cas/{digest.sha256}"
        answer = self._ask("HEAD", path, allow_redirects=False)
        if answer.status_code != 200 or int(answer.headers.get("Content-Length", digest.size)) != digest.size:
            raise self._failed(f"PUT {path} was answered, but what was sent is not there")

    def _get(self, path: str, sink: Sink, size: int) -> bool:
        import requests

        until = time.monotonic() + self.connection.patience(size)
        with self._ask("GET", path, stream=True) as answer:
            if answer.status_code in MISSING:
                return False
            try:
                for chunk in answer.iter_content(CHUNK):
                    sink(chunk)
                    if time.monotonic() > until:
                        raise self._failed(f"GET {path} takes too long")
            except requests.RequestException as error:
                raise self._failed(f"GET {path}: {type(error).__name__}") from error
        return True

    def _put(self, path: str, body: bytes | BinaryIO, size: int) -> None:
        answer = self._ask("PUT", path, data=body, headers={"Content-Type": "application/octet-stream"},
                           timeout=self.connection.patience(size), allow_redirects=False)  # fmt: skip
        # A captive portal redirects to its page, or answers with it; a cache answers a PUT with nothing, or a word.
        is_page = answer.headers.get("Content-Type", "").startswith("text/html") and answer.content
        if answer.status_code >= 300 or is_page:
            raise self._failed(f"PUT {path}: {answer.status_code} and a web page, so the answer is not a cache's")

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        import requests

        more.setdefault("timeout", self.connection.timeout_seconds)
        try:
            answer = self._session().request(method, f"{self.connection.address.rstrip('/')}/{path}", **more)
        except (requests.RequestException, OSError) as error:
            raise self._failed(f"{method} {path}: {type(error).__name__}") from error
        if answer.status_code >= 400 and not (method != "PUT" and answer.status_code in MISSING):
            answer.close()
            raise self._failed(f"{method} {path}: {answer.status_code} {answer.reason}")
        return answer

    def _failed(self, why: str) -> CacheFailed:
        return CacheFailed(
            f"the cache {self.name} is not used any more in this run: {why}",
            help="check its address in cache.remotes, cache.headers and the network",
        )

    def _session(self) -> Any:
        if not hasattr(self._local, "session"):
            self._local.session = _make_session(self.connection)
        return self._local.session


def _make_session(connection: Connection) -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    again = Retry(1, backoff_factor=0.2, status_forcelist=(429, 502, 503, 504), allowed_methods=None,
                  respect_retry_after_header=False, raise_on_status=False)  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=again))
    session.headers.update(connection.headers)
    session.verify = connection.ca_file or True
    if connection.client_certificate:
        session.cert = (connection.client_certificate, connection.client_key)
    return session

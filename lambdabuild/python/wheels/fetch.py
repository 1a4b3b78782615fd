"""Wheels from where the lock says into the machine's store, in parallel, each verified before it is there."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

from lambdabuild.core import regular
from lambdabuild.core.atomic import unfinished
from lambdabuild.core.errors import DownloadFailed, HashMismatch, LambdaBuildError, Offline, raise_all
from lambdabuild.python.indexes import Credentials
from lambdabuild.python.locks import Wheel
from lambdabuild.rule_api import Job

THREADS = 8
TRIES = 4
TIMEOUT_SECONDS = 60
CHUNK = 1 << 18


def fetch(wheels: Iterable[Wheel], job: Job, credentials: Credentials | None = None) -> list[str]:
    """Return the paths of the wheels in the store, ``wheels/<sha256>/<file name>``, in the order given.

    What the store has is held against the lock's digest; when it is something else, it is fetched again.
    ``credentials`` go to their own hosts only; for others ~/.netrc is asked.

    All that fail are told together: HashMismatch (LB404), DownloadFailed (LB604), Offline (LB603).
    """
    with _Session(credentials or {}) as session, ThreadPoolExecutor(THREADS) as pool:

        def one(wheel: Wheel) -> str | LambdaBuildError:
            try:
                return stored(wheel, job) or _fetched(wheel, job.store, session, job.offline, job.who)
            except LambdaBuildError as error:
                return error

        results = list(pool.map(one, wheels))
    raise_all(item for item in results if isinstance(item, LambdaBuildError))
    return [item for item in results if isinstance(item, str)]


def stored(wheel: Wheel, job: Job) -> str:
    """Return the wheel's path when the store has just what the lock promises, else ""."""
    path = place(job.store, wheel.sha256, wheel.file_name)
    return path if wheel.sha256 and job.is_whole(path, wheel.sha256) else ""


def place(store: str, sha256: str, file_name: str) -> str:
    return os.path.join(store, "wheels", sha256, file_name)


def _fetched(wheel: Wheel, store: str, session: _Session, offline: bool, who: str) -> str:
    is_file = wheel.url.startswith("file://")
    if offline and not is_file:
        raise Offline(
            f"{who}: {wheel.name} {wheel.version} is not in the store and the run is offline",
            help="run once without offline",
        )
    parent = os.path.join(store, "wheels")
    os.makedirs(parent, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=parent, suffix=".tmp", delete=False) as stream, unfinished(stream.name):
        sha256 = _written(_read_file(wheel) if is_file else session.read(wheel, who), stream)
        if wheel.sha256 and sha256 != wheel.sha256:
            raise HashMismatch(
                f"{who}: {wheel.file_name} is not what the lock promises",
                tail=f"from: {shown(wheel.url)}\nexpected sha256: {wheel.sha256}\nreceived sha256: {sha256}",
                help="lock again if the change is meant; otherwise do not trust this index",
            )
        stream.flush()
        os.fsync(stream.fileno())
        os.chmod(stream.name, 0o444)
        target = place(store, sha256, wheel.file_name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(stream.name, target)
    return target


def _written(chunks: Iterator[bytes], stream: Any) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        stream.write(chunk)
    return digest.hexdigest()


def _read_file(wheel: Wheel) -> Iterator[bytes]:
    path = unquote(urlsplit(wheel.url).path)
    try:
        with open(path, "rb", opener=regular.opener) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise DownloadFailed(f"cannot read {path}: {error.strerror}", help="correct the path") from error


def shown(url: str) -> str:
    """Return an address without user, password and query, which may be secret."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class _Session:
    """One HTTP session of requests a thread: proxies, netrc and certificates as the environment says."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.local = threading.local()
        self.all: list[Any] = []

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self.all:
            session.close()

    def read(self, wheel: Wheel, who: str) -> Iterator[bytes]:
        import requests

        try:
            auth = self.credentials.get(urlsplit(wheel.url).netloc)
            with self._get().get(wheel.url, stream=True, timeout=TIMEOUT_SECONDS, auth=auth) as answer:
                answer.raise_for_status()
                yield from answer.iter_content(CHUNK)
        except (requests.RequestException, OSError) as error:
            text = str(error).replace(wheel.url, shown(wheel.url))
            raise DownloadFailed(
                f"{who}: cannot download {wheel.file_name} after {TRIES} tries",
                tail=f"from: {shown(wheel.url)}\n{type(error).__name__}: {text}",
                help="check the network, the proxy and the index's address",
            ) from error

    def _get(self) -> Any:
        if not hasattr(self.local, "session"):
            self.local.session = _make_session()
            self.all.append(self.local.session)
        return self.local.session


def _make_session() -> Any:
    import certifi
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    # The system's certificates (SSL_CERT_FILE and SSL_CERT_DIR too) together with certifi's, for machines without any.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *given: Any, **named: Any) -> None:
            super().init_poolmanager(*given, **named, ssl_context=context)

    retries = Retry(
        TRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), respect_retry_after_header=True
    )
    session = requests.Session()
    session.mount("https://", Adapter(max_retries=retries))
    session.mount("http://", HTTPAdapter(max_retries=retries))
    return session

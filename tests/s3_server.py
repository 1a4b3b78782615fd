"""moto's S3 on loopback, counting requests and refusing a body that is not what its checksum says (moto does not)."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class S3Server:
    """``requests`` counts them by method; ``bad_checksums`` are the bodies that were refused."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bad_checksums: list[str] = []
        self.checksums: dict[str, str] = {}
        self.without_checksum: list[str] = []
        self.fail_next = 0
        """So many requests are answered by 503 first."""
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._handle, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> S3Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs; the keys are moto's."""
        return {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, region_name="eu-west-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip

    def bucket(self, name: str) -> Any:
        """A new, empty bucket. What an earlier server of this process kept under that name is gone: moto has one store."""
        client = self.client()
        if name in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            for kept in client.list_objects_v2(Bucket=name).get("Contents", []):
                client.delete_object(Bucket=name, Key=kept["Key"])
            client.delete_bucket(Bucket=name)
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.requests.clear()
        return client

    def _handle(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        self.requests[method] += 1
        if self.fail_next > 0:
            self.fail_next -= 1
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code></Error>"]
        if method == "PUT" and environ["PATH_INFO"].count("/") > 1:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            promised = environ.get("HTTP_X_AMZ_CHECKSUM_SHA256")
            if promised is None:
                self.without_checksum.append(environ["PATH_INFO"])
            elif promised != base64.b64encode(hashlib.sha256(body).digest()).decode():
                self.bad_checksums.append(environ["PATH_INFO"] + query)
                start("400 Bad Request", [("Content-Type", "application/xml")])
                return [b"<Error><Code>BadDigest</Code></Error>"]
            else:
                self.checksums[environ["PATH_INFO"]] = promised
        return self._app(environ, start)  # type: ignore[no-any-return]

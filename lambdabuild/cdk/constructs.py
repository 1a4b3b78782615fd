"""``Function`` and ``Layer``: as the CDK's own, with a folder in place of ``code``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_lambda
from constructs import Construct

from lambdabuild.cdk.builds import BuiltCode


class Function(aws_lambda.Function):
    """A function that lambdabuild builds from a folder.

    ``path`` is relative to the folder in which the app runs; ``settings`` are those of ``[functions.NAME]``, such as
    ``{"slim": True}``. All properties of ``aws_lambda.Function`` but ``code`` apply. A lambdabuild.toml in the app's
    folder applies too.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        path: str,
        runtime: aws_lambda.Runtime,
        handler: str,
        architecture: aws_lambda.Architecture | None = None,
        settings: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> None:
        described = {
            "path": _relative(path),
            "runtime": runtime.name,
            "handler": handler,
            "architecture": _architecture(architecture),
            **_texts(settings or {}),
        }
        super().__init__(
            scope, id, code=BuiltCode("functions", described), runtime=runtime, handler=handler,
            architecture=architecture, **properties,
        )  # fmt: skip


class Layer(aws_lambda.LayerVersion):
    """A layer that lambdabuild builds: from a folder, from a manifest, or both.

    ``settings`` are those of ``[layers.NAME]``. All properties of ``aws_lambda.LayerVersion`` but ``code`` apply.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        compatible_runtimes: Sequence[aws_lambda.Runtime],
        path: str = "",
        manifest: str = "",
        architecture: aws_lambda.Architecture | None = None,
        settings: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> None:
        described = {
            **({"path": _relative(path)} if path else {}),
            **({"manifest": _relative(manifest)} if manifest else {}),
            "runtimes": ",".join(runtime.name for runtime in compatible_runtimes),
            "architectures": _architecture(architecture),
            **_texts(settings or {}),
        }
        super().__init__(
            scope, id, code=BuiltCode("layers", described), compatible_runtimes=list(compatible_runtimes),
            compatible_architectures=[architecture] if architecture else None, **properties,
        )  # fmt: skip


def _architecture(architecture: aws_lambda.Architecture | None) -> str:
    return architecture.name if architecture is not None else "x86_64"


def _relative(path: str) -> str:
    return os.path.relpath(path).replace(os.sep, "/")


def _texts(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return settings as the command line has them: ``options.minify`` -> ``true``."""
    texts: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            texts |= _texts(value, f"{prefix}{name}.")
        elif isinstance(value, str | bool | int | float):
            texts[prefix + name] = str(value).lower() if isinstance(value, bool) else str(value)
        else:
            texts[prefix + name] = ",".join(map(str, value))
    return texts

"""Lambda Builders' JSON-RPC: one request on standard input or as the argument, one JSON document on standard output.

The protocol: https://github.com/aws/aws-lambda-builders/blob/develop/DESIGN.md#command-line-interface-internal and
https://www.jsonrpc.org/specification. docs/reference/rpc.md says where Lambda Builders answers
differently, or not at all.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from lambdabuild.core.errors import LambdaBuildError

PROTOCOL: Final = (0, 3)
METHOD: Final = "LambdaBuilder.build"
NOT_JSON, NO_REQUEST, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602
FAILED, BROKEN, OTHER_PROTOCOL = 400, 500, 505
CALLERS_MISTAKES: Final = frozenset({
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM,
    errno.EROFS,
})  # fmt: skip
"""Errors of a path that was given; a full disk is not one."""
LONGEST_SHOWN = 300
VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
LOG = logging.getLogger(__name__)

Build = Callable[[Mapping[str, Any]], None]
Check = Callable[[Any], bool]


class Refused(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def main(arguments: Sequence[str]) -> int:
    """Answer one request; gives the exit code: 0 for a result, 1 for an error."""
    _log_to_stderr()
    given: str | bytes = arguments[0] if arguments else _stdin()
    try:
        with _stdout_kept() as write:
            response = respond(given, build)
            write(json.dumps(response, allow_nan=False))
    except OSError:  # nobody listens
        return 1
    return 1 if "error" in response else 0


def respond(given: str | bytes, build: Build) -> dict[str, Any]:
    """The response to a request; whatever is given, it is one."""
    name: Any = None
    try:
        request = _request(given)
        name = _id(request)
        params = _params(request)
        build(params)
        return {"jsonrpc": "2.0", "id": name, "result": {"artifacts_dir": params["artifacts_dir"]}}
    except Refused as refused:
        return _error(name, refused.code, refused.message)
    except LambdaBuildError as error:
        LOG.debug("the build failed", exc_info=error)
        return _error(name, FAILED, str(error))
    except OSError as error:
        LOG.debug("the build failed", exc_info=error)
        return _error(name, FAILED if error.errno in CALLERS_MISTAKES else BROKEN, _told(error))
    except (Exception, SystemExit) as error:
        LOG.debug("the build broke down", exc_info=error)
        return _error(name, BROKEN, f"{type(error).__name__}: {error}")


def _told(error: OSError) -> str:
    file = str(error.filename or "")
    shown = file if len(file) <= LONGEST_SHOWN else f"{file[: LONGEST_SHOWN - 3]}..."
    return f"{error.strerror or error}{': ' if shown else ''}{shown}"


def build(params: Mapping[str, Any]) -> None:
    """Build what checked parameters ask for."""
    from lambdabuild.api.lambda_builders import LambdaBuilder

    builder = LambdaBuilder(**params["capability"], supported_workflows=params.get("supported_workflows"))
    others = {name: value for name, value in params.items() if name not in ("capability", "supported_workflows")}
    builder.build(**others)


def _error(name: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": name, "error": {"code": code, "message": message}}


# what is asked


def _request(given: str | bytes) -> dict[str, Any]:
    try:
        text = given if isinstance(given, str) else given.decode("utf-8-sig")
        request = json.loads(text, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise Refused(NOT_JSON, f"Parse error: the request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused(NO_REQUEST, "Invalid Request: it is one JSON object, no list and no other value")
    return request


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _number(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def _id(request: Mapping[str, Any]) -> str | int | float | None:
    name = request.get("id")
    if isinstance(name, list | dict):
        raise Refused(NO_REQUEST, "Invalid Request: its id is a text, a number or null")
    return name


def _params(request: Mapping[str, Any]) -> dict[str, Any]:
    missing = [key for key in ("id", "method", "params") if key not in request]
    if missing:
        raise Refused(NO_REQUEST, f"Invalid Request: it has no {' and no '.join(missing)}")
    if request["method"] != METHOD:
        raise Refused(NO_METHOD, "Method unavailable")
    params = request["params"]
    if not isinstance(params, dict):
        raise Refused(BAD_PARAMS, "Invalid params: params is to be an object")
    _check_version(params.get("__protocol_version"))
    return _checked(params)


def _check_version(given: Any) -> None:
    """Versions are compared number by number: 0.10 is newer than 0.3."""
    version = VERSION.fullmatch(given) if isinstance(given, str) else None
    if not version or (int(version[1]), int(version[2])) > PROTOCOL:
        raise Refused(OTHER_PROTOCOL, "Unsupported Protocol Version")


def _checked(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are known, with values of their types; null is the default where there is one."""
    wrong = [f"{name} is missing" for name in NEEDED if name not in params]
    wrong += [
        f"{name} is to be {words}"
        for name, (words, fits) in PARAMETERS.items()
        if name in params and not (fits(params[name]) or (params[name] is None and name not in NEVER_NULL))
    ]
    if wrong:
        raise Refused(BAD_PARAMS, f"Invalid params: {'; '.join(wrong)}")
    capability = {
        name: params["capability"][name] for name in ("language", "dependency_manager", "application_framework")
    }
    given = {name: params[name] for name in PARAMETERS if params.get(name) is not None or name in NEEDED}
    return given | {"capability": capability}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    """A path that the file system can hold."""
    try:
        return isinstance(value, str) and value != "" and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_flags(value: Any) -> bool:
    """Nothing uses them, and callers send one as a plain text too."""
    return _is_text(value) or _are_texts(value)


def _are_paths(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_path, value))


def _is_capability(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("language"), str):
        return False
    others = ("dependency_manager", "application_framework")
    return all(name in value and isinstance(value[name], str | None) for name in others)


PARAMETERS: Mapping[str, tuple[str, Check]] = {
    "capability": ("an object with language, dependency_manager and application_framework", _is_capability),
    "source_dir": ("a path", _is_path),
    "artifacts_dir": ("a path", _is_path),
    "scratch_dir": ("a path", _is_path),
    "manifest_path": ("a path or null", _is_path),
    "runtime": ("a text or null", _is_text),
    "unpatched_runtime": ("a text or null", _is_text),
    "optimizations": ("an object or null", _is_object),
    "options": ("an object or null", _is_object),
    "executable_search_paths": ("a list of paths or null", _are_paths),
    "mode": ("a text or null", _is_text),
    "download_dependencies": ("true or false", _is_flag),
    "dependencies_dir": ("a path or null", _is_path),
    "combine_dependencies": ("true or false", _is_flag),
    "architecture": ("a text", _is_text),
    "is_building_layer": ("true or false", _is_flag),
    "experimental_flags": ("a text, a list of texts or null", _are_flags),
    "build_in_source": ("true, false or null", _is_flag),
    "supported_workflows": ("a list of texts or null", _are_texts),
}
NEEDED = ("capability", "source_dir", "artifacts_dir", "scratch_dir", "manifest_path", "runtime", "optimizations",
          "options")  # fmt: skip
NEVER_NULL = ("capability", "source_dir", "artifacts_dir", "scratch_dir")


# where it comes from and goes to


def _stdin() -> bytes:
    try:
        with open(0, "rb", closefd=False) as stream:
            return stream.read()
    except OSError:  # there is no standard input
        return b""


@contextmanager
def _stdout_kept() -> Iterator[Callable[[str], None]]:
    """What a rule, a library or a tool prints goes to stderr; only what is written here goes to stdout."""
    if sys.stdout is not None:
        sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)

    def write(text: str) -> None:
        with open(kept, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(text)

    try:
        yield write
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _log_to_stderr() -> None:
    """As bare messages; LAMBDA_BUILDERS_LOG_LEVEL is a number or a name, 20 (INFO) when it is neither."""
    given = os.environ.get("LAMBDA_BUILDERS_LOG_LEVEL", "").strip().upper()
    level = int(given) if re.fullmatch("[0-9]{1,9}", given) else logging.getLevelNamesMapping().get(given, logging.INFO)
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")

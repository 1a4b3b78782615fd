"""The sources a variable may ask, each a function of a call; the world outside is handed in."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lambdabuild.core.errors import SourceFailed
from lambdabuild.core.spans import Node, from_data, to_data
from lambdabuild.frontends.serverless.variables.evaluator import Call, VariableSource, as_text, child

JAVASCRIPT = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts")
DATA = (".yml", ".yaml", ".json", ".tfstate")


class World(Protocol):
    """Everything that lies outside the file: each method gives None when there is no such thing."""

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment, including those of .env files."""
        ...

    def text(self, path: str) -> str | None:
        """Return a file's text; the path is relative to the project."""
        ...

    def nodes(self, path: str) -> Node | None:
        """Return the content of a YAML or JSON file."""
        ...

    def javascript(self, path: str, address: str, ask: Callable[[str, Any], Any]) -> Any:
        """Return what a JavaScript file exports, its functions called; ``ask`` answers its questions."""
        ...

    def git(self, what: str) -> str | None: ...

    def aws(self, service: str, region: str, name: str) -> Any:
        """Return a value of AWS; ``service`` is ``cf``, ``ssm``, ``ssm-encrypted``, ``s3`` or ``account``. Raises
        SourceFailed.
        """
        ...


class Service(Protocol):
    """Values of the service that are known before the whole is."""

    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def params(self) -> Mapping[str, str]:
        """Return the params of the command line."""
        ...

    def stage(self) -> str: ...
    def region(self) -> str: ...


def sources(world: World, service: Service) -> dict[str, VariableSource]:
    """Return the table of sources."""
    return {
        "self": VariableSource(_self),
        "opt": VariableSource(lambda call: _option(call, service)),
        "env": VariableSource(lambda call: world.variable(_address(call)), secret=True),
        "file": VariableSource(lambda call: _file(call, world)),
        "param": VariableSource(lambda call: _param(call, service)),
        "sls": VariableSource(lambda call: _sls(call, service)),
        "strToBool": VariableSource(_str_to_bool),
        "git": VariableSource(lambda call: world.git(_address(call))),
        "aws": VariableSource(lambda call: _aws(call, world, service), remote=True),
        "cf": VariableSource(lambda call: _cf(call, world, service), remote=True, secret=True),
        "ssm": VariableSource(lambda call: _ssm(call, world, service), remote=True, secret=True),
        "s3": VariableSource(lambda call: _s3(call, world, service), remote=True, secret=True),
    }


def _address(call: Call) -> str:
    if not call.address:
        raise SourceFailed("the address after the colon is missing", help="name what is asked for")
    return call.address


def _self(call: Call) -> Node | None:
    return call.document.at(tuple(call.address.split(".")) if call.address else ())


def _option(call: Call, service: Service) -> Any:
    return service.options.get(call.address) if call.address else dict(service.options)


def _param(call: Call, service: Service) -> Any:
    """Return a param from the command line, then the stage's params, then the default ones.

    ``stages`` is where the newest version of the Serverless Framework keeps them; ``params`` wins over it.
    """
    name = _address(call)
    if name in service.params:
        return service.params[name]
    stage = service.stage()
    for path in (
        ("stages", stage, "params"),
        ("stages", "default", "params"),
        ("params", stage),
        ("params", "default"),
    ):
        param = call.document.at((*path, name))
        if param is not None and param.value is not None:
            return param
    return None


def _sls(call: Call, service: Service) -> str:
    if _address(call) == "stage":
        return service.stage()
    if call.address == "instanceId":
        # The Serverless Framework takes the clock, which would make every build another one.
        return "lambdabuild"
    raise SourceFailed(f"sls knows no {call.address!r}", help="ask for sls:stage or sls:instanceId")


def _str_to_bool(call: Call) -> bool:
    given = call.params[0] if call.params else None
    word = as_text(given).strip().lower() if isinstance(given, str | bool | int) else ""
    known = {"true": True, "1": True, "false": False, "0": False}
    if word not in known:
        raise SourceFailed("strToBool takes true, false, 1 or 0", help="write strToBool(${...}) round one of them")
    return known[word]


def _aws(call: Call, world: World, service: Service) -> Any:
    name = _address(call)
    if name == "region":
        return service.region()
    if name == "accountId":
        return world.aws("account", service.region(), "")
    if name == "partition":
        return partition(service.region())
    raise SourceFailed(f"aws knows no {name!r}", help="ask for aws:accountId, aws:region or aws:partition")


def partition(region: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""
    known = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
    return next((name for start, name in known.items() if region.startswith(start)), "aws")


def _region(call: Call, service: Service) -> str:
    regions = [param for param in call.params or () if isinstance(param, str) and param not in ("raw", "noDecrypt")]
    return regions[0] if regions and regions[0] else service.region()


def _cf(call: Call, world: World, service: Service) -> Any:
    stack, dot, output = _address(call).partition(".")
    if not dot:
        raise SourceFailed("no output is named", help="write cf:stack.OutputName")
    outputs = world.aws("cf", _region(call, service), stack)
    return None if outputs is None else outputs.get(output)


def _ssm(call: Call, world: World, service: Service) -> Any:
    raw = "raw" in (call.params or ())
    kind = "ssm-encrypted" if "noDecrypt" in (call.params or ()) else "ssm"
    parameter = world.aws(kind, _region(call, service), _address(call))
    if parameter is None:
        return None
    value = parameter["Value"]
    if raw:
        return value
    if parameter["Type"] == "StringList":
        return value.split(",")
    if parameter["Type"] == "SecureString" and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _s3(call: Call, world: World, service: Service) -> Any:
    bucket, slash, key = _address(call).partition("/")
    if not slash or not key:
        raise SourceFailed("no key is named", help="write s3:bucket/key")
    return world.aws("s3", service.region(), f"{bucket}/{key}")


def _file(call: Call, world: World) -> Any:
    path = call.params[0] if call.params else None
    if not isinstance(path, str) or not path:
        raise SourceFailed("no file is named", help="write file(./path.yml):address")
    path = posixpath.normpath(path)
    extension = posixpath.splitext(path)[1]
    if extension in JAVASCRIPT:
        value = world.javascript(path, call.address, lambda kind, what: _answer(call, kind, what))
        return None if value is None else from_data(value, call.span)
    if extension not in DATA:
        text = world.text(path)
        return text if not call.address else None
    root = world.nodes(path)
    return _inside(call, root) if root is not None else None


def _answer(call: Call, kind: str, what: Any) -> Any:
    """Answer a JavaScript file: ``resolveVariable`` and ``resolveConfigurationProperty`` of its argument."""
    if kind == "variable":
        return call.evaluator.inside("${" + str(what) + "}", call.span)
    node = call.document.at(tuple(str(key) for key in what))
    return None if node is None else to_data(node)


def _inside(call: Call, root: Node) -> Node | None:
    node: Node | None = root
    for key in call.address.split(".") if call.address else ():
        if node is not None and isinstance(node.value, str) and re.search(r"\$\{", node.value):
            node = call.evaluator.text(node)
        node = child(node, key) if node is not None else None
    return node

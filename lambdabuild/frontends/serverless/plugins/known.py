"""What becomes of each plugin that a service lists: done here, nothing that a template or a zip shows, or an error.

A plugin that is not run and that changes the template or the code is an error (LB115): deployed over a live stack, the
template without what it adds deletes that. The setting ``plugins_ignored`` is for who knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from lambdabuild.core.errors import LambdaBuildError, PluginNotRun
from lambdabuild.core.records import Struct, replace
from lambdabuild.core.spans import Node, Span
from lambdabuild.frontends.serverless.schema import Mistake

Becomes = Literal["done", "harmless", "error"]


class Known(Struct, frozen=True):
    """``words``: what the plugin does. ``keys``: dotted patterns of the places in the file that only it understands.

    ``brings``: keys of functions that are done here, and count only where the plugin is listed.
    """

    becomes: Becomes
    words: str = ""
    keys: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    changes_code: bool = False
    """What it does is in the zips, and not only in the template."""


class Listed(Struct, frozen=True):
    """A plugin as a service lists it."""

    name: str
    where: Span

    @property
    def row(self) -> Known:
        return row(self.name)


LOCAL = "it is for running the service on this machine"
AFTERWARDS = "it works after a deployment, which lambdabuild does not do"
COMPILES = "it compiles the code"
UNKNOWN = Known("error", "lambdabuild does not know what it does")

ROLES = "serverless-iam-roles-per-function"
"""Version 4 of the Framework does its work without it."""

PLUGINS: Mapping[str, Known] = {
    # done here
    "serverless-python-requirements": Known("done"),
    "socless_integration_packager": Known("done"),
    "serverless-esbuild": Known("done"),
    "serverless-plugin-typescript": Known("done"),
    "serverless-lambdabuild": Known("done"),
    ROLES: Known("done", brings=(
        "iamRoleStatements", "iamRoleStatementsInherit", "iamRoleStatementsName", "iamPermissionsBoundary",
    )),
    "serverless-dotenv-plugin": Known("done"),
    "serverless-plugin-ifelse": Known("done"),
    "serverless-plugin-conditional-functions": Known("done", keys=("functions.*.enabled",)),
    "serverless-plugin-git-variables": Known("done"),
    # nothing that a template or a zip shows
    "serverless-offline": Known("harmless", LOCAL),
    "serverless-offline-*": Known("harmless", LOCAL),
    "serverless-dynamodb": Known("harmless", LOCAL),
    "serverless-dynamodb-local": Known("harmless", LOCAL),
    "serverless-s3-local": Known("harmless", LOCAL),
    "serverless-appsync-simulator": Known("harmless", LOCAL),
    "serverless-appsync-offline": Known("harmless", LOCAL),
    "serverless-step-functions-offline": Known("harmless", LOCAL),
    "serverless-step-functions-local": Known("harmless", LOCAL),
    "serverless-localstack": Known("harmless", "it sends calls of AWS to LocalStack, as the setting endpoint_url does"),
    "serverless-plugin-simulate": Known("harmless", LOCAL),
    "serverless-mocha-plugin": Known("harmless", "it runs tests"),
    "serverless-jest-plugin": Known("harmless", "it runs tests"),
    "serverless-prune-plugin": Known("harmless", f"it deletes old versions: {AFTERWARDS}"),
    "serverless-deployment-bucket": Known("harmless", "it makes provider.deploymentBucket, which must be there"),
    "serverless-stack-output": Known("harmless", "it writes a stack's outputs into a file after a deployment"),
    "serverless-export-env": Known("harmless", "it writes variables into a file"),
    "serverless-finch": Known("harmless", f"it uploads a web site: {AFTERWARDS}"),
    "serverless-s3-sync": Known("harmless", f"it uploads folders: {AFTERWARDS}"),
    "serverless-better-credentials": Known("harmless", "it finds credentials, as lambdabuild does by itself"),
    "serverless-stage-manager": Known("harmless", "it refuses stages that are not listed"),
    # what they add or change would be lost
    "serverless-domain-manager": Known("error", "it makes custom domains, maps APIs to them and adds outputs"),
    "serverless-step-functions": Known("error", "it adds state machines and their roles", ("stepFunctions",)),
    "serverless-appsync-plugin": Known("error", "it adds GraphQL APIs, data sources and resolvers", ("appSync",)),
    "serverless-plugin-aws-alerts": Known("error", "it adds alarms, topics and dashboards", ("functions.*.alarms",)),
    "serverless-plugin-warmup": Known("error", "it adds functions that keep others warm", ("functions.*.warmup",)),
    "serverless-plugin-resource-tagging": Known("error", "it adds stackTags to resources"),
    "serverless-plugin-split-stacks": Known("error", "it moves resources to nested stacks"),
    "serverless-plugin-tracing": Known(
        "error", "it sets functions' tracing", ("provider.tracing",)
    ),
    "serverless-plugin-lambda-insights": Known(
        "error", "it adds a layer and a policy", ("functions.*.lambdaInsights",)
    ),
    "serverless-plugin-log-retention": Known("error", "it sets how long logs are kept"),
    "serverless-log-forwarding": Known("error", "it adds subscription filters of logs", ("functions.*.logForwarding",)),
    "serverless-plugin-datadog": Known("error", "it adds layers, and changes handlers and variables"),
    "serverless-api-gateway-throttling": Known(
        "error", f"it adds outputs, and sets limits of endpoints: {AFTERWARDS}",
        ("functions.*.events.*.http.throttling", "functions.*.events.*.httpApi.throttling"),
    ),
    "serverless-plugin-canary-deployments": Known(
        "error", "it adds aliases and gradual deployments", ("functions.*.deploymentSettings",)
    ),
    "serverless-plugin-existing-s3": Known(
        "error", "it adds functions to buckets after a deployment", ("functions.*.events.*.existingS3",)
    ),
    "serverless-pseudo-parameters": Known("error", "it replaces #{...} in the template"),
    "serverless-apigateway-service-proxy": Known("error", "it adds endpoints of REST APIs without functions"),
    "serverless-add-api-key": Known("error", "it adds API keys and usage plans"),
    "serverless-associate-waf": Known("error", "it puts a firewall in front of APIs after a deployment"),
    "serverless-api-gateway-caching": Known(
        "error", "it sets caches of endpoints", ("functions.*.events.*.http.caching",)
    ),
    "serverless-aws-documentation": Known(
        "error", "it adds documentation and models to REST APIs", ("functions.*.events.*.http.documentation",)
    ),
    "serverless-openapi-documentation": Known(
        "error", "it adds models to REST APIs", ("functions.*.events.*.http.documentation",)
    ),
    "serverless-reqvalidator-plugin": Known(
        "error", "it adds validators to REST APIs", ("functions.*.events.*.http.reqValidatorName",)
    ),
    "serverless-lift": Known("error", "it adds what constructs stand for", ("constructs",)),
    "serverless-webpack": Known("error", f"{COMPILES} with webpack", changes_code=True),
    "serverless-bundle": Known("error", f"{COMPILES} with webpack or esbuild", changes_code=True),
    "serverless-rollup": Known("error", f"{COMPILES} with rollup", changes_code=True),
    "serverless-vite": Known("error", f"{COMPILES} with vite", changes_code=True),
    "serverless-plugin-optimize": Known("error", f"{COMPILES} with browserify", changes_code=True),
    "serverless-rust": Known("error", COMPILES, changes_code=True),
    "serverless-go-plugin": Known("error", COMPILES, changes_code=True),
    "serverless-scriptable-plugin": Known("error", "it runs commands"),
    "serverless-plugin-scripts": Known("error", "it runs commands"),
    "serverless-plugin-include-dependencies": Known("error", "it chooses the files of packages", changes_code=True),
    "serverless-plugin-common-excludes": Known("error", "it chooses the files of packages", changes_code=True),
}  # fmt: skip
"""By name; ``*`` stands for any text."""


def row(name: str) -> Known:
    """Return a plugin's row. An unknown plugin, such as a file of the service, is an error."""
    if name in PLUGINS:
        return PLUGINS[name]
    return next((known for pattern, known in PLUGINS.items() if "*" in pattern and fnmatchcase(name, pattern)), UNKNOWN)


def listed(root: Node) -> list[Listed]:
    """Return the plugins of a service: ``plugins`` is a list of names, or ``{modules: [...]}``."""
    plugins = root.get("plugins")
    modules = plugins.get("modules") if plugins is not None and isinstance(plugins.value, dict) else plugins
    items = modules.value if modules is not None and isinstance(modules.value, list) else []
    return [Listed(str(item.value), item.span) for item in items if item.value is not None]


def is_ignored(name: str, ignored: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in ignored)


def not_run(plugins: Sequence[Listed], ignored: Sequence[str], artifacts_only: bool) -> Iterator[LambdaBuildError]:
    """Return one error that names all plugins whose work would be lost (LB115).

    With ``artifacts_only`` the Serverless Framework makes the template, and runs them; what changes code is lost then.
    """
    lost = [
        plugin
        for plugin in plugins
        if plugin.row.becomes == "error" and not is_ignored(plugin.name, ignored)
        if plugin.row.changes_code or not artifacts_only
    ]
    if not lost:
        return
    told = "; ".join(f"{plugin.name}: {plugin.row.words}" for plugin in lost)
    names = ", ".join(f'"{plugin.name}"' for plugin in (*(Listed(name, lost[0].where) for name in ignored), *lost))
    yield PluginNotRun(
        f"plugins are not run, and what these do is not in the template or the zips: {told}",
        where=tuple(plugin.where for plugin in lost),
        help=f"keep the Serverless Framework with the plugin serverless-lambdabuild, which runs them (docs/guides/"
        f"serverless-plugin.md); or, if they add nothing that you deploy, set plugins_ignored = [{names}]"
        if not artifacts_only
        else f"list one or the other; if it changes no code of yours, set plugins_ignored = [{names}]",
    )


def notes(plugins: Sequence[Listed], ignored: Sequence[str], artifacts_only: bool) -> Iterator[str]:
    """Return notes about plugins that a template does without; with ``artifacts_only``, about what nobody knows."""
    for plugin in plugins:
        if artifacts_only:
            if plugin.row is UNKNOWN and not is_ignored(plugin.name, ignored):
                yield f"{plugin.where}: {plugin.name} is not known here: if it changes code, that is not in the zips"
            continue
        if plugin.row.becomes == "harmless":
            yield f"{plugin.where}: {plugin.name} is not run: {plugin.row.words}"
        elif plugin.row.becomes == "error" and is_ignored(plugin.name, ignored):
            yield f"{plugin.where}: {plugin.name} is ignored, as plugins_ignored says: {plugin.row.words}"


def not_listed(root: Node, plugins: Sequence[Listed], built_in: Sequence[str]) -> Iterator[Mistake]:
    """Return keys of functions of plugins that are neither listed nor ``built_in``: they have no effect."""
    functions = root.get("functions")
    members = functions.value if functions is not None and isinstance(functions.value, dict) else {}
    there = {*(plugin.name for plugin in plugins), *built_in}
    absent = {key: name for name, known in PLUGINS.items() if name not in there for key in known.brings}
    for function, node in members.items():
        for key in sorted(absent.keys() & node.value.keys()) if isinstance(node.value, dict) else ():
            yield Mistake(
                ("functions", function, key),
                f"belongs to {absent[key]}, which is not listed under plugins: it has no effect",
                node.keys.get(key, node.span),
                f"list {absent[key]} among the plugins, or remove the key",
                unknown=key,
            )


def is_of_a_plugin(path: Sequence[str], is_unknown: bool, plugins: Sequence[Listed]) -> bool:
    """Return whether something the schema refuses may belong to a listed plugin.

    ``is_unknown``: the Serverless Framework knows no such key. Of plugins that are supported or harmless, only the keys
    of their row count.
    """
    return any(
        (is_unknown and plugin.row.becomes == "error") or any(_is_at(path, key.split(".")) for key in plugin.row.keys)
        for plugin in plugins
    )


def _is_at(path: Sequence[str], pattern: Sequence[str]) -> bool:
    known = zip(path, pattern, strict=False)
    return len(path) >= len(pattern) and all(part in ("*", name) for name, part in known)


def without(node: Node, path: Sequence[str]) -> Node:
    """Return a mapping without the member at a path, which only a plugin understands."""
    if not isinstance(node.value, dict) or path[0] not in node.value:
        return node
    first, *rest = path
    members = {**node.value, first: without(node.value[first], rest)} if rest else dict(node.value)
    if not rest:
        del members[first]
    return replace(node, value=members)

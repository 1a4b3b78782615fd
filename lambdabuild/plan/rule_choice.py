"""Choose the rule that builds a function or layer, and its manifest. Pure: file names were read before."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product, zip_longest

from lambdabuild.config.settings import nearest
from lambdabuild.core.errors import BadSettings, NoManifest, NoRule
from lambdabuild.core.function_settings import FunctionSettings
from lambdabuild.core.model import Function, Layer
from lambdabuild.core.records import Struct, replace
from lambdabuild.plan.types import Rule
from lambdabuild.plan.workspaces import Disk, above, root_of

PLAIN = "plain_files"
"""The rule of layers that name no build method, and of a serverless.yml's functions that no other rule claims."""

WILD = frozenset("*?[")
DIGITS = re.compile(r"\[(\d)-(\d)\]")
Names = Mapping[str, frozenset[str]]
"""For each folder that may hold a manifest, the names of the files in it."""

LOCKED, LOCKED_ABOVE, UNLOCKED = range(3)
"""How well a rule fits: its lock file is next to the manifest, at the root of its workspace, or nowhere."""


class Choice(Struct, frozen=True):
    rule: Rule
    manifest: str = ""
    beside: tuple[str, ...] = ()
    """Lock files and companions that are there."""
    workspace: str = ""
    """The root of the manifest's workspace, as the rule that resolves sees it."""
    layers: tuple[str, ...] = ()
    """Code folders of the service's other layers that the rule builds."""
    resolver: Rule | None = None
    """The rule whose resolve step is used, when that is a different one."""


def refuse_unknown(only: tuple[str, ...], rules: tuple[Rule, ...]) -> None:
    """Raise BadSettings (LB107) if ``executor.only`` names a rule that cannot run on another machine."""
    able = sorted(rule.name for rule in rules if rule.compile is not None and rule.compile.remote)
    for name in only:
        if name not in able:
            near = nearest(name, able)
            is_rule = any(rule.name == name for rule in rules)
            raise BadSettings(
                f"executor.only names {name!r}, "
                + ("a rule that runs here only" if is_rule else "which is not a rule"),
                help=f"did you mean {near!r}?" if near else f"rules that can: {', '.join(able)}",
            )


def choose(
    item: Function | Layer, own: FunctionSettings, rules: tuple[Rule, ...], disk: Disk, inherited: tuple[str, ...]
) -> Choice:
    """Return the rule and its manifest.

    ``inherited`` are the folders to look in after the code folder, nearest first, the template's last; () for an item
    that takes no manifest from elsewhere.

    Raise NoRule (LB301) when no rule claims the item, NoManifest (LB303) when one does but needs a manifest it lacks.
    """
    claiming = candidates(item, own, rules)
    if own.dependencies is False:
        return _without_manifest(item, claiming)
    if own.manifest:
        return _resolved(_with_manifest(item, own.manifest, claiming, disk), rules, disk)
    for folder, searching in _searched(item.source, claiming, disk, inherited):
        choice = _in_folder(folder, searching, disk)
        if choice:
            return _resolved(choice, rules, disk)
    if isinstance(item, Layer) and item.from_settings and not own.rule:
        return Choice(_named(item, PLAIN, rules)[0])
    return _without_manifest(item, claiming)


def _searched(
    source: str, claiming: tuple[Rule, ...], disk: Disk, inherited: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """Yield the folders to look for a manifest in, in order, each with the rules that look there."""
    yield source, claiming
    if not inherited:
        return
    beyond = above(source, disk.top)
    template = {inherited[-1], *above(inherited[-1], disk.top)}
    near = next((position for position, folder in enumerate(beyond) if folder in template), len(beyond))
    upwards = tuple(rule for rule in claiming if rule.manifest_search != "code")
    yield from ((folder, upwards) for folder in beyond[:near])
    yield from ((folder, claiming) for folder in dict.fromkeys(inherited) if folder != source)
    yield from ((folder, upwards) for folder in beyond[near : near + 1])
    far = tuple(rule for rule in claiming if rule.manifest_search == "checkout")
    yield from ((folder, far) for folder in beyond[near + 1 :])


def _without_manifest(item: Function | Layer, claiming: tuple[Rule, ...]) -> Choice:
    for rule in claiming:
        if not rule.needs_manifest:
            return Choice(rule)
    wanted = sorted({manifest for rule in claiming for manifest in rule.manifests})
    raise NoManifest(
        f"{_kind(item)} {item.name!r} has no manifest: {' or '.join(wanted)}",
        where=item.where,
        help=f"add one to {item.source}/, or name one in [{_kind(item)}s.{item.name}] manifest",
    )


def candidates(item: Function | Layer, own: FunctionSettings, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules that claim an item by its runtime, build method or settings. The manifest decides among them."""
    if own.rule:
        return _named(item, own.rule, rules)
    if item.build_method:
        matching = tuple(rule for rule in rules if _matches(item.build_method, rule.build_methods))
        if not matching and isinstance(item, Layer) and item.from_settings:
            return _named(item, PLAIN, rules)
        if not matching:
            known = sorted({method for rule in rules for method in rule.build_methods})
            raise NoRule(
                f"no rule has the BuildMethod {item.build_method!r} of {_kind(item)} {item.name!r}",
                where=item.where,
                help=_mend(item.build_method, known, "build methods"),
            )
        if isinstance(item, Function):
            _refuse_no_runtime(item, rules)
        return matching
    if isinstance(item, Layer):
        return _named(item, PLAIN, rules)
    matching = tuple(rule for rule in rules if _matches(item.runtime, rule.runtimes))
    if item.plain:
        # A serverless.yml knows no make targets, so a Makefile that is there is for something else.
        return tuple(rule for rule in matching if not rule.needs_name) or _named(item, PLAIN, rules)
    if not matching:
        _refuse_no_runtime(item, rules)
    return matching


def _named(item: Function | Layer, name: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    matching = tuple(rule for rule in rules if rule.name == name)
    if not matching:
        raise NoRule(
            f"{_kind(item)} {item.name!r} asks for the rule {name!r}, which does not exist",
            where=item.where,
            help=_mend(name, [rule.name for rule in rules], "rules"),
        )
    return matching


@lru_cache(maxsize=1024)
def _matches(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _in_folder(folder: str, candidates: tuple[Rule, ...], disk: Disk) -> Choice | None:
    """Return the best choice in one folder.

    A rule whose lock file is there or at its workspace's root wins over one with a manifest only; of equals the first
    by name wins.
    """
    key = (folder, tuple(rule.name for rule in candidates))
    if key not in disk.manifests:
        disk.manifests[key] = _best(folder, candidates, disk)
    best = disk.manifests[key]
    return _choice(*best, folder, disk) if best is not None else None


def _best(folder: str, candidates: tuple[Rule, ...], disk: Disk) -> tuple[Rule, str] | None:
    """Return the rule that is chosen in a folder, and its manifest."""
    here = disk.names.get(folder, frozenset())
    if not _may_have(here, tuple(rule.manifests for rule in candidates)):
        return None
    offers = [
        (LOCKED if rule.goes_first else _locked(rule, folder, disk), position, rule, manifest)
        for position, rule in enumerate(candidates)
        for manifest in _present(rule.manifests[:1], here)
    ] + [
        (UNLOCKED, len(candidates) + position, rule, manifest)
        for position, rule in enumerate(candidates)
        for manifest in _present(rule.manifests[1:], here)
    ]
    _, _, rule, manifest = min(offers, key=lambda offer: offer[:2], default=(0, 0, None, ""))
    return (rule, manifest) if rule is not None else None


def _may_have(here: frozenset[str], manifests: tuple[tuple[str, ...], ...]) -> bool:
    """Return whether one of these names may be in a folder; most folders of code have none."""
    names, is_wild = _listed(manifests)
    return is_wild or not here.isdisjoint(names)


@lru_cache(maxsize=256)
def _listed(manifests: tuple[tuple[str, ...], ...]) -> tuple[frozenset[str], bool]:
    """Return all of these names, and whether there are patterns among them."""
    names = frozenset(name for listed in manifests for name in listed)
    return names, not all(map(WILD.isdisjoint, names))


def _locked(rule: Rule, folder: str, disk: Disk) -> int:
    if disk.names.get(folder, frozenset()) & set(rule.lock_files):
        return LOCKED
    root = root_of(rule, folder, disk)
    return LOCKED_ABOVE if root and disk.names.get(root, frozenset()) & set(rule.lock_files) else UNLOCKED


def resolver_of(rule: Rule, folder: str, rules: Mapping[str, Rule], disk: Disk) -> Rule | None:
    """Return the rule that resolves for another: the first whose lock file applies to a folder, otherwise the last."""
    resolvers = [rules[name] for name in rule.resolve_by if name in rules]
    best = min(resolvers, key=lambda resolver: _locked(resolver, folder, disk), default=None)
    return resolvers[-1] if best is not None and _locked(best, folder, disk) == UNLOCKED else best


def _resolved(choice: Choice, rules: tuple[Rule, ...], disk: Disk) -> Choice:
    """Return the choice with the rule that resolves for it."""
    folder, manifest = posixpath.split(choice.manifest)
    resolver = resolver_of(choice.rule, folder or ".", {rule.name: rule for rule in rules}, disk)
    if resolver is None:
        return choice
    theirs = _choice(resolver, manifest, folder or ".", disk)
    return replace(choice, beside=theirs.beside, workspace=theirs.workspace, resolver=resolver)


def _present(wanted: tuple[str, ...], here: frozenset[str]) -> list[str]:
    """Return the names in ``here`` that equal or match what is wanted."""
    present: list[str] = []
    for pattern in wanted:
        if pattern in here:
            present.append(pattern)
        elif not WILD.isdisjoint(pattern):
            present += sorted(name for name in here if fnmatchcase(name, pattern))
    return present


def _choice(rule: Rule, manifest: str, folder: str, disk: Disk) -> Choice:
    here = disk.names.get(folder, frozenset())
    beside = (name for name in (*rule.lock_files, *rule.companions) if name in here and name != manifest)
    root = root_of(rule, folder, disk)
    return Choice(rule, _join(folder, manifest), tuple(_join(folder, name) for name in beside), root)


def _with_manifest(item: Function | Layer, manifest: str, candidates: tuple[Rule, ...], disk: Disk) -> Choice:
    folder, name = posixpath.split(manifest)
    if name not in disk.names.get(folder or ".", disk.names.get(folder, frozenset())):
        raise NoManifest(
            f"{_kind(item)} {item.name!r}: the manifest {manifest} does not exist",
            where=item.where,
            help=f"correct [{_kind(item)}s.{item.name}] manifest",
        )
    named, end = frozenset({name}), posixpath.splitext(name)[1]
    fitting = (
        [rule for rule in candidates if _present(rule.manifests[:1], named)]
        or [rule for rule in candidates if _present(rule.manifests, named)]
        or [rule for rule in candidates if end in {posixpath.splitext(m)[1] for m in rule.manifests}]
        or [rule for rule in candidates if len(candidates) == 1]
    )
    if not fitting:
        raise BadSettings(
            f"no rule that could build {_kind(item)} {item.name!r} reads a manifest called {name!r}",
            where=item.where,
            help=f"set [{_kind(item)}s.{item.name}] rule as well",
        )
    return _choice(fitting[0], name, folder or ".", disk)


def _join(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(folder, name))


def _kind(item: Function | Layer) -> str:
    return "layer" if isinstance(item, Layer) else "function"


def _refuse_no_runtime(item: Function, rules: tuple[Rule, ...]) -> None:
    """Raise NoRule (LB301) for a runtime that does not exist, whatever builds the function: Lambda would refuse it."""
    if any(_matches(item.runtime, rule.runtimes) for rule in rules):
        return
    raise NoRule(
        f"no rule builds function {item.name!r} ({item.runtime})",
        where=item.where,
        help=_mend(item.runtime, sorted({runtime for rule in rules for runtime in rule.runtimes}), "runtimes"),
    )


def _spelled(pattern: str) -> Iterator[str]:
    """Yield all names a pattern stands for if its only wild parts are ranges of digits, otherwise the pattern.

    >>> list(_spelled("java[7-8]"))
    ['java7', 'java8']
    """
    parts = DIGITS.split(pattern)
    choices = (range(int(low), int(high) + 1) for low, high in zip(parts[1::3], parts[2::3], strict=True))
    for digits in product(*choices):
        yield "".join(f"{text}{digit}" for text, digit in zip_longest(parts[::3], digits, fillvalue=""))


def _mend(given: str, known: list[str], what: str) -> str:
    near = nearest(given, [name for pattern in known for name in _spelled(pattern)])
    return f"did you mean {near!r}?" if near else f"known {what}: {', '.join(known)}"

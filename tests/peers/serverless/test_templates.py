"""The same service compiled by lambdabuild and by the Serverless Framework at test time gives the same template."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from peers.serverless.conftest import ours
from peers.serverless.differences import both, corrected, differing, of_the_roles_plugin
from peers.serverless.event_services import EVENTS, NEWER, REFUSED_EVENTS
from peers.serverless.services import ENVIRONMENT, LAYERS, REFUSED, ROLES, SERVICES, WRONG
from sandbox import Sandbox
from test_durable import REFUSED as DURABLE_REFUSED

pytestmark = pytest.mark.slow

ALONE = "package: {excludeDevDependencies: false, patterns: ['!**', app.py]}\n"
"""Without it the framework packs itself, which lies in node_modules."""
OUT = ".serverless/cloudformation-template-update-stack.json"


def project(folder: Path, service: str | dict[str, str]) -> Sandbox:
    """A service in a folder, with a file that its functions are in."""
    files = {"serverless.yml": service} if isinstance(service, str) else service
    return Sandbox(folder).write({"app.py": "def one(event, context):\n    return 1\n", **files})


@pytest.mark.parametrize("name", [*SERVICES, *EVENTS])
def test_the_template_is_the_peers_but_for_named_differences(name: str, many, tmp_path: Path) -> None:
    place = project(tmp_path, {**SERVICES, **EVENTS}[name])
    ran = ours(place)
    assert ran.code == 0, ran.said
    theirs = many(place, env=ENVIRONMENT)
    assert theirs.code == 0, theirs.said
    expected = json.loads(place.path(OUT).read_text())
    assert differing(both(json.loads(ran.out)), both(corrected(expected))) == []


@pytest.mark.parametrize("name", NEWER)
def test_what_is_newer_is_as_in_the_peers_successor(name: str, successor, tmp_path: Path) -> None:
    place = project(tmp_path, NEWER[name])
    ran = ours(place)
    assert ran.code == 0, ran.said
    theirs = successor(place)
    assert theirs.code == 0, theirs.said
    expected = json.loads(place.path(OUT).read_text())
    assert differing(both(json.loads(ran.out)), both(corrected(expected))) == []


def test_durable_functions_are_refused_by_all_names_of_the_successor(osls: Path) -> None:
    theirs = osls.parents[1].joinpath("lib/plugins/aws/package/compile/functions.js").read_text()
    assert set(re.findall(r"'(DURABLE_FUNCTION_\w+)'", theirs)) == {known_as for _, known_as, _ in DURABLE_REFUSED}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_the_peers_too(name: str, peer, tmp_path: Path, cloud: str) -> None:
    place = project(tmp_path, LAYERS[name])
    ran = ours(place)
    assert ran.code == 0, ran.said
    theirs = peer(place, env={"NODE_OPTIONS": f"--require {cloud}"})
    assert theirs.code == 0, theirs.said
    expected = json.loads(place.path(OUT).read_text())
    assert differing(both(json.loads(ran.out)), both(corrected(expected))) == []


@pytest.mark.parametrize("name", ROLES)
def test_roles_of_functions_are_the_plugins(name: str, peer, serverless: Path, tmp_path: Path) -> None:
    place = project(tmp_path, ALONE + ROLES[name])
    ran = ours(place)
    assert ran.code == 0, ran.said
    place.path("node_modules").symlink_to(serverless.parents[2])
    theirs = peer(place)
    assert theirs.code == 0, theirs.said
    expected = json.loads(place.path(OUT).read_text())
    assert differing(both(json.loads(ran.out)), both(of_the_roles_plugin(corrected(expected)))) == []


@pytest.mark.parametrize("name", [*REFUSED, *REFUSED_EVENTS])
def test_what_the_peer_refuses_is_refused_by_the_same_name(name: str, many, tmp_path: Path) -> None:
    known_as, service = {**REFUSED, **REFUSED_EVENTS}[name]
    place = project(tmp_path, service)
    theirs = many(place, "--verbose", env={"SLS_LOG_LEVEL": "debug"})
    assert theirs.code != 0
    assert known_as in theirs.said, theirs.said
    ran = ours(place)
    assert ran.code != 0
    assert f"({known_as})" in ran.err, ran.said
    assert re.search(r"(?m)^  --> serverless.yml:\d+:\d+$", ran.err), ran.err
    assert "  help: " in ran.err


@pytest.mark.parametrize("name", WRONG)
def test_the_schema_finds_mistakes_where_the_peers_does(name: str, many, tmp_path: Path) -> None:
    place = project(tmp_path, "configValidationMode: error\n" + WRONG[name])
    theirs = many(place)
    assert theirs.code != 0
    expected = {_place(match) for match in re.finditer(r"at '([^']*)': (.*)", theirs.said)}
    expected |= {_place(match) for match in re.finditer(r"at (root): (.*)", theirs.said)}
    ran = ours(place)
    assert ran.code != 0
    found = {match[1] for match in re.finditer(r"(?m)^error\[LB109[^\]]*\]: (\S+) ", ran.err)}
    assert expected
    # Ours may be closer: a missing key by its name, where the Serverless Framework says that the mapping round it fits no form.
    assert {one for one in expected if not any(_is_in(other, one) for other in found)} == set()
    assert {one for one in found if not any(_is_in(one, other) for other in expected)} == set()


def _is_in(place: str, other: str) -> bool:
    return place == other or place.startswith(other + ".")


def _place(match: re.Match[str]) -> str:
    """``functions.one.x`` for what the Serverless Framework says of it; an unknown or a missing key is named after its parent."""
    parent = "" if match[1] == "root" else re.sub(r"\[(?:'([^']*)'|(\d+))\]", lambda m: "." + (m[1] or m[2]), match[1])
    key = re.search(r"unrecognized property '([^']*)'|missing required property '([^']*)'", match[2])
    return ".".join(part for part in (parent, (key[1] or key[2]) if key else "") if part)

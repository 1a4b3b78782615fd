"""A hundred services in the manner of public ones: compiled alike, and moved over without a change that is not named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from peers.serverless.conftest import Peer
from peers.serverless.differences import both, corrected, differing, of_the_roles_plugin
from peers.serverless.public_services import SERVICES, Packaged, packager

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("public services")]

Package = Callable[[str], Packaged]


@pytest.fixture(scope="module")
def package(many: Peer, serverless: Path, cloud: str, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return packager(many, tmp_path_factory.mktemp("services"), serverless.parents[2], cloud)


def test_there_are_a_hundred() -> None:
    assert len(SERVICES) >= 100


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_in_the_manner_of_public_ones_gets_the_peers_template(name: str, package: Package) -> None:
    packaged = package(name)
    theirs = corrected(packaged.theirs)
    if name == "roles_by_function_plugin":
        theirs = of_the_roles_plugin(theirs)
    assert differing(both(packaged.ours), both(theirs)) == []

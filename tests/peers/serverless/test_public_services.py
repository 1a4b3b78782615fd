"""A hundred services in the manner of public ones: compiled alike, and moved over without a change that is not named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from peers.serverless.conftest import Peer
from peers.serverless.differences import both, corrected, differing, of_the_roles_plugin
from peers.serverless.moving_over import changes
from peers.serverless.public_services import SERVICES, Packaged, packager

pytestmark = pytest.mark.slow

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


MOVED = (
    "alexa_skills", "aurora_http", "catch_all_and_root", "condition_of_a_function", "custom_domain_ignored", "destinations",
    "dotenv_service", "dotnet_api", "email_receipt", "event_bus_orders", "fan_out", "fetch_file_to_s3", "ffmpeg_layer",
    "functions_in_a_list", "go_old_runtime", "iot_telemetry", "javascript_configuration", "json_service", "kms_and_tags",
    "kotlin_gradle", "log_protection", "log_watch", "main_api_with_exports", "manual_runtime", "many_small_functions",
    "migrated_from_version_2", "names_from_package_json", "oauth_callback", "only_resources_with_conditions",
    "overrides_of_generated", "own_role_as_resource", "params_for_stages", "php_with_layers", "private_api",
    "region_of_europe", "resources_from_files", "role_in_every_detail", "roles_by_function_plugin", "ruby_sinatra",
    "slack_webhook", "soft_mistakes_of_roles", "state_machine_as_resource", "static_site", "two_apis", "warm_pool_by_schedule",
)  # fmt: skip
"""Services whose resources moto makes without running them."""


@pytest.mark.parametrize("name", MOVED)
def test_a_stack_that_moves_over_changes_in_what_the_docs_name_alone(name: str, package: Package) -> None:
    packaged = package(name)
    assert [change for change in changes(packaged.theirs, packaged.ours) if not change.is_named] == []

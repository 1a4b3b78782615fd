"""Run by SAM CLI's own Python: print as JSON what `sam build` and `sam package` take from each folder's samconfig."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from click.testing import CliRunner
from samcli.cli.context import Context
from samcli.commands.build import command as build
from samcli.commands.package import command as package

WANTED = {
    "build": ("template_file", "base_dir", "parameter_overrides", "region", "profile", "use_container", "build_image",
              "container_env_var", "docker_network", "manifest"),
    "package": ("template_file", "s3_bucket", "s3_prefix", "region", "profile", "kms_key_id", "image_repository",
                "image_repositories"),
}  # fmt: skip


def taken(command: Any, name: str, arguments: list[str]) -> dict[str, Any]:
    """The parameters of a command, after SAM has read its configuration; nothing is run."""
    seen: dict[str, Any] = {}

    def invoke(context: Any) -> None:
        seen.update({key: context.params.get(key) for key in WANTED[name]})
        own = Context.get_current_context()
        seen.update(region=own.region, profile=own.profile)

    original, command.invoke = command.invoke, invoke
    try:
        result = CliRunner().invoke(command, arguments)
    finally:
        command.invoke = original
    return {"code": result.exit_code, **seen}


for folder, *options in json.loads(sys.stdin.read()):
    os.chdir(folder)
    answer = {"build": taken(build.cli, "build", options), "package": taken(package.cli, "package", options)}
    sys.stdout.write(json.dumps(answer, default=list) + "\n")

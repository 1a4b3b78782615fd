"""What is generated when lambdabuild is installed or built: the Python of its one .proto file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "lambdabuild/cache"
SOURCE = "remote_execution.proto"
GENERATED = ("remote_execution_pb2.py", "remote_execution_pb2.pyi")


class Protocol(BuildHookInterface):
    """Runs for wheels and for editable installs; git ignores what it writes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, FOLDER)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            options = [f"--proto_path={folder}", f"--python_out={made}", f"--pyi_out={made}"]
            subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, SOURCE], check=True)
            for name in GENERATED:
                Path(made, name).replace(folder / name)  # whole or not at all, for others may be importing it
        build_data["artifacts"] += [f"{FOLDER}/{name}" for name in GENERATED]

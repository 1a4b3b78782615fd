"""An installation without the extra ``remote`` builds, and a build loads nothing that it does not need."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox import Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: orders}
"""
BUILD = """
import sys
missing = sys.argv[1:]
sys.modules.update(dict.fromkeys(missing))  # importing one of these raises ModuleNotFoundError
from lambdabuild.cli.main import main
sys.exit(main(["build", "cache.enabled=false"]))
"""


def test_a_build_needs_neither_grpc_nor_docker_nor_aws_nor_zstd(tmp_path: Path) -> None:
    app = Sandbox(tmp_path).write(
        {"template.yaml": TEMPLATE, "orders/app.py": "def handler(event, context): return 1\n"}
    )
    absent = ["grpc", "google.protobuf", "google", "boto3", "botocore", "docker", "backports.zstd", "requests"]
    ran = app.command([sys.executable, "-c", BUILD, *absent])
    assert (ran.code, ran.err) == (0, ""), ran.said
    assert "built 1 function" in ran.out

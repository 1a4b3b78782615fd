"""Functions in Go, Rust and Java: each a project of its own, with one package."""

from __future__ import annotations

from pathlib import Path

from bench.services.plain import TRANSFORM

GO_MOD = "module example.com/fNUMBER\n\ngo 1.18\n\nrequire github.com/aws/aws-lambda-go v1.41.0\n"
GO_SUM = """github.com/aws/aws-lambda-go v1.41.0 h1:l/5fyVb6Ud9uYd411xdHZzSf2n86TakxzpvIoz7l+3Y=
github.com/aws/aws-lambda-go v1.41.0/go.mod h1:jwFe2KmMsHmffA1X2R09hH6lFzJQxzI8qK17ewzbQMM=
github.com/davecgh/go-spew v1.1.1 h1:vj9j/u1bqnvCEfJOwUhtlOARqs3+rkHYY13jYWTU97c=
github.com/pmezard/go-difflib v1.0.0 h1:4DBwDE0NGyQoBHbLQYPwSUPoCMWR5BEzIk/f1lZbAQM=
github.com/stretchr/testify v1.7.2 h1:4jaiDzPyXQvSd7D0EjG45355tLlV3VOECpq10pLC+8s=
gopkg.in/yaml.v3 v3.0.1 h1:fxVm/GzAzEWqLHuvctI91KS9hhNmmWOoWu0XTYJS7CA=
"""
GO = """package main

import (
\t"context"

\t"github.com/aws/aws-lambda-go/lambda"
)

func handle(_ context.Context, event map[string]int) (int, error) {
\treturn event["id"] + NUMBER, nil
}

func main() {
\tlambda.Start(handle)
}
"""

CARGO_TOML = """[package]
name = "fNUMBER"
version = "1.0.0"
edition = "2021"

[dependencies]
tinyjson = "2.5.1"

[profile.release]
strip = true
"""
CARGO_LOCK = """version = 3

[[package]]
name = "fNUMBER"
version = "1.0.0"
dependencies = [
 "tinyjson",
]

[[package]]
name = "tinyjson"
version = "2.5.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "9ab95735ea2c8fd51154d01e39cf13912a78071c2d89abc49a7ef102a7dd725a"
"""
RUST = """use tinyjson::JsonValue;

fn main() {
    let event: JsonValue = std::env::var("EVENT").unwrap_or_default().parse().unwrap();
    println!("{} NUMBER", event.stringify().unwrap());
}
"""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>made</groupId>
  <artifactId>fNUMBER</artifactId>
  <version>1.0.0</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>com.amazonaws</groupId><artifactId>aws-lambda-java-core</artifactId><version>1.2.3</version>
    </dependency>
  </dependencies>
</project>
"""
GRADLE = """apply plugin: 'java'
sourceCompatibility = 1.8
repositories { mavenCentral() }
dependencies { implementation 'com.amazonaws:aws-lambda-java-core:1.2.3' }
task bundle(type: Zip) {
    from sourceSets.main.output
    into('lib') { from configurations.runtimeClasspath }
}
build.dependsOn bundle
"""
JAVA = """package made;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

public class Handler implements RequestHandler<Integer, Integer> {
  @Override
  public Integer handleRequest(Integer event, Context context) {
    return event + NUMBER;
  }
}
"""
SOURCE = "src/main/java/made/Handler.java"

FILES: dict[str, dict[str, str]] = {
    "go": {"main.go": GO, "go.mod": GO_MOD, "go.sum": GO_SUM},
    "rust": {"src/main.rs": RUST, "Cargo.toml": CARGO_TOML, "Cargo.lock": CARGO_LOCK},
    "maven": {SOURCE: JAVA, "pom.xml": POM},
    "gradle": {SOURCE: JAVA, "build.gradle": GRADLE, "settings.gradle": "rootProject.name = 'fNUMBER'\n"},
}
"""What a project of each tool consists of, with NUMBER for the function's; the first file is edited."""
METADATA = {"go": "go1.x", "rust": "rust-cargolambda"}


def write(folder: Path, tool: str, functions: int) -> Path:
    text = TRANSFORM
    for number in range(functions):
        write_function(folder / f"src/f{number:04}", tool, number)
        text += resource(f"Fn{number:04}", f"src/f{number:04}", tool)
    (folder / "template.yaml").write_text(text)
    return folder


def write_function(source: Path, tool: str, number: int) -> None:
    for name, content in FILES[tool].items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("NUMBER", str(number)))


def resource(name: str, code_uri: str, tool: str) -> str:
    """A function of a template."""
    method = METADATA.get(tool)
    runtime, handler = ("provided.al2023", "bootstrap") if method else ("java17", "made.Handler::handleRequest")
    metadata = f"    Metadata: {{BuildMethod: {method}}}\n" if method else ""
    properties = f"{{CodeUri: {code_uri}, Runtime: {runtime}, Handler: '{handler}'}}"
    return f"  {name}:\n    Type: AWS::Serverless::Function\n{metadata}    Properties: {properties}\n"


def edit(source: Path, tool: str, number: int) -> None:
    """Change what the program does: a comment alone may be no work for an incremental compiler."""
    name, content = next(iter(FILES[tool].items()))
    (source / name).write_text(content.replace("NUMBER", str(number)))

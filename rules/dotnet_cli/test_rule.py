"""dotnet_cli: what is asked of dotnet, and what becomes of its answer.

The .NET SDK comes from no registry that these tests may use, so a script stands in for it: it writes down how it was
called and puts out files as dotnet does. No other rule is tested so.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rule_example import example, function
from sandbox import Ran, Sandbox

HERE = Path(__file__).parent
PLAIN = function(runtime="dotnet8", handler="Example::Example.Function::Handle")
STAND_IN = """#!{python} -I
import json, os, re, sys
from pathlib import Path

arguments = sys.argv[1:]
if arguments == ["--version"]:
    sys.exit(print("8.0.404"))
project = Path(arguments[1])
seen = {{str(p.relative_to(project.parent)): p.read_text() for p in sorted(project.parent.rglob("*")) if p.is_file()}}
top = project.parents[2]
above = {{str(p): p.read_text() for p in (*top.glob("*"), *top.glob("*/*.nupkg")) if p.is_file()}}
around = {{str(p) for folder in list(project.parents)[:2] for p in folder.rglob("*") if p.is_file()}}
call = {{"arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ), "files": sorted(around), "above": above}}
with open({log!r}, "a") as log:
    log.write(json.dumps(call) + "\\n")
if "MISSING" in project.read_text():
    print(f"{{project}} : error NU1101: Unable to find package MISSING. No packages exist with this id.")
    sys.exit(1)
(project.parent / "obj").mkdir()
libraries = {{"Amazon.Lambda.Core/2.5.0": {{"type": "package"}}, "Shared/1.0.0": {{"type": "project"}}}}
(project.parent / "obj/project.assets.json").write_text(json.dumps({{"libraries": libraries}}))
if arguments[0] == "publish":
    for name, text in seen.items():
        if "broken" in text:
            print(f"{{project.parent / name}}(3,7): error CS1002: ; expected [{{project}}]", flush=True)
            sys.exit(1)
    out = Path(arguments[arguments.index("--output") + 1])
    above = "".join(p.read_text() for folder in project.parents for p in folder.glob("Directory.Build.props"))
    framework = re.search(r"<TargetFramework>net([\\d.]+)<", above + project.read_text())[1]
    (out / f"{{project.stem}}.dll").write_text("".join(text for name, text in seen.items() if name.endswith(".cs")))
    (out / f"{{project.stem}}.dll").chmod(0o744)
    runtime = {{"runtimeOptions": {{"framework": {{"name": "Microsoft.NETCore.App", "version": framework + ".0"}}}}}}
    (out / f"{{project.stem}}.runtimeconfig.json").write_text(json.dumps(runtime))
"""


class Dotnet:
    """The stand-in, and how it was called."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "calls"
        program = folder / "dotnet"
        program.write_text(STAND_IN.format(python=sys.executable, log=str(self.log)))
        program.chmod(0o755)
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def build(self, project: Sandbox) -> Ran:
        self.log.unlink(missing_ok=True)
        return project.build(env=self.environment)

    def refused(self, project: Sandbox, *arguments: str) -> str:
        ran = project.run("build", *arguments, env=self.environment)
        assert ran.code != 0
        return ran.said

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def dotnet(tmp_path: Path) -> Dotnet:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Dotnet(folder)


def contents(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_example_is_restored_and_published(project: Sandbox, dotnet: Dotnet) -> None:
    example(project, HERE, PLAIN)
    before = contents(project.path("src"))
    dotnet.build(project)

    restore, publish = dotnet.calls
    tree = restore["arguments"][1].removesuffix("/Example.csproj")
    assert restore["arguments"] == ["restore", f"{tree}/Example.csproj", "--runtime", "linux-x64"]
    assert restore["cwd"] == tree
    tree = publish["arguments"][1].removesuffix("/Example.csproj")
    assert publish["arguments"] == [
        "publish", f"{tree}/Example.csproj", "--output", publish["arguments"][3], "--runtime", "linux-x64",
        "--configuration", "Release", "--self-contained", "false",
        "-p:GenerateRuntimeConfigurationFiles=true", "-p:Deterministic=true", "-p:ContinuousIntegrationBuild=true",
        f"-p:PathMap={tree}=/src", "-p:SuppressImplicitGitSourceLink=true",
        "-p:IncludeSourceRevisionInInformationalVersion=false", "-p:UseSharedCompilation=false", "-nodeReuse:false",
    ]  # fmt: skip
    assert publish["environment"]["DOTNET_CLI_TELEMETRY_OPTOUT"] == "1"
    assert project.names("Example") == ["Example.dll", "Example.runtimeconfig.json"]
    assert project.manifest["functions"]["Example"]["packages"] == [{"name": "Amazon.Lambda.Core", "version": "2.5.0"}]
    assert contents(project.path("src")) == before
    assert dotnet.build(project).steps == []

    project.append("src/Function.cs", "// edited\n")
    assert "resolve:Example" not in dotnet.build(project).steps
    assert [call["arguments"][0] for call in dotnet.calls] == ["publish"]


def test_equal_projects_in_two_places_are_equal_bytes(project: Sandbox, dotnet: Dotnet, tmp_path: Path) -> None:
    other = Sandbox(tmp_path / "another place")
    for place in (project, other):
        example(place, HERE, PLAIN)
        dotnet.build(place)

    assert project.zips() == other.zips()


def test_processor_configuration_and_arguments_are_those_of_the_function(project: Sandbox, dotnet: Dotnet) -> None:
    example(project, HERE, function(runtime="dotnet8", handler="Example", Architectures="[arm64]"))
    project.write({
        "src/packages.lock.json": "{}",
        "lambdabuild.toml": "[functions.Example.options]\nmode = 'debug'\n'--version-suffix' = 'rc1'\n"
        "'--msbuild-parameters' = '-p:PublishReadyToRun=true'\n",
    })  # fmt: skip
    dotnet.build(project)

    restore, publish = (" ".join(call["arguments"]) for call in dotnet.calls)
    assert restore.endswith("--runtime linux-arm64 --locked-mode")
    assert "--runtime linux-arm64 --configuration Debug" in publish
    assert "-p:RestoreLockedMode=true --version-suffix rc1 -p:PublishReadyToRun=true" in publish


def test_projects_and_properties_from_elsewhere_are_there_and_count(project: Sandbox, dotnet: Dotnet) -> None:
    example(project, HERE, PLAIN)
    project.write({
        "Directory.Build.props": "<Project><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>",
        "src/Example.csproj": """\
            <Project Sdk="Microsoft.NET.Sdk">
              <!-- <TargetFramework>net6.0</TargetFramework> -->
              <ItemGroup><ProjectReference Include="..\\lib\\Shared\\Shared.csproj" /></ItemGroup>
            </Project>
            """,
        "lib/Shared/Shared.csproj": "<Project Sdk='Microsoft.NET.Sdk' />",
        "lib/Shared/Shared.cs": "class Shared {}",
        "lib/Shared/obj/project.assets.json": "{}",
    })  # fmt: skip
    dotnet.build(project)

    restore, publish = dotnet.calls
    tree = publish["arguments"][1].removesuffix("src/Example.csproj")
    assert {f"{tree}lib/Shared/Shared.cs", f"{tree}Directory.Build.props"} <= set(publish["files"])
    assert f"{tree}lib/Shared/obj/project.assets.json" not in publish["files"]
    assert not [name for name in restore["files"] if name.endswith(".cs")]
    project.append("lib/Shared/Shared.cs", "// edited\n")
    assert "compile:Example" in dotnet.build(project).steps

    project.write({"src/Directory.Build.props": project.path("Directory.Build.props").read_text().replace("8", "6")})
    said = dotnet.refused(project)
    assert "needs .NET 6.0.0, but the runtime is dotnet8" in said
    assert "<TargetFramework>net8.0</TargetFramework>" in said


MAPPED = """\
<configuration>
  <packageSources>
    <clear /><add key="ours" value="packages" /><add key="public" value="https://nuget.example/v3/index.json" />
  </packageSources>
  <packageSourceMapping>
    <packageSource key="ours"><package pattern="Ours.*" /></packageSource>
    <packageSource key="public"><package pattern="*" /></packageSource>
  </packageSourceMapping>
</configuration>
"""


def test_which_source_a_package_is_from_says_the_nuget_config_above_the_templates_folder(
    project: Sandbox, dotnet: Dotnet
) -> None:
    """NuGet holds to packageSourceMapping itself, when it sees the file; one that comes to be nearer counts, too."""
    app = example(Sandbox(project.path("infra")), HERE, function("../services/hello", "dotnet8", "Example::F::Handle"))
    project.path("services").mkdir()
    app.path("src").rename(project.path("services/hello"))
    project.write({".git/HEAD": "", "NuGet.config": MAPPED, "packages/Ours.Words.1.0.0.nupkg": "ours"})
    dotnet.build(app)

    restore, publish = dotnet.calls
    for call in (restore, publish):
        tree = call["arguments"][1].removesuffix("/services/hello/Example.csproj")
        assert call["above"][f"{tree}/NuGet.config"] == MAPPED
        assert "ours" in call["above"][f"{tree}/packages/Ours.Words.1.0.0.nupkg"]
        assert "--source" not in call["arguments"]
    assert dotnet.build(app).steps == []

    project.append("NuGet.config", "<!-- edited -->")
    assert "the file ../NuGet.config changed" in app.run("why", "Example", env=dotnet.environment).out
    project.write({"NuGet.config": MAPPED, "services/nuget.config": MAPPED.replace("packages", "../packages")})
    assert "the file ../services/nuget.config is new" in app.run("why", "Example", env=dotnet.environment).out


def test_a_layer_and_a_custom_runtime(project: Sandbox, dotnet: Dotnet) -> None:
    layer = "  Layer:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: dotnet8}\n    Properties: {ContentUri: src}\n"
    custom = function(runtime="provided.al2023", handler="bootstrap")
    example(project, HERE, layer)
    dotnet.build(project)
    assert project.names("Layer") == ["dotnet/Example.dll", "dotnet/Example.runtimeconfig.json"]

    example(project, HERE, custom)
    said = dotnet.refused(project)
    assert "--self-contained true" in " ".join(dotnet.calls[-1]["arguments"])
    assert "<AssemblyName>bootstrap</AssemblyName>" in said


def test_mistakes_are_told_in_dotnets_words_and_at_their_places(project: Sandbox, dotnet: Dotnet) -> None:
    example(project, HERE, PLAIN).write({"src/Function.cs": "broken"})
    said = dotnet.refused(project)
    assert "LB405" in said and "src/Function.cs:3:7" in said and "CS1002: ; expected" in said

    text = (HERE / "example/Example.csproj").read_text()
    project.write({"src/Example.csproj": text.replace("Amazon.Lambda.Core", "MISSING")})
    said = dotnet.refused(project)
    assert "LB408" in said and "Unable to find package MISSING" in said
    said = dotnet.refused(project, "--offline")
    assert "LB603" in said and dotnet.calls[-1]["arguments"][-2] == "--source"

    project.write({"src/Example.csproj": text.replace("net8.0", "net6.0")})
    said = dotnet.refused(project)
    assert "targets net6.0, but the runtime is dotnet8" in said and "src/Example.csproj:3" in said

    project.write({"src/Example.csproj": "<Project>\n  <ItemGroup>\n</Project>\n"})
    assert "src/Example.csproj:3:3" in dotnet.refused(project)


def test_without_dotnet_it_is_named(project: Sandbox, tmp_path: Path) -> None:
    example(project, HERE, PLAIN)
    said = project.run("build", env={"PATH": str(tmp_path)}).said
    assert "LB501" in said and "install the .NET SDK" in said

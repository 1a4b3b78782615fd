"""lambdabuild affected: what a change touches, counted from a git revision."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import pytest
from sandbox import Ran, Sandbox

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, MemorySize: 128}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/orders, Layers: [!Ref Shared]}
  Refunds:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/refunds}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: shared}
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: prod, DefinitionUri: api.yaml}
  Child:
    Type: AWS::Serverless::Application
    Properties: {Location: child/template.yaml}
"""
CHILD = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Sender:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: sender}
"""
CODE = "def handler(event, context): return 1\n"
FILES = {
    "template.yaml": TEMPLATE,
    "child/template.yaml": CHILD,
    "child/sender/app.py": CODE,
    "src/orders/app.py": CODE,
    "src/orders/tests/test_app.py": "assert True\n",
    "src/orders/ä name.txt": "x",
    "src/refunds/app.py": CODE,
    "src/refunds/requirements.txt": "-r ../../base.txt\n",
    "base.txt": "idna==3.10\n",
    "shared/data.json": "{}",
    "api.yaml": "openapi: 3.0.1\n",
    "README.md": "# A service\n",
    "lambdabuild.toml": 'exclude = ["tests/"]\n',
    ".gitignore": "build/\n.secret\n",
}
ALL = ["Child/Sender", "Orders", "Refunds", "Shared", "template"]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A change")


def start(project: Sandbox, files: dict[str, str]) -> Sandbox:
    project.write(files)
    git(project.folder, "init", "-q", "-b", "main")
    commit(project.folder)
    return project


def touched(project: Sandbox, since: str = "main", folder: str = ".") -> list[str]:
    ran = Sandbox(project.folder / folder).run("affected", "--since", since)
    assert ran.code == 0, ran.said
    return ran.out.splitlines()


@pytest.fixture
def service(project: Sandbox) -> Sandbox:
    """A service that was built once, on a branch of its own."""
    start(project, FILES).build()
    git(project.folder, "checkout", "-q", "-b", "work")
    return project


def test_a_change_touches_what_reads_it_and_nothing_else(service: Sandbox) -> None:
    folder = service.folder
    assert touched(service) == []

    service.append("README.md", "More words.\n")
    service.append("src/orders/tests/test_app.py", "assert 1\n")
    service.path("src/orders/tests/test_more.py").write_text("x")
    assert touched(service) == [], "what no build reads"

    for change, names in (
        (lambda: service.append("src/orders/app.py", "# edited\n"), ["Orders"]),
        (lambda: service.path("src/orders/new.py").write_text("x"), ["Orders"]),
        (lambda: service.path("src/orders/ä name.txt").unlink(), ["Orders"]),
        (lambda: service.path("src/orders/app.py").chmod(0o755), ["Orders"]),
        (lambda: service.path("src/orders/app.py").rename(folder / "src/refunds/other.py"), ["Orders", "Refunds"]),
        (lambda: service.append("base.txt", "# edited\n"), ["Refunds"]),
        (lambda: service.append("shared/data.json", "\n"), ["Shared"]),
        (lambda: service.append("api.yaml", "info: {}\n"), ["template"]),
        (lambda: service.append("child/sender/app.py", "# edited\n"), ["Child/Sender"]),
        (lambda: service.append("child/template.yaml", "# edited\n"), ["template"]),
        (lambda: service.path("src/refunds/Pipfile.lock").write_text("{}"), ["Refunds"]),
        (lambda: service.path(".lambdabuildignore").write_text("ä*\n"), ["Orders"]),
        (lambda: service.path(".lambdabuildignore").write_text("# nothing\n"), []),
        (lambda: service.path("src/orders/.lambdabuildignore").write_text("nowhere\n"), []),
        (lambda: service.path(".secret").write_text("x"), []),
        (lambda: service.path("lambdabuild.toml").write_text("exclude = []\n"), ALL[:4]),
        (lambda: service.append("lambdabuild.toml", "[functions.Orders]\nbytecode = true\n"), ["Orders"]),
        (lambda: service.append("lambdabuild.toml", 'prefix = "x"\n'), ["template"]),
    ):
        git(folder, "checkout", "-q", "-f", "main")
        git(folder, "clean", "-q", "-d", "-f")
        change()
        assert touched(service) == names, names


def test_of_the_template_only_a_functions_own_properties_touch_it(service: Sandbox) -> None:
    for old, new, names in (
        ("MemorySize: 128", "MemorySize: 256", ["template"]),
        ("StageName: prod", "StageName: test", ["template"]),
        ("Properties: {CodeUri: src/refunds}", "Properties: {CodeUri: src/refunds, Runtime: python3.12}", ["Refunds", "template"]),
        ("Properties: {CodeUri: src/refunds}", "Properties: {CodeUri: src/refunds, Timeout: 9}", ["template"]),
        ("Refunds:", "Repayments:", ["Repayments", "template"]),
        ("Layers: [!Ref Shared]", "Architectures: [arm64]", ["Orders", "template"]),
        (TEMPLATE[TEMPLATE.index("  Refunds:") : TEMPLATE.index("  Shared:")], "", ["template"]),
    ):  # fmt: skip
        service.path("template.yaml").write_text(TEMPLATE.replace(old, new))
        assert touched(service) == names, new


def test_a_ci_matrix_says_what_to_run(service: Sandbox) -> None:
    service.append("src/orders/app.py", "# edited\n")
    service.append("shared/data.json", "\n")
    service.append("template.yaml", "# edited\n")
    matrix = json.loads(service.run("affected", "--since", "main", "--format", "json").out)
    assert matrix.keys() == {"include"}
    assert [(one["name"], one["kind"], one["runtime"], one["task"]) for one in matrix["include"]] == [
        ("Orders", "function", "python3.11", "build:Orders"),
        ("Shared", "layer", "", "layer:Shared"),
        ("template", "template", "", "template"),
    ]
    assert matrix["include"][0]["because"] == "src/orders/app.py changed"
    for one in matrix["include"]:
        assert service.run(one["task"]).code == 0

    jobs = json.loads(service.run("affected", "--since", "main", "--format=gitlab").out)
    assert jobs[1] == {"NAME": "Shared", "KIND": "layer", "TASK": "layer:Shared"}


def test_what_has_not_been_run_may_read_anything(project: Sandbox) -> None:
    start(project, FILES)
    project.append("README.md", "More words.\n")
    assert touched(project) == ["Refunds"], "its requirements name other files, and which these name no run has told"
    project.build()
    assert touched(project) == []
    git(project.folder, "checkout", "-q", "README.md")
    project.path("src/refunds/requirements.txt").write_text("-r ../../other.txt\n")
    project.path("other.txt").write_text("idna==3.10\n")
    commit(project.folder)
    project.append("README.md", "More words.\n")
    assert touched(project) == ["Refunds"], "what the last run read is not what the next would"
    git(project.folder, "checkout", "-q", "README.md")
    assert touched(project) == []


def test_changes_count_from_where_the_history_parted(service: Sandbox) -> None:
    git(service.folder, "checkout", "-q", "main")
    service.append("src/refunds/app.py", "# on main\n")
    commit(service.folder)
    git(service.folder, "checkout", "-q", "work")
    service.append("src/orders/app.py", "# on the branch\n")
    commit(service.folder)

    assert touched(service) == ["Orders"]
    git(service.folder, "merge", "-q", "main", "-m", "Merge")
    assert touched(service) == ["Orders"]
    assert touched(service, "HEAD^1") == ["Refunds"]


def test_the_project_may_be_a_part_of_the_repository_and_links_lead_elsewhere_in_it(tmp_path: Path) -> None:
    whole = Sandbox(tmp_path / "mono repo").write({f"services/one/{name}": text for name, text in FILES.items()})
    whole.write({"common/log.py": "x = 1\n", "services/two/x.py": "", "vendor/app.py": CODE})
    whole.path("services/one/src/orders/common").symlink_to("../../../../common")
    whole.path("services/one/linked").symlink_to("../../vendor")
    template = TEMPLATE.replace("CodeUri: src/refunds", "CodeUri: linked")
    start(whole, {"services/one/template.yaml": template})

    for path, names in (("common/log.py", ["Orders"]), ("services/two/x.py", []), ("vendor/app.py", ["Refunds"])):
        whole.append(path, "# edited\n")
        assert touched(whole, folder="services/one") == names
        git(whole.folder, "checkout", "-q", path)
    whole.path("services/one/linked").unlink()
    whole.path("services/one/linked").symlink_to("src/refunds")
    assert touched(whole, folder="services/one") == ["Refunds"]
    git(whole.folder, "checkout", "-q", "services/one/linked")
    whole.path("common/log.py").unlink()
    assert touched(whole, folder="services/one") == ["Orders"]


def test_submodules_are_looked_into(service: Sandbox, tmp_path: Path) -> None:
    library = Sandbox(tmp_path / "library")
    start(library, {"code/app.py": CODE, "docs.md": "x"})
    git(service.folder, "submodule", "add", "-q", str(library.folder), "src/orders/library")
    service.append("lambdabuild.toml", '[functions.Orders]\nexclude = ["*.md"]\n')
    commit(service.folder)
    module = service.folder / "src/orders/library"

    service.append("src/orders/library/docs.md", "edited\n")
    assert touched(service, "HEAD") == []
    commit(module)
    assert touched(service, "HEAD") == []
    service.append("src/orders/library/code/app.py", "# edited\n")
    assert touched(service, "HEAD") == ["Orders"]
    commit(module)
    assert touched(service, "HEAD") == ["Orders"]
    commit(service.folder)
    assert touched(service, "HEAD") == []
    assert touched(service, "HEAD^") == ["Orders"]
    assert touched(service) == ["Orders"]


def test_a_serverless_yml_is_read_as_it_was(project: Sandbox) -> None:
    text = """\
        service: shop
        provider: {name: aws, runtime: python3.11, memorySize: '${file(config.yml):memory}'}
        package: {individually: true}
        functions:
          orders: {handler: orders/app.handler, package: {patterns: ['!**', 'orders/**']}}
          refunds: {handler: refunds/app.handler, package: {patterns: '${file(config.yml):refunds}'}}
        """
    config = "memory: 256\nrefunds: ['!**', 'refunds/**']\n"
    start(project, {"serverless.yml": text, "config.yml": config, "orders/app.py": CODE, "refunds/app.py": CODE})
    names = json.loads(project.run("plan", "--format", "json").out)["builds"]
    orders, refunds = sorted(build["name"] for build in names)

    project.append("orders/app.py", "# edited\n")
    assert touched(project) == [orders]
    git(project.folder, "checkout", "-q", ".")
    project.path("config.yml").write_text(config.replace("256", "512"))
    assert touched(project) == ["template"]
    project.path("config.yml").write_text(config.replace("'refunds/**'", "'refunds/**', 'orders/**'"))
    assert touched(project) == [refunds, "template"]
    project.path("config.yml").write_text(f"# a word\n{config}")
    assert touched(project) == []


def test_settings_that_a_serverless_yml_has_for_its_functions_count(project: Sandbox) -> None:
    text = """\
        service: made
        provider: {name: aws, runtime: python3.11}
        plugins: [serverless-python-requirements]
        custom: {pythonRequirements: {slim: false}}
        functions:
          one: {handler: app.handler}
        """
    start(project, {"serverless.yml": textwrap.dedent(text), "app.py": CODE, "requirements.txt": "idna==3.10\n"})
    assert touched(project) == []

    project.write({"serverless.yml": textwrap.dedent(text).replace("slim: false", "slim: true")})

    assert touched(project) == ["one", "template"]


def test_rules_of_the_project_count(service: Sandbox) -> None:
    rule = 'name = "mine"\nlanguage = "python"\ndependency_manager = "none"\nruntimes = ["other"]\n'
    service.write({"rules/mine/rule.toml": rule, "rules/mine/rule.py": "", "lambdabuild.toml": '[functions.Orders]\nrule = "mine"\n'})  # fmt: skip
    commit(service.folder)
    service.append("rules/mine/rule.py", "# edited\n")
    assert touched(service, "HEAD") == ["Orders"]
    git(service.folder, "checkout", "-q", ".")
    service.append("rules/mine/rule.toml", 'leave_out = ["*.md"]\n')
    assert touched(service, "HEAD") == ["Orders"]
    git(service.folder, "checkout", "-q", ".")
    service.write({"rules/mine/README.md": "words"})
    assert touched(service, "HEAD") == []


def test_what_cannot_be_read_as_it_was_is_touched(service: Sandbox) -> None:
    service.path("template.yaml").write_text("Resources: [")
    commit(service.folder)
    service.path("template.yaml").write_text(TEMPLATE)
    ran = service.run("affected", "--since", "HEAD", "--format", "json")
    assert [one["name"] for one in json.loads(ran.out)["include"]] == ALL
    assert "LB102" in ran.out


def test_a_program_is_not_run_as_it_was(project: Sandbox) -> None:
    text = "module.exports = {service: 'shop', provider: {name: 'aws', runtime: 'python3.11'}, functions: {orders: {handler: 'app.handler'}}}\n"
    start(project, {"serverless.js": text, "app.py": CODE, "README.md": "words\n"})
    project.append("README.md", "more\n")
    ran = project.run("affected", "--since", "main", "--format", "json")
    assert "serverless.js is a program" in ran.out
    assert len(json.loads(ran.out)["include"]) == 2


def test_containers_includes_and_distributions_count(project: Sandbox) -> None:
    settings = """\
        [functions.Orders]
        use_container = "true"
        dockerfile = "tools/Dockerfile"
        include = ["common"]
        exclude = ["*.md"]
        [functions.Refunds]
        packaged = true
        exclude = ["*.txt"]
        """
    files = {name: text for name, text in FILES.items() if not name.startswith("src/refunds/")}
    start(
        project,
        files
        | {
            "lambdabuild.toml": textwrap.dedent(settings),
            "template.yaml": TEMPLATE.replace("src/refunds", "src/refunds, Handler: refunds.app.handler"),
            "tools/Dockerfile": "FROM scratch\nCOPY . /\n",
            "tools/tool.sh": "true\n",
            "common/log.py": "x = 1\n",
            "common/notes.md": "x",
            "src/orders/notes.md": "x",
            "src/refunds/pyproject.toml": "[project]\nname = 'refunds'\nversion = '1.0'\n",
            "src/refunds/refunds/app.py": CODE,
            "src/refunds/refunds/words.txt": "x",
            "src/orders/requirements.txt": "idna==3.10\n",
        },
    )
    project.build("Refunds")  # a backend may read files of git's, which only a run tells
    for path, names in (
        ("tools/tool.sh", ["Orders"]),
        ("common/log.py", ["Orders"]),
        ("common/notes.md", []),
        ("src/orders/notes.md", []),
        ("src/refunds/refunds/app.py", ["Refunds"]),
        ("src/refunds/refunds/words.txt", ["Refunds"]),
    ):
        for change in (lambda path=path: project.append(path, "# edited\n"), project.path(path).unlink):
            change()
            assert touched(project) == names, path
            git(project.folder, "checkout", "-q", path)


def test_what_lies_in_shared_layers_depends_on_all_who_take_part(project: Sandbox) -> None:
    functions = {"Orders": "idna==3.10\n", "Refunds": "idna==3.10\n", "Alone": "sniffio==1.3.1\n"}
    body = "  {0}:\n    Type: AWS::Serverless::Function\n    Properties: {{Runtime: python3.11, Handler: app.handler, CodeUri: {0}}}\n"
    files = {f"{name}/requirements.txt": text for name, text in functions.items()}
    files |= {f"{name}/app.py": CODE for name in functions}
    files["template.yaml"] = "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(
        map(body.format, functions)
    )
    files["lambdabuild.toml"] = "auto_layers = true\n[functions.Alone]\nauto_layers = false\n"
    start(project, files)
    project.append("Orders/app.py", "# edited\n")
    assert touched(project) == ["Orders"]
    project.append("Orders/requirements.txt", "sniffio==1.3.1\n")
    assert touched(project) == ["Orders", "Refunds"]
    assert sorted(project.run("plan", "--shard", "1/1").out.split()) == ["build:Alone", "build:Orders", "build:Refunds"]


def test_an_image_is_touched_by_what_goes_into_it(project: Sandbox) -> None:
    function = """\
  {0}:
    Type: AWS::Serverless::Function
    Properties: {{PackageType: Image}}
    Metadata: {{Dockerfile: Dockerfile, DockerContext: {1}}}
"""
    resources = function.format("Report", "report") + function.format("Scan", "scan")
    start(project, {
        "template.yaml": f"Transform: AWS::Serverless-2016-10-31\nResources:\n{resources}",
        **{f"{name}/Dockerfile": "FROM scratch\nCOPY app.py .\n" for name in ("report", "scan")},
        **{f"{name}/app.py": CODE for name in ("report", "scan")},
        "scan/.dockerignore": "notes.md\n",
        "scan/notes.md": "x",
    })  # fmt: skip

    project.append("report/app.py", "# edited\n")
    project.append("scan/notes.md", "y")
    assert touched(project) == ["Report"]
    project.write({"scan/new.py": ""})
    assert touched(project) == ["Report", "Scan"]
    assert project.run("plan", "--shard", "1/1").out.split() == ["build:Report", "build:Scan"]


def test_mistakes_are_told_with_a_way_out(service: Sandbox, tmp_path: Path) -> None:
    def told(ran: Ran, code: str, words: str) -> None:
        assert (ran.code, code in ran.err, words in ran.err) == (3, True, True), ran.said
        assert "Traceback" not in ran.err

    told(service.run("affected", "--since", "nowhere"), "LB631", "git fetch origin nowhere")
    told(service.run("affected", "--since", "0" * 40), "LB631", "new branch")
    told(service.run("affected", "--since=--output=/tmp/x"), "LB631", "does not know the revision")
    assert service.run("affected").code == 2
    assert service.run("affected", "Orders", "--since", "main").code == 2

    service.append("src/orders/app.py", "# edited\n")
    commit(service.folder)
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "work", f"file://{service.folder}", "shallow")
    shallow = Sandbox(tmp_path / "shallow")
    told(shallow.run("affected", "--since", "main"), "LB631", "fetch-depth: 0")
    git(shallow.folder, "fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    told(shallow.run("affected", "--since", "main"), "LB631", "did you mean origin/main?")
    told(shallow.run("affected", "--since", "origin/main"), "LB632", "git fetch --unshallow")
    git(shallow.folder, "fetch", "-q", "--unshallow")
    assert touched(shallow, "origin/main") == ["Orders", "Refunds"]

    git(service.folder, "checkout", "-q", "--orphan", "apart")
    commit(service.folder)
    told(service.run("affected", "--since", "main"), "LB632", "same history")
    told(
        Sandbox(tmp_path / "none").write({"template.yaml": TEMPLATE}).run("affected", "--since", "main"),
        "LB630",
        "not in a git checkout",
    )

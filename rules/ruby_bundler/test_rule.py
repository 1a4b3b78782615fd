"""ruby_bundler: the gems of a Gemfile.

Gems come from a registry that the tests make: gems that ``gem build`` built, an index that ``gem generate_index`` made,
in the place of rubygems.org by Bundler's own setting for mirrors.
"""

import gzip
import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

import pytest
from docker_engine import Engine
from rule_example import example, function, template, unzipped
from sandbox import Sandbox

HERE = Path(__file__).parent
RUBY = function(runtime="ruby3.4")
LAYER = (
    "  Example:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: ruby3.4}\n"
    "    Properties: {ContentUri: src}\n"
)
SOURCE = 'source "https://rubygems.org"\n'
OWN = ".".join(
    subprocess.run(["ruby", "-e", "print RUBY_VERSION"], capture_output=True, text=True).stdout.split(".")[:2]
)
"""The series of this machine's Ruby."""
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]


def gem(folder: Path, name: str, files: dict[str, str], more: str = "") -> None:
    """Build a gem into the registry."""
    work = folder / "work" / f"{name}{len(list(folder.rglob('*.gem')))}"
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    (work / "a.gemspec").write_text(
        f"Gem::Specification.new do |spec|\n  spec.name = {name!r}\n  spec.version = '1.0'\n  spec.summary = 'x'\n"
        f"  spec.authors = ['x']\n  spec.files = {sorted(files)!r}\n  {more}\nend\n"
    )
    (folder / "gems").mkdir(exist_ok=True)
    build = ["gem", "build", "--silent", "--force", "a.gemspec"]
    subprocess.run(build, cwd=work, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    for built in work.glob("*.gem"):
        built.rename(folder / "gems" / built.name)


C = """
#include <ruby.h>
static VALUE half(VALUE self, VALUE number) { return INT2NUM(NUM2INT(number) / 2); }
void Init_fast(void) { rb_define_module_function(rb_define_module("Fast"), "half", half, 1); }
"""
EXTCONF = "require 'mkmf'\ncreate_makefile('fast/fast')\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a registry of our own is rubygems.org."""
    folder = tmp_path_factory.mktemp("registry")
    gem(folder, "letters", {"lib/letters.rb": "LETTERS = 'abc'\n"})
    gem(folder, "words", {"lib/words.rb": "require 'letters'\nWORDS = LETTERS * 2\n"}, "spec.add_dependency 'letters'")
    gem(folder, "checks", {"lib/checks.rb": "raise 'only for tests'\n"})
    sources = {"lib/fast.rb": "require 'fast/fast'\n", "ext/fast/extconf.rb": EXTCONF, "ext/fast/fast.c": C}
    gem(folder, "fast", sources, "spec.extensions = ['ext/fast/extconf.rb']")
    gem(folder, "ready", sources | {"lib/ready.rb": ""}, "spec.extensions = ['ext/fast/extconf.rb']")
    for cpu in ("x86_64", "aarch64"):
        gem(folder, "ready", {"lib/ready.rb": f"READY = '{cpu}'\n"}, f"spec.platform = '{cpu}-linux'")
    subprocess.run(["gem", "generate_index", "--silent"], cwd=folder, check=True, capture_output=True)
    assert gzip.decompress((folder / "specs.4.8.gz").read_bytes())
    return {"BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/": f"file://{folder}"}


def call(project: Sandbox, event: object, abi: str = "3.4.0", setup: bool = False) -> object:
    """Call the handler as Lambda does: the artifact is the current folder, gems are found by GEM_PATH."""
    code = unzipped(project)
    script = 'require "json"; require "./app"; puts JSON.generate(handler(event: JSON.parse(ARGV[0]), context: nil))'
    command = ["ruby", *(["-rbundler/setup"] if setup else []), "-e", script, json.dumps(event)]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(code), "LC_ALL": "C.UTF-8", "RUBYLIB": str(code),
        "GEM_PATH": str(code / "vendor/bundle/ruby" / abi),
    }  # fmt: skip
    said = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def contents(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_the_example_is_built_and_answers(project: Sandbox) -> None:
    example(project, HERE, RUBY)
    before = contents(project.path("src"))
    project.build()

    assert call(project, {"name": "Ada"}) == {"text": "Hello, Ada!"}
    assert contents(project.path("src")) == before
    assert project.build().steps == []
    project.append("src/app.rb", "# edited\n")
    assert "resolve:Example" not in project.build().steps
    project.write({"src/greeting/lib/greeting.rb": "module Greeting\n  def self.to(name) = name\nend\n"})
    assert "resolve:Example" in project.build().steps
    assert call(project, {"name": "Ada"}) == {"text": "Ada"}


def test_gems_of_a_registry_are_installed_without_those_for_tests(
    project: Sandbox, tmp_path: Path, registry: dict[str, str]
) -> None:
    files = {
        "src/Gemfile": SOURCE + 'gem "words"\ngem "mine", path: "../lib/mine"\ngem "checks", group: :test\n',
        "src/app.rb": 'require "words"\nrequire "mine"\ndef handler(event:, context:) = [WORDS, MINE]\n',
        "lib/mine/mine.gemspec": (HERE / "example/greeting/greeting.gemspec").read_text().replace("greeting", "mine"),
        "lib/mine/lib/mine.rb": "MINE = 1\n",
    }
    two = (example(project, HERE, RUBY), example(Sandbox(tmp_path / "another place"), HERE, RUBY))
    for place in two:
        place.path("src/Gemfile.lock").unlink()
        place.write(files).build(env=registry)

    assert two[0].zips() == two[1].zips()
    assert call(project, {}) == ["abcabc", 1]
    names = project.names("Example")
    assert not [name for name in names if "/cache/" in name or "checks" in name or "build_info" in name]
    assert "MINE" not in str(project.content("Example", "Gemfile.lock"))
    assert not project.path("src/Gemfile.lock").exists()
    assert {"words", "letters", "mine"} == {p["name"] for p in project.manifest["functions"]["Example"]["packages"]}


def test_compiled_gems_need_the_runtimes_ruby_and_are_equal_bytes(
    project: Sandbox, tmp_path: Path, registry: dict[str, str]
) -> None:
    own = function(runtime=f"ruby{OWN}", Architectures=f"[{MACHINE}]")
    files = {
        "src/Gemfile": SOURCE + 'gem "fast"\n',
        "src/app.rb": 'require "fast"\ndef handler(event:, context:) = Fast.half(event["number"])\n',
    }
    two = (example(project, HERE, own), example(Sandbox(tmp_path / "another place"), HERE, own))
    for place in two:
        place.path("src/Gemfile.lock").unlink()
        place.write(files).build(env=registry)

    assert two[0].zips() == two[1].zips()
    assert call(project, {"number": 42}, f"{OWN}.0") == 21
    assert call(project, {"number": 42}, f"{OWN}.0", setup=True) == 21
    assert not [name for name in project.names("Example") if name.endswith((".c", ".o", "mkmf.log", "gem_make.out"))]

    example(project, HERE, function(runtime="ruby9.9")).write(files)
    project.path("src/Gemfile.lock").unlink()
    refused = project.run("build", env=registry)
    assert "cannot compile fast-1.0" in refused.said and "LB503" not in refused.said, refused.said


def test_compiled_gems_are_left_to_the_container_when_native_is_auto(
    project: Sandbox, registry: dict[str, str], engine: Engine, base_image: str
) -> None:
    folder = registry["BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/"].removeprefix("file://")
    container = f'[container]\nnetwork = "none"\nmounts = ["{folder}"]\n'
    example(project, HERE, function(runtime=f"ruby{OWN}", Architectures=f"[{MACHINE}]")).write({
        "src/Gemfile": SOURCE + 'gem "fast"\n',
        "src/app.rb": 'require "fast"\ndef handler(event:, context:) = Fast.half(event["number"])\n',
        "lambdabuild.toml": f'use_container = "auto"\nimage = "{base_image}"\n{container}',
    })  # fmt: skip
    project.path("src/Gemfile.lock").unlink()

    with engine.started(project.folder) as started:
        project.build(env={**registry, **engine.environment})

    assert len(started) == 1
    assert call(project, {"number": 42}, f"{OWN}.0") == 21


def test_gems_that_are_published_compiled_are_those_of_the_target(project: Sandbox, registry: dict[str, str]) -> None:
    example(project, HERE, function(runtime="ruby3.4", Architectures="[arm64]"))
    project.path("src/Gemfile.lock").unlink()
    project.write({
        "src/Gemfile": SOURCE + 'ruby "~> 3.4.1"\ngem "ready"\n',
        "src/app.rb": 'require "ready"\ndef handler(event:, context:) = READY\n',
    })  # fmt: skip
    project.build(env=registry)

    assert "vendor/bundle/ruby/3.4.0/specifications/ready-1.0-aarch64-linux.gemspec" in project.names("Example")
    assert b"'aarch64'" in project.content(
        "Example", "vendor/bundle/ruby/3.4.0/gems/ready-1.0-aarch64-linux/lib/ready.rb"
    )


def test_a_layer_has_its_gems_where_lambda_looks(project: Sandbox) -> None:
    example(project, HERE, LAYER).build()

    code = unzipped(project)
    command = ["ruby", "-e", 'require "greeting"; puts Greeting.to("you")']
    environment = {"PATH": os.environ["PATH"], "HOME": str(code), "GEM_PATH": str(code / "ruby/gems/3.4.0")}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "Hello, you!\n"


def test_mistakes_are_told_in_bundlers_words(project: Sandbox, registry: dict[str, str]) -> None:
    example(project, HERE, RUBY)
    project.write({"src/Gemfile": SOURCE + "gem 'a', :\n"})
    assert "src/Gemfile:2" in project.run("build").said
    project.write({"src/Gemfile": SOURCE + '\nruby "3.2.2"\n'})
    said = project.run("build").said
    assert "asks for Ruby 3.2.2" in said and "src/Gemfile:3" in said
    project.write({"src/Gemfile": SOURCE + 'gem "words"\n'})
    assert "Gemfile.lock does not fit" in project.run("build", env=registry).said
    project.path("src/Gemfile.lock").unlink()
    project.write({"src/Gemfile": SOURCE + 'gem "nothing-like-it"\n'})
    assert "Could not find gem 'nothing-like-it'" in project.run("build", env=registry).said
    example(project, HERE, RUBY).write(
        {"src/greeting/greeting.gemspec": "Gem::Specification.new do |spec|\n  spec = \nend\n"}
    )
    assert "src/greeting/greeting.gemspec:3" in project.run("build").said


OURS = (
    "Gem::Specification.new do |s|\n  s.name = 'ours'\n  s.version = '0.1'\n  s.summary = 'x'\n  s.authors = ['x']\n"
    "  s.files = ['lib/ours.rb']\nend\n"
)
LOCAL = {"lib/ours.gemspec": OURS, "lib/lib/ours.rb": "OURS = 'ours'\n"}
OWN_RUBY = function(runtime=f"ruby{OWN}")
HANDLER = "require 'ours'\ndef handler(event:, context:) = OURS\n"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same, where somebody has published a gem called ours."""
    folder = tmp_path_factory.mktemp("stranger")
    gem(folder, "ours", {"lib/ours.rb": "raise 'a stranger'\n"})
    subprocess.run(["gem", "generate_index", "--silent"], cwd=folder, check=True, capture_output=True)
    return {"BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/": f"file://{folder}"}


def private(project: Sandbox) -> dict[str, str]:
    """A registry of our own, as a name for file:// that Bundler takes in a Gemfile."""
    folder = project.path("registry")
    gem(folder, "ours", {"lib/ours.rb": "OURS = 'ours'\n"})
    subprocess.run(["gem", "generate_index", "--silent"], cwd=folder, check=True, capture_output=True)
    return {"BUNDLE_MIRROR__HTTPS://GEMS__EXAMPLE__COM/": f"file://{folder}"}


@pytest.mark.parametrize(
    "told",
    [
        "gem 'ours', path: '../lib'\n", "path '../lib' do\n  gem 'ours'\nend\n", "gem 'ours', git: 'REPOSITORY'\n",
        "source 'https://gems.example.com' do\n  gem 'ours'\nend\n", "gem 'ours', source: 'https://gems.example.com'\n",
    ],
)  # fmt: skip
def test_a_gem_that_is_ours_is_not_taken_of_strangers(told: str, project: Sandbox, stranger: dict[str, str]) -> None:
    project.write({"template.yaml": template(OWN_RUBY), "src/app.rb": HANDLER, **LOCAL})
    git = ["git", "-C", str(project.path("lib")), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]) if "git:" in told else ():
        subprocess.run([*git, *command], check=True)
    project.write({"src/Gemfile": SOURCE + told.replace("REPOSITORY", f"file://{project.path('lib')}")})
    project.build(env=stranger | (private(project) if "example.com" in told else {}))

    assert call(project, {}, f"{OWN}.0", setup=True) == "ours"


@pytest.mark.parametrize(
    "told",
    ["gem 'ours', path: '../gone'\n", "gem 'ours', git: '../gone'\n", "source '../gone' do\n  gem 'ours'\nend\n"],
)
def test_a_gem_that_is_ours_and_not_there_is_named(told: str, project: Sandbox, stranger: dict[str, str]) -> None:
    project.write({"template.yaml": template(OWN_RUBY), "src/app.rb": HANDLER, "src/Gemfile": SOURCE + told})
    ran = project.run("build", env=stranger)

    assert ran.code != 0
    assert "LB" in ran.said
    assert "gone" in ran.said


def test_a_gemfile_above_the_code_folder_is_found_as_bundler_finds_it(
    project: Sandbox, registry: dict[str, str]
) -> None:
    """One Gemfile for several functions, with a gem of its own folder (gemspec)."""
    project.write({
        "service/template.yaml": template(function(source="../functions/one", runtime=f"ruby{OWN}")),
        "Gemfile": SOURCE + "gemspec\ngem 'words'\n", "ours.gemspec": OURS, "lib/ours.rb": "OURS = 'ours'\n",
        "functions/one/app.rb": "require 'ours'\nrequire 'words'\ndef handler(event:, context:) = OURS + WORDS\n",
    })  # fmt: skip
    subprocess.run(["git", "init", "-q", str(project.folder)], check=True)
    service = Sandbox(project.path("service"))
    service.build(env=registry)
    assert call(service, {}, f"{OWN}.0", setup=True) == "oursabcabc"
    assert service.build(env=registry).steps == []

    project.write({"lib/ours.rb": "OURS = 'new'\n"})
    assert "lib" in service.run("why", "Example", env=registry).out
    service.build(env=registry)
    assert call(service, {}, f"{OWN}.0", setup=True) == "newabcabc"

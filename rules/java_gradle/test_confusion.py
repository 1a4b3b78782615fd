"""A project of the build, or what a repository of ours has, is never a stranger's module; what lies above counts."""

from __future__ import annotations

import pytest
from maven_repository import publish, whose
from rule_example import function, template
from sandbox import Sandbox

JAVA = (
    "apply plugin: 'java'\ngroup = 'example'\nversion = '1.0'\n"
    "tasks.withType(JavaCompile) { options.compilerArgs += ['--release', '17'] }\n"
)
WORD = 'package {0};\npublic class Word {{ public static String says() {{ return "ours"; }} }}\n'
HELLO = """\
package example;
public class Hello {
  public String handle(Object event) { return words.Word.says() + inner.Word.says() + outer.Word.says(); }
}
"""
MODULES = "'example:inner:1.0', 'example:outer:1.0', \"example:named:${versions.named}\""
WANTS = f"dependencies {{ compile project(':words'), {MODULES} }}\n"


def written(project: Sandbox) -> Sandbox:
    """A template in a folder of its own; the build, its catalog, its scripts and an included build in others."""
    modules = {"java/words": "words", "java/inner": "inner", "outer": "outer"}
    for name in ("words", "inner", "outer", "named"):
        for version in ("1.0", "99.0"):
            publish(project.path("strangers"), "strangers", name, version)
    publish(project.path("strangers"), "strangers", "wants", "1.0", ("words", "99.0"))
    publish(project.path("ours"), "ours", "named", "1.0")
    project.write({
        ".git/HEAD": "",
        "infra/template.yaml": template(function("../java/hello", "java17", "example.Hello::handle")),
        "java/settings.gradle": "include 'hello', 'words'\nincludeBuild 'inner'\nincludeBuild '../outer'\n",
        "java/build.gradle": "apply from: '../scripts/first.gradle'\n",
        "java/gradle/libs.versions.toml": "named = 1.0\n",
        "scripts/first.gradle": "apply from: \"$rootDir/../scripts/second.gradle\"\n",
        "scripts/second.gradle": "ext.versions = new Properties()\n"
        "file(\"$rootDir/gradle/libs.versions.toml\").withInputStream { versions.load(it) }\n"
        "allprojects { repositories {\n"
        "  maven { url \"$rootDir/../ours\" }\n  maven { url \"$rootDir/../strangers\" }\n} }\n",
        "java/hello/build.gradle": JAVA + WANTS, "java/hello/src/main/java/example/Hello.java": HELLO,
        **{f"{folder}/build.gradle": JAVA for folder in modules},
        **{f"{folder}/src/main/java/{name}/Word.java": WORD.format(name) for folder, name in modules.items()},
        "java/inner/settings.gradle": "rootProject.name = 'inner'\n",
        "outer/settings.gradle": "rootProject.name = 'outer'\n",
    })  # fmt: skip
    return Sandbox(project.path("infra"))


@pytest.mark.slow
def test_projects_and_included_builds_are_not_strangers_modules_and_what_lies_above_counts(project: Sandbox) -> None:
    app = written(project)
    app.build()

    jars = ("inner", "named", "outer", "words")
    assert sorted(app.names("Example")) == ["example/Hello.class", *(f"lib/example.{name}-1.0.jar" for name in jars)]
    assert whose(app.content("Example", "lib/example.named-1.0.jar"), "named") == "ours"
    for name in ("inner", "outer", "words"):
        assert b"strangers" not in app.content("Example", f"lib/example.{name}-1.0.jar")
    assert app.build().steps == []

    for file in ("java/gradle/libs.versions.toml", "scripts/second.gradle", "java/words/src/main/java/words/Word.java"):
        text = project.path(file).read_text()
        project.append(file, "\n")
        assert f"../{file.partition('/src')[0]}" in app.run("why", "Example").out
        project.write({file: text})
    for folder in ("java/inner", "outer"):
        project.append(f"{folder}/src/main/java/{folder.rpartition('/')[2]}/Word.java", "\n")
        assert f"../{folder}/src" in app.run("why", "Example").out

    # Gradle takes the higher version, whoever has it.
    project.write(
        {"java/hello/build.gradle": JAVA + WANTS.replace("'example:inner", "'example:wants:1.0', 'example:inner")}
    )
    said = app.run("build").said
    assert "LB402]: function 'Example': Gradle would take a repository's module for a project of the build" in said
    assert "project :words would be example:words:99.0 of a repository" in said

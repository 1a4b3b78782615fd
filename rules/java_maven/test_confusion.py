"""A module or a parent that a pom says is of the project is never a stranger's; what lies above the template counts."""

from __future__ import annotations

import pytest
from maven_repository import publish
from rule_example import function, template
from sandbox import Sandbox

POM = """\
<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><version>1.0</version>
{}
</project>
"""
ALL = """\
<artifactId>all</artifactId><packaging>pom</packaging>
<modules><module>services/hello</module><module>libs/words</module></modules>
<properties><maven.compiler.release>17</maven.compiler.release><says>ours</says></properties>
<repositories><repository><id>central</id><url>file://STRANGERS</url></repository></repositories>
<build>
  <resources><resource><directory>src/main/resources</directory><filtering>true</filtering></resource></resources>
  <plugins><plugin><artifactId>maven-compiler-plugin</artifactId><version>3.13.0</version></plugin></plugins>
</build>"""
PARENT = """\
<parent><groupId>example</groupId><artifactId>all</artifactId><version>1.0</version>
<relativePath>../../pom.xml</relativePath></parent><artifactId>{}</artifactId>"""
WORDS = """
<dependencies><dependency>
  <groupId>example</groupId><artifactId>words</artifactId><version>1.0</version>
</dependency></dependencies>"""
HELLO = """\
package example;
public class Hello { public String handle(Object event) { return words.Word.says(); } }
"""
WORD = 'package words;\npublic class Word { public static String says() { return "ours"; } }\n'


@pytest.mark.slow
def test_modules_and_parents_are_not_strangers_and_those_above_the_templates_folder_count(project: Sandbox) -> None:
    """A stranger's repository stands for Maven Central, as far as dependencies and parents go."""
    strangers, app = project.path("strangers"), Sandbox(project.path("infra"))
    for name, packaging in (("words", "jar"), ("all", "pom")):
        publish(strangers, "strangers", name, "1.0", packaging=packaging)
    hello = function("../services/hello", "java17", "example.Hello::handle")
    project.write({
        ".git/HEAD": "", "infra/template.yaml": template(hello),
        "pom.xml": POM.format(ALL.replace("STRANGERS", str(strangers))),
        "services/hello/pom.xml": POM.format(PARENT.format("hello") + WORDS),
        "services/hello/src/main/java/example/Hello.java": HELLO,
        "services/hello/src/main/resources/says.txt": "${says}",
        "libs/words/pom.xml": POM.format(PARENT.format("words")), "libs/words/src/main/java/words/Word.java": WORD,
    })  # fmt: skip
    app.build()

    assert sorted(app.names("Example")) == ["example/Hello.class", "lib/example.words-1.0.jar", "says.txt"]
    assert b"words/Word.class" in app.content("Example", "lib/example.words-1.0.jar")
    assert app.content("Example", "says.txt") == b"ours"
    assert app.build().steps == []

    project.append("libs/words/src/main/java/words/Word.java", "\n")
    assert "../libs/words/src" in app.run("why", "Example").out
    project.append("pom.xml", "<!-- edited -->\n")
    assert "the file ../pom.xml changed" in app.run("why", "Example").out

    project.path("libs/words/pom.xml").unlink()
    ran = app.run("build")
    assert ran.code != 0
    assert "../pom.xml has the module libs/words/pom.xml, which does not exist and may be example:words" in ran.said
    project.path("pom.xml").unlink()
    assert "the parent is to be ../pom.xml, which does not exist" in app.run("build").said

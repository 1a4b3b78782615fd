"""java_maven: the classes of a pom.xml and the jars it needs."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import invoke
from rule_example import example, function, packages, template, unzipped
from sandbox import Sandbox

HERE = Path(__file__).parent
HANDLER = "example.Greeter::handleRequest"
JAVA = function(runtime="java17", handler=HANDLER)
LAYER = "  Layer:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {BuildMethod: java17}\n    Properties: {ContentUri: src}\n"
JARS = (
    "com.amazonaws.aws-lambda-java-core-1.2.3.jar",
    "org.apache.commons.commons-lang3-3.14.0.jar",
    "org.apache.commons.commons-text-1.12.0.jar",
)
MADE_BY_HAND = "src/target/rubbish.class"
SOURCE = "src/src/main/java/example/Greeter.java"


def call(project: Sandbox) -> object:
    return invoke.java(unzipped(project), {"name": "ada"}, HANDLER)


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def replaced(project: Sandbox, file: str, old: str, new: str) -> None:
    text = project.path(file).read_text()
    assert old in text
    project.path(file).write_text(text.replace(old, new))


def test_the_example_and_its_layer_are_built_and_are_the_same_wherever(project: Sandbox, tmp_path: Path) -> None:
    other = Sandbox(tmp_path / "elsewhere" / "deeper")
    for place in (project, other):
        example(place, HERE, JAVA).write({"template.yaml": template(JAVA, LAYER)})
        before = files(place.path("src"))
        assert place.build().steps.count("resolve:Example") == 1
        assert files(place.path("src")) == before

    assert call(project) == "Hello Ada"
    assert project.names("Example") == ["example/Greeter.class", *(f"lib/{name}" for name in JARS)]
    assert packages(project)["org.apache.commons:commons-text"] == "1.12.0"
    assert project.names("Layer") == [f"java/lib/{name}" for name in sorted([*JARS, "greeter-1.0.jar"])]
    with zipfile.ZipFile(BytesIO(project.content("Layer", "java/lib/greeter-1.0.jar"))) as jar:
        assert {info.date_time[0] for info in jar.infolist()} == {1980}
        assert b"Jdk" not in jar.read("META-INF/MANIFEST.MF")
        assert jar.namelist()[:2] == ["META-INF/", "META-INF/MANIFEST.MF"]
        assert "example/Greeter.class" in jar.namelist()
    assert project.zips() == other.zips()

    project.write({MADE_BY_HAND: ""})
    assert project.build().steps == []
    project.append(SOURCE, "// edited\n")
    assert set(project.build().steps) == {"compile:Example", "compile:Layer"}


def test_a_module_is_built_with_its_parent_and_siblings_and_they_count_as_inputs(project: Sandbox) -> None:
    example(project, HERE, JAVA).write({
        "pom.xml": POM.format("<artifactId>all</artifactId><packaging>pom</packaging><modules><module>src</module>"
                              "<module>words</module></modules>", TEXT),
        "src/pom.xml": POM.format(PARENT + "<artifactId>greeter</artifactId>", "<dependencies><dependency>"
                                  "<groupId>example</groupId><artifactId>words</artifactId><version>1.0</version>"
                                  "</dependency></dependencies>"),
        "words/pom.xml": POM.format(PARENT + "<artifactId>words</artifactId>", ""),
        "words/src/main/java/words/Word.java": 'package words;\npublic class Word { public static String SAYS() { return "Good morning "; } }\n',
    })  # fmt: skip
    replaced(project, SOURCE, '"Hello "', "words.Word.SAYS()")
    project.build()

    assert call(project) == "Good morning Ada"
    assert "lib/example.words-1.0.jar" in project.names("Example")
    assert not list(Path.home().glob(".m2/repository/example/words"))
    assert not list(project.path(".").glob("*/target"))
    assert project.build().steps == []

    replaced(project, "words/src/main/java/words/Word.java", "morning", "evening")
    assert "compile:Example" in project.build().steps
    assert call(project) == "Good evening Ada"


LAYERED = template(
    function(source="functions/hello", runtime="java17", handler=HANDLER, Layers="[!Ref Words]"),
    *(
        f"  {name}:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: {{BuildMethod: java17}}\n"
        f"    Properties: {{ContentUri: layers/{name}}}\n"
        for name in ("Words", "Letters")
    ),
)  # fmt: skip


def test_a_layer_that_a_function_is_compiled_against_is_built_first_and_is_in_no_repository(project: Sandbox) -> None:
    """The layout of SAM's own examples: the layer's jar has the scope provided, and nothing has them both as modules."""
    project.write({
        "template.yaml": LAYERED,
        "functions/hello/pom.xml": POM.format("<artifactId>hello</artifactId>", needing("words")),
        "functions/hello/src/main/java/example/Greeter.java": GREETER,
        "layers/Words/pom.xml": POM.format("<artifactId>words</artifactId>", needing("letters")),
        "layers/Words/src/main/java/words/Words.java": "package words;\npublic class Words { public static String hello() { return letters.Letters.H + \"ello \"; } }\n",
        "layers/Letters/pom.xml": POM.format("<artifactId>letters</artifactId>", COMPILER),
        "layers/Letters/src/main/java/letters/Letters.java": LETTERS.format("h"),
    })  # fmt: skip
    project.build()

    assert project.names("Example") == ["example/Greeter.class"]
    assert project.names("Words") == ["java/lib/words-1.0.jar"]
    assert project.names("Letters") == ["java/lib/letters-1.0.jar"]
    layers = [project.unzip(name, project.path(f"opt/{name}")) for name in ("Words", "Letters")]
    assert invoke.java(unzipped(project), {"name": "ada"}, HANDLER, layers) == "hello ada"
    installed = {path.name for path in Path.home().glob(".m2/repository/example/*")}
    assert not installed & {"hello", "words", "letters"}
    assert project.build().steps == []

    project.write({"layers/Letters/src/main/java/letters/Letters.java": LETTERS.format("j")})
    assert "layers/Letters" in project.run("why", "Example").out
    assert {step for step in project.build().steps if step.startswith("compile")} == {
        "compile:Example", "compile:Letters", "compile:Words",
    }  # fmt: skip


def needing(artifact: str) -> str:
    """A dependency that the runtime has: in a layer."""
    about = f"<groupId>example</groupId><artifactId>{artifact}</artifactId><version>1.0</version>"
    return f"<dependencies><dependency>{about}<scope>provided</scope></dependency></dependencies>{COMPILER}"


COMPILER = """<build><plugins>
  <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.13.0</version></plugin>
</plugins></build>"""
GREETER = """\
package example;
import java.util.Map;
public class Greeter {
  public String handleRequest(Map<String, Object> event) { return words.Words.hello() + event.get("name"); }
}
"""
LETTERS = 'package letters;\npublic class Letters {{ public static final String H = "{}"; }}\n'
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>example</groupId><version>1.0</version>
  {}
  <properties><maven.compiler.release>17</maven.compiler.release></properties>
  {}
</project>
"""
PARENT = "<parent><groupId>example</groupId><artifactId>all</artifactId><version>1.0</version></parent>"
TEXT = """<dependencies>
  <dependency><groupId>com.amazonaws</groupId><artifactId>aws-lambda-java-core</artifactId><version>1.2.3</version></dependency>
  <dependency><groupId>org.apache.commons</groupId><artifactId>commons-text</artifactId><version>1.12.0</version></dependency>
</dependencies>
<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId><version>3.13.0</version></plugin></plugins></build>"""


MISTAKES = {
    "no XML": ("src/pom.xml", "<groupId>example<", "<groupId>example<<", "LB402", "--> src/pom.xml:3:"),
    "no such version": ("src/pom.xml", "1.12.0", "0.0.12", "LB408", "commons-text:jar:0.0.12"),
    "no version": ("src/pom.xml", "<version>1.12.0</version>", "", "LB402", "--> src/pom.xml:16:17"),
    "a parent that is not there": (
        "src/pom.xml",
        "<groupId>example</groupId>",
        "<parent><groupId>example</groupId><artifactId>all</artifactId><version>1.0</version>"
        "<relativePath>../all/pom.xml</relativePath></parent>",
        "LB402",
        "all/pom.xml, which does not exist",
    ),
    "a parent that is another one": (
        "src/pom.xml",
        "<groupId>example</groupId>",
        "<parent><groupId>example</groupId><artifactId>all</artifactId><version>1.0</version>"
        "<relativePath>../other.xml</relativePath></parent>",
        "LB402",
        "other.xml, which is example:other, not example:all",
    ),
    "a typo": (SOURCE, "WordUtils.", "WordUtil.", "LB502", f"--> {SOURCE}:11:27"),
    "a runtime that is too old": (SOURCE, "package", "package", "LB402", "<maven.compiler.release>11<"),
    "a parent of modules": (
        "src/pom.xml",
        "<version>1.0<",
        "<packaging>pom</packaging><version>1.0<",
        "LB402",
        "packaging",
    ),
}


def test_mistakes_are_told_with_their_place_and_mavens_words(project: Sandbox) -> None:
    example(project, HERE, function(runtime="java11", handler=HANDLER))
    project.write({"other.xml": POM.format("<artifactId>other</artifactId><packaging>pom</packaging>", "")})
    for file, right, wrong, code, words in MISTAKES.values():
        text = project.path(file).read_text()
        replaced(project, file, right, wrong)
        said = project.run("build").said
        assert f"{code}]: function 'Example'" in said, said
        assert words in said, said
        assert "Traceback" not in said
        assert "/tree/" not in said
        project.write({file: text})


def test_tests_run_when_wanted_and_a_wrapper_goes_before_the_machines_maven(project: Sandbox) -> None:
    example(project, HERE, JAVA).write({
        "src/src/test/java/Wrong.java": "class Wrong { int x = ; }\n",
        "src/mvnw": "mkdir -p src/main/resources\necho yes > src/main/resources/wrapped\nexec mvn \"$@\"\n",
    })  # fmt: skip
    project.build()
    assert project.content("Example", "wrapped") == b"yes\n"

    project.write({"lambdabuild.toml": "[functions.Example.options]\ntests = true\n"})
    ran = project.run("build")
    assert "--> src/src/test/java/Wrong.java:1:" in ran.said, ran.said


def test_a_run_offline_says_what_it_misses(project: Sandbox) -> None:
    example(project, HERE, JAVA)
    project.write({"src/.mvn/maven.config": f"-Dmaven.repo.local={project.path('empty')}\n"})

    assert "LB603" in project.run("build", "--offline").said

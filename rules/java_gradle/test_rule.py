"""java_gradle: the classes of a build.gradle and the jars it needs."""

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
MADE_BY_HAND = "src/build/rubbish.class"
SOURCE = "src/src/main/java/example/Greeter.java"


def call(project: Sandbox) -> object:
    return invoke.java(unzipped(project), {"name": "ada"}, HANDLER)


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


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


def test_a_project_is_built_with_its_siblings_and_they_count_as_inputs(project: Sandbox) -> None:
    example(project, HERE, JAVA).path("src/settings.gradle").unlink()
    project.write({
        "settings.gradle": "include 'src', 'libraries:words'\n",
        "build.gradle": "allprojects { group = 'example'; version = file(\"$rootDir/version.txt\").text.trim() }\n",
        "version.txt": "2.0\n",
        "libraries/words/build.gradle": "apply plugin: 'java'\ntasks.withType(JavaCompile) { options.compilerArgs += ['--release', '17'] }\n",
        "libraries/words/src/main/java/words/Word.java": 'package words;\npublic class Word { public static String SAYS() { return "Good morning "; } }\n',
    })  # fmt: skip
    replaced(project, SOURCE, '"Hello "', "words.Word.SAYS()")
    replaced(project, "src/build.gradle", "version = '1.0'", "")
    replaced(
        project, "src/build.gradle", "dependencies {", "dependencies {\n    implementation project(':libraries:words')"
    )
    before = set(project.path(".").rglob("*"))
    project.build()

    assert call(project) == "Good morning Ada"
    assert "lib/example.words-2.0.jar" in project.names("Example")
    build = project.path("build")
    assert before == {path for path in project.path(".").rglob("*") if path != build and build not in path.parents}
    assert project.build().steps == []

    replaced(project, "libraries/words/src/main/java/words/Word.java", "morning", "evening")
    assert "resolve:Example" not in project.build().steps
    assert call(project) == "Good evening Ada"
    project.write({"version.txt": "2.1\n"})
    assert "version.txt changed" in project.run("why", "Example").said


MISTAKES = {
    "no Groovy": ("src/build.gradle", "dependencies {", "dependencies {{", "LB402", "--> src/build.gradle:1"),
    "no such version": ("src/build.gradle", "1.12.0", "0.0.12", "LB408", "commons-text:0.0.12"),
    "a typo": (SOURCE, "WordUtils.", "WordUtil.", "LB502", f"--> {SOURCE}:11:1"),
    "a runtime that is too old": (SOURCE, "package", "package", "LB402", "options.release = 11"),
}


def test_mistakes_are_told_with_their_place_and_gradles_words(project: Sandbox) -> None:
    example(project, HERE, function(runtime="java11", handler=HANDLER))
    for file, right, wrong, code, words in MISTAKES.values():
        text = project.path(file).read_text()
        replaced(project, file, right, wrong)
        said = project.run("build").said
        assert f"{code}]: function 'Example'" in said, said
        assert words in said, said
        assert "Traceback" not in said
        assert "/tree/" not in said
        project.write({file: text})


def test_tests_run_when_wanted_and_a_wrapper_goes_before_the_machines_gradle(project: Sandbox) -> None:
    example(project, HERE, JAVA).write({
        "src/src/test/java/Wrong.java": "class Wrong { int x = ; }\n",
        "src/gradlew": "mkdir -p src/main/resources\necho yes > src/main/resources/wrapped\nexec gradle \"$@\"\n",
    })  # fmt: skip
    project.build()
    assert project.content("Example", "wrapped") == b"yes\n"

    project.write({"lambdabuild.toml": "[functions.Example.options]\ntests = true\n"})
    ran = project.run("build")
    assert "--> src/src/test/java/Wrong.java:1:" in ran.said, ran.said


def test_a_wrapper_that_cannot_get_its_gradle_leaves_it_to_the_machines(project: Sandbox) -> None:
    example(project, HERE, JAVA).write({"src/gradlew": "echo UnknownHostException >&2\nexit 1\n"})
    ran = project.build()

    assert "the one on PATH is used" in ran.out
    empty = {"GRADLE_USER_HOME": str(project.path("empty"))}
    project.append("src/build.gradle", "// edited\n")
    assert "LB603" in project.run("build", "--offline", env=empty).said

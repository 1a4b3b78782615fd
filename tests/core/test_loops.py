"""Fn::ForEach: what loops make is read as if it were written out, and each gets its own artifact in the text."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from test_sam import Memory, load
from test_sam import read as read_files

from lambdabuild.cloudformation.template_text.splice import splice
from lambdabuild.core.errors import BadTemplate, CannotCompile, DuplicateKey, LambdaBuildError, Unresolvable
from lambdabuild.core.model import FileLocation, ImageLocation, Location, Rewrite, S3Location, Service, Text
from lambdabuild.frontends.yaml_text import parse

HEAD = "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n"
FUNCTION = "Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, CodeUri: "
PARAMETERS = """\
Parameters:
  Names: {Type: CommaDelimitedList, Default: 'Alpha, Beta'}
  Open: {Type: CommaDelimitedList}
  Text: {Type: String, Default: Alpha}
  Secret: {Type: CommaDelimitedList, Default: a, NoEcho: true}
Mappings: {Lists: {Of: {Names: [Alpha, Beta]}, For: {Alpha: [x, y], Beta: [z]}}}
Conditions: {IsX: !Equals [!Ref Text, Alpha]}
"""


def loop(collection: str = "[Alpha, Beta]", key: str = "${Name}Function", code: str = "src/${Name}") -> str:
    return f"  Fn::ForEach::Functions: [Name, {collection}, {{'{key}': {{{FUNCTION}'{code}'}}}}}}]\n"


def resources(*parts: str, head: str = HEAD) -> str:
    return head + "Resources:\n" + "".join(parts)


def sources(service: Service) -> dict[str, str]:
    return {function.name: function.source for function in service.functions}


EXPECTED = {"AlphaFunction": "src/Alpha", "BetaFunction": "src/Beta"}


@pytest.mark.parametrize(
    "collection",
    [
        "[Alpha, Beta]", "!Ref Names", "!FindInMap [Lists, Of, Names]", "!Split ['-', Alpha-Beta]", "[!Ref Text, Beta]",
        "!If [IsX, [Alpha, Beta], [Gamma]]", "!FindInMap [Lists, Of, Nothing, DefaultValue: [Alpha, Beta]]",
        "[!Sub '${Text}', !Select [1, !Ref Names]]",
    ],
)  # fmt: skip
def test_a_loop_is_read_as_what_it_makes(collection: str) -> None:
    assert sources(load(resources(loop(collection), head=HEAD + PARAMETERS))) == EXPECTED


def test_a_parameter_that_is_given_decides() -> None:
    assert sources(load(resources(loop("!Ref Names"), head=HEAD + PARAMETERS), parameters={"Names": "Beta"})) == {
        "BetaFunction": "src/Beta"
    }


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("F${Name}", "src/${Name}"), ("F&{Name}", "src/${Name}"), ("F${Name}", "src/&{Name}"),
    ],
)  # fmt: skip
def test_both_ways_to_name_the_value_are_known(key: str, code: str) -> None:
    assert sources(load(resources(loop(key=key, code=code)))) == {"FAlpha": "src/Alpha", "FBeta": "src/Beta"}


def test_a_value_may_have_what_no_logical_id_may_have() -> None:
    text = resources(loop("['api-v1', '10.0.0.1']", key="F&{Name}"))
    assert sources(load(text)) == {"Fapiv1": "src/api-v1", "F10001": "src/10.0.0.1"}


NESTED = """\
  Fn::ForEach::Outer:
    - Env
    - [Alpha, Beta]
    - Fn::ForEach::Inner:
        - Part
        - !FindInMap [Lists, For, !Ref Env]
        - ${Env}${Part}: {%s!Join [/, [!Ref Env, !Sub "${Part}"]]}, DependsOn: !Sub 'Log${Env}'}
      Log${Env}: {Type: AWS::Logs::LogGroup}
"""


def test_loops_nest_and_the_inner_may_go_through_what_the_outer_names() -> None:
    text = resources(NESTED % FUNCTION, head=HEAD + PARAMETERS)
    assert sources(load(text)) == {"Alphax": "Alpha/x", "Alphay": "Alpha/y", "Betaz": "Beta/z"}


def test_references_may_be_worked_out_with_the_extensions() -> None:
    layer = "'${Name}Layer': {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: 'l/${Name}'}}"
    body = (
        f"'${{Name}}Function': {{{FUNCTION}src, Layers: [!Ref {{Fn::Sub: '${{Name}}Layer'}}, !Ref '${{Name}}Layer']}}}}"
    )
    service = load(resources(f"  Fn::ForEach::F: [Name, [A, B], {{{body}, {layer}}}]\n"))

    assert {f.name: f.layers for f in service.functions} == {
        "AFunction": ("ALayer", "ALayer"),
        "BFunction": ("BLayer", "BLayer"),
    }
    assert {one.name: one.source for one in service.layers} == {"ALayer": "l/A", "BLayer": "l/B"}


def test_conditions_and_outputs_may_have_loops_and_resources_use_what_they_make() -> None:
    head = HEAD + PARAMETERS.replace(
        "Conditions: {", "Conditions: {'Fn::ForEach::Is': [C, !Ref Names, {'Is${C}': !Equals ['${C}', !Ref Text]}], "
    )
    code = "!If ['Is${Name}', 'new/${Name}', 'old/${Name}']"
    text = resources(loop().replace("'src/${Name}'", code), head=head)
    outputs = "Outputs: {'Fn::ForEach::O': [N, !Ref Names, {'${N}Arn': {Value: !GetAtt ['${N}Function', Arn]}}]}\n"

    assert sources(load(text + outputs)) == {"AlphaFunction": "new/Alpha", "BetaFunction": "old/Beta"}


def test_a_length_and_a_json_text_can_decide_what_is_built() -> None:
    head = HEAD + PARAMETERS.replace("Conditions: {", "Conditions: {Two: !Equals [!Length [1, 2], 2], "
        "Same: !Equals [!ToJsonString {a: !Ref Text}, '{\"a\":\"Alpha\"}'], ")  # fmt: skip
    text = resources(f"  F: {{{FUNCTION}!If [Two, !If [Same, good, bad], bad]}}}}\n", head=head)

    assert sources(load(text)) == {"F": "good"}


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (loop("!Ref Open"), Unresolvable, "param.Open=..."),
        (loop("[a, !Ref Names]"), BadTemplate, "which is not text"),
        (loop("[a, !Ref Open]"), Unresolvable, "param.Open=..."),
        (loop("[a, !Select [0, !Ref Open]]"), Unresolvable, "param.Open=..."),
        (loop("!GetAtt T.Names"), Unresolvable, "Fn::GetAtt"),
        (loop("['{{resolve:ssm:x}}']"), Unresolvable, "looked up at deployment"),
        (loop("!Ref Text"), BadTemplate, "CommaDelimitedList"),
        (loop("!Ref Secret"), BadTemplate, "NoEcho"),
        (loop("[Alpha, '']"), BadTemplate, "'', which is not text"),
        (loop("[Alpha, Alpha]"), DuplicateKey, "'AlphaFunction', which already exists"),
        (loop("[a-b, ab]", key="F&{Name}"), DuplicateKey, "'Fab', which already exists"),
        (loop(key="Function"), DuplicateKey, "all identifiers into the key"),
        (loop("[a-b]"), BadTemplate, "&{Name} stands for the value"),
        (loop(key="${Nmae}Function"), BadTemplate, "'${Nmae}Function', which is not a logical id"),
        (loop().replace("[Name,", "[Text,"), BadTemplate, "the identifier of a parameter, Text"),
        (loop().replace("ForEach::Functions", "ForEach::Text"), BadTemplate, "the name of a parameter, Text"),
        (loop().replace("ForEach::Functions", "ForEach::T"), BadTemplate, "'T' is called as a resource is"),
        (loop().replace("ForEach::Functions", "ForEach"), BadTemplate, "has no name of letters and digits"),
        (loop().replace("[Name, [Alpha, Beta],", "[[Alpha, Beta],"), BadTemplate, "is not a list of an identifier"),
        (loop().replace("[Name,", "[!Ref Text,"), BadTemplate, "an identifier that is not made of letters"),
        (NESTED.replace("- Part", "- Env") % FUNCTION, BadTemplate, "the identifier of a loop around it, Env"),
    ],
)  # fmt: skip
def test_what_no_deployment_would_take_is_an_error_with_its_place(
    text: str, kind: type[LambdaBuildError], words: str
) -> None:
    with pytest.raises(kind) as raised:
        load(resources("  T: {Type: AWS::SNS::Topic}\n", text, head=HEAD + PARAMETERS))

    assert words in str(raised.value)
    assert raised.value.where[0].line > 3
    assert raised.value.help


def test_the_logical_id_of_another_resource_is_taken() -> None:
    with pytest.raises(DuplicateKey) as raised:
        load(resources("  AlphaFunction: {Type: AWS::SNS::Topic}\n", loop()))

    assert [place.line for place in raised.value.where] == [3, 4]


def test_all_mistakes_of_all_loops_are_told_at_once() -> None:
    second = loop("[c-d]").replace("Functions", "Others")
    with pytest.raises(LambdaBuildError) as raised:
        load(resources(loop("[a-b]"), second))

    assert [error.where[0].line for error in raised.value.errors] == [3, 4]  # type: ignore[attr-defined]


def in_one_another(depth: int) -> str:
    text = "'" + "".join(f"${{I{n}}}" for n in range(depth)) + "': {Type: AWS::SNS::Topic}"
    for n in reversed(range(depth)):
        text = f"Fn::ForEach::L{n}: [I{n}, [a], {{{text}}}]"
    return resources(f"  {text}\n")


def test_five_loops_may_stand_in_one_another() -> None:
    load(in_one_another(5))
    with pytest.raises(BadTemplate, match="more than 5 loops"):
        load(in_one_another(6))


def test_loops_that_multiply_are_stopped() -> None:
    many = "[" + ", ".join(f"a{n}" for n in range(60)) + "]"
    text = in_one_another(4).replace("[a]", many)
    with pytest.raises(BadTemplate, match=r"the loops make more than 250,000 values"):
        load(text)


def test_loops_need_the_transform() -> None:
    with pytest.raises(BadTemplate, match=r"needs the transform AWS::LanguageExtensions") as raised:
        load(resources(loop(), head="Transform: AWS::Serverless-2016-10-31\n"))

    assert raised.value.where[0].line == 3
    with pytest.raises(BadTemplate, match=r"a loop is not allowed here"):
        load(HEAD + "Mappings: {'Fn::ForEach::M': [a, [b], {c: d}]}\n" + resources(loop(), head=""))


# the text


def located(service: Service, places: Mapping[str, Location], out: str = "/out") -> str:
    def locate(rewrite: Rewrite) -> Location | None:
        return places.get(rewrite.target)

    return splice(service.documents[0], locate, out)


TREES = {"AlphaFunction": FileLocation("/out/tree/A"), "BetaFunction": FileLocation("/out/tree/B")}
IN_S3 = {"AlphaFunction": S3Location("bucket", "a.zip"), "BetaFunction": S3Location("bucket", "b.zip")}

BLOCK = """\
# orders
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
%sResources:   # all
  Fn::ForEach::Functions:
    - Name
    - [Alpha, Beta]
    - ${Name}Function:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: src/${Name}   # code
          Runtime: python3.12
          Handler: a.b
"""
TABLE = '  LambdabuildNameFunction:\n    AlphaFunction: {CodeUri: "tree/A"}\n    BetaFunction: {CodeUri: "tree/B"}\n'


def test_the_place_looks_up_each_ones_artifact_in_a_mapping_and_nothing_else_changes() -> None:
    found = located(load(BLOCK % ""), TREES)

    assert found == (BLOCK % ("Mappings:\n" + TABLE)).replace(
        "src/${Name} ", '!FindInMap [LambdabuildNameFunction, !Sub "${Name}Function", CodeUri] '
    )


def test_it_joins_the_mappings_that_are_there() -> None:
    found = located(load(BLOCK % "Mappings:\n  Own:\n    a: {b: c}\n"), TREES)
    assert f"Mappings:\n{TABLE}  Own:\n    a: {{b: c}}\nResources:" in found


def test_a_mapping_of_that_name_is_not_overwritten() -> None:
    found = located(load(BLOCK % "Mappings: {LambdabuildNameFunction: {a: {b: c}}}\n"), TREES)
    assert "!FindInMap [LambdabuildNameFunction2, " in found
    assert set(parse("t.yaml", found)[0].value["Mappings"].value) == {  # type: ignore[index,call-overload,union-attr]
        "LambdabuildNameFunction", "LambdabuildNameFunction2",
    }  # fmt: skip


@pytest.mark.parametrize("mappings", ["", "Mappings: {Own: {a: {b: c}}}\n", "Mappings:\n  Own: {a: {b: c}}\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_is_written_is_read_again_as_each_ones_artifact(mappings: str, newline: str) -> None:
    text = (BLOCK % mappings).replace("\n", newline)
    again = located(load(text), TREES)

    assert again.count("\n") == again.count(newline)
    assert sources(load(again, {"tree/A/a.py": "", "tree/B/a.py": ""})) == {
        "AlphaFunction": "tree/A",
        "BetaFunction": "tree/B",
    }


@pytest.mark.parametrize("mappings", [{}, {"Own": {"a": {"b": "c"}}}])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_stays_json(mappings: dict[str, object], indent: int | None) -> None:
    body = {"${Name}Function": {"Type": "AWS::Serverless::Function",
            "Properties": {"CodeUri": "src/${Name}", "Runtime": "python3.12", "Handler": "a.b"}}}  # fmt: skip
    whole = {"Transform": ["AWS::LanguageExtensions"], **({"Mappings": mappings} if mappings else {}),
             "Resources": {"Fn::ForEach::F": ["Name", ["Alpha", "Beta"], body]}}  # fmt: skip
    service = read_files("t.json", Memory({"t.json": json.dumps(whole, indent=indent)}))
    found = json.loads(located(service, IN_S3))

    assert found["Mappings"] == {
        "LambdabuildNameFunction": {
            "AlphaFunction": {"CodeUri": "s3://bucket/a.zip"}, "BetaFunction": {"CodeUri": "s3://bucket/b.zip"},
        }, **mappings,
    }  # fmt: skip
    made = found["Resources"]["Fn::ForEach::F"][2]["${Name}Function"]["Properties"]
    assert made.pop("CodeUri") == {
        "Fn::FindInMap": ["LambdabuildNameFunction", {"Fn::Sub": "${Name}Function"}, "CodeUri"]
    }
    assert made == {"Runtime": "python3.12", "Handler": "a.b"}


def test_of_plain_cloudformation_only_the_key_is_looked_up() -> None:
    text = (BLOCK % "").replace("Serverless::Function", "Lambda::Function").replace("CodeUri", "Code")
    found = located(load(text), IN_S3)

    look_up = '!FindInMap [LambdabuildNameFunction, !Sub "${Name}Function", CodeS3Key]'
    assert f'Code: {{S3Bucket: "bucket", S3Key: {look_up}}}   # code' in found
    assert 'AlphaFunction: {CodeS3Key: "a.zip"}' in found


def test_one_folder_for_all_needs_no_mapping_but_two_folders_do_even_with_one_content() -> None:
    same = {"AlphaFunction": FileLocation("/out/x"), "BetaFunction": FileLocation("/out/x")}
    one = (BLOCK % "").replace("src/${Name}", "src")

    assert located(load(one), same) == one.replace("CodeUri: src", "CodeUri: x")
    assert located(load(BLOCK % ""), same).count("FindInMap") == 1


def test_a_loop_of_one_value_is_looked_up_too_for_a_deployment_may_name_more() -> None:
    text = (BLOCK % "").replace("[Alpha, Beta]", "[Alpha]")
    assert "!FindInMap" in located(load(text), TREES)


def test_code_of_globals_is_written_into_the_loop() -> None:
    text = (BLOCK % "Globals: {Function: {CodeUri: src, Runtime: python3.12}}\n").replace(
        "CodeUri: src/${Name}   # code\n          ", ""
    )
    found = located(load(text), {"AlphaFunction": FileLocation("/out/x"), "BetaFunction": FileLocation("/out/y")})

    assert 'CodeUri: !FindInMap [LambdabuildNameFunction, !Sub "${Name}Function", CodeUri]\n          Runtime' in found


def test_what_is_in_s3_already_keeps_its_place_beside_what_is_built() -> None:
    text = (BLOCK % "Mappings: {Code: {Alpha: {Uri: src}, Beta: {Uri: s3://b/k}}}\n").replace(
        "src/${Name}", "!FindInMap [Code, !Ref Name, Uri]"
    )
    service = load(text)
    found = located(service, {"AlphaFunction": FileLocation("/out/x")})

    assert [one.name for one in service.skipped] == ["BetaFunction"]
    assert 'BetaFunction: {CodeUri: "s3://b/k"}' in found
    assert located(service, {}) == text


def test_mappings_that_take_no_more_are_an_error() -> None:
    text = "x: &own {a: {b: {c: d}}}\n" + (BLOCK % "Mappings: *own\n")
    with pytest.raises(CannotCompile, match=r"none can be added"):
        located(load(text), TREES)


def test_a_code_location_that_a_loop_of_properties_makes_is_an_error() -> None:
    looped = "Fn::ForEach::P: [P, [CodeUri], {'${P}': src}]"
    with pytest.raises(BadTemplate, match=r"the CodeUri of function 'F' is made by an Fn::ForEach"):
        load(resources(f"  F: {{{FUNCTION.replace('CodeUri: ', looped)}}}}}\n"))


def test_definitions_and_stacks_of_a_loop_are_each_its_own() -> None:
    text = resources(
        "  Fn::ForEach::All:\n    - N\n    - [A, B]\n"
        "    - M${N}: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: 'd/${N}.json'}}\n"
        "      S${N}: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: 's/${N}.yaml'}}\n"
    )
    nested = resources(f"  F: {{{FUNCTION}src}}}}\n")
    service = load(text, {"d/A.json": "", "d/B.json": "", "s/A.yaml": nested, "s/B.yaml": nested})

    assert [(one.name, one.source) for one in service.assets] == [
        ("MA-DefinitionUri", "d/A.json"),
        ("MB-DefinitionUri", "d/B.json"),
    ]
    assert {one.stack for one in service.documents} == {"", "SA", "SB"}
    assert sorted(sources(service)) == ["SA/F", "SB/F"]
    found = located(
        service, {name: FileLocation(f"/out/{name}") for name in ("MA-DefinitionUri", "MB-DefinitionUri", "SA", "SB")}
    )
    assert 'MA: {DefinitionUri: "MA-DefinitionUri"}' in found
    assert 'SB: {TemplateURL: "SB"}' in found


def test_layers_are_not_added_to_what_a_loop_makes() -> None:
    assert all("Fn::ForEach" in function.fixed_layers for function in load(resources(loop())).functions)


def test_bundles_of_a_loop_are_each_its_own_and_keep_the_handler() -> None:
    text = (
        (BLOCK % "")
        .replace("Handler: a.b", "Handler: src/${Name}.handler")
        .replace("python3.12", "nodejs22.x")
        .replace("src/${Name}   #", "src   #")
    )
    text += "        Metadata: {BuildMethod: esbuild, BuildProperties: {EntryPoints: ['src/${Name}.ts'], Sourcemap: true}}\n"
    service = load(text)

    def locate(rewrite: Rewrite) -> Location | None:
        return Text(rewrite.text) if rewrite.kind == "node_options" else FileLocation(f"/out/{rewrite.target}")

    found = parse("t.yaml", splice(service.documents[0], locate, "/out"))[0]
    again = load(splice(service.documents[0], locate, "/out"), {"AlphaFunction/a.js": "", "BetaFunction/a.js": ""})

    assert {function.name: (function.handler, function.source) for function in again.functions} == {
        "AlphaFunction": ("src/Alpha.handler", "AlphaFunction"), "BetaFunction": ("src/Beta.handler", "BetaFunction"),
    }  # fmt: skip
    assert all(function.environment == ("NODE_OPTIONS",) for function in again.functions)
    assert found.get("Mappings") is not None


def test_images_of_a_loop_are_each_its_own() -> None:
    body = "{Type: AWS::Lambda::Function, Properties: {PackageType: Image, Code: {ImageUri: x}}, Metadata: {DockerContext: '${N}'}}"
    text = resources(f"  Fn::ForEach::I: [N, [A, B], {{'${{N}}': {body}}}]\n")
    service = load(text, {"A/Dockerfile": "", "B/Dockerfile": ""})
    found = located(service, {"A": ImageLocation("r/a@sha256:1"), "B": ImageLocation("r/b@sha256:2")})

    assert [image.name for image in service.images] == ["A", "B"]
    assert 'Code: {ImageUri: !FindInMap [LambdabuildN, !Sub "${N}", CodeImageUri]}' in found
    assert 'B: {CodeImageUri: "r/b@sha256:2"}' in found


def test_a_nested_stack_may_have_loops_over_what_its_parent_passes() -> None:
    child = resources(loop("!Ref Names"), head=HEAD + "Parameters: {Names: {Type: CommaDelimitedList}}\n")
    parent = (
        "  Child: {Type: AWS::Serverless::Application, Properties: {Location: c/child.yaml, Parameters: {Names: %s}}}\n"
    )

    given = resources(parent % "!Join [',', [Alpha, Beta]]")
    assert sources(load(given, {"c/child.yaml": child})) == {
        "Child/AlphaFunction": "c/src/Alpha",
        "Child/BetaFunction": "c/src/Beta",
    }
    with pytest.raises(Unresolvable) as raised:
        load(resources(parent % "!ImportValue x"), {"c/child.yaml": child})
    assert raised.value.where[0].file == "c/child.yaml"


def test_the_transforms_in_the_wrong_order_are_warned_of() -> None:
    text = resources(loop())
    assert load(text).warnings == ()
    wrong = text.replace(
        "[AWS::LanguageExtensions, AWS::Serverless-2016-10-31]", "[AWS::Serverless-2016-10-31, AWS::LanguageExtensions]"
    )
    assert load(wrong).warnings[0].startswith("template.yaml:1:1: CloudFormation refuses loops unless")


def test_text_that_only_looks_like_a_loop_is_left_alone() -> None:
    text = f"Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {{{FUNCTION}src}}, Metadata: {{note: 'Fn::ForEach'}}}}\n"
    assert sources(load(text)) == {"F": "src"}

"""Which packages become layers: what the plan promises, whatever the functions and packages are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from lambdabuild.core.records import replace
from lambdabuild.plan.layers.automatic import LEAST_SAVED_BYTES, Package, SharedLayer, share
from lambdabuild.plan.types import LayerCandidate, ShareGroup

PYTHON = ShareGroup("", "python3.12", "x86_64", "python")
MB = 1_000_000


def package(name: str, zipped: int = MB, version: str = "1") -> Package:
    return Package((name,), f"{name}-{version}", zipped, 3 * zipped)


def plan(
    wanted: Mapping[str, Iterable[Package]], quota: int | Mapping[str, int] = 5, groups: Mapping[str, ShareGroup] | None = None,
    taken: Iterable[str] = (),
) -> tuple[SharedLayer, ...]:  # fmt: skip
    """The layers of functions with these packages."""
    quotas = dict.fromkeys(wanted, quota) if isinstance(quota, int) else quota
    candidates = [
        LayerCandidate(name, name, (groups or {}).get(name, PYTHON), (name,), quotas[name]) for name in wanted
    ]
    return share(candidates, wanted, {"": frozenset(taken)})


def told(layers: Iterable[SharedLayer]) -> dict[str, str]:
    """``{"numpy scipy": "A B"}``"""
    return {" ".join(n for p in layer.packages for n in p.names): " ".join(layer.builds) for layer in layers}


NUMPY, PANDAS, BOTO = package("numpy", 16 * MB), package("pandas", 12 * MB), package("botocore", 14 * MB)
REQUESTS, IDNA, SIX = package("requests", 64_000), package("idna", 70_000), package("six", 11_000)


def test_packages_of_the_same_functions_share_a_layer_and_big_ones_have_one_to_themselves() -> None:
    found = plan({"A": [NUMPY, REQUESTS, IDNA], "B": [NUMPY, REQUESTS, IDNA], "C": [REQUESTS, IDNA, BOTO]})

    assert told(found) == {"numpy": "A B", "idna requests": "A B C"}


def test_what_one_function_has_and_what_spares_little_stays_in_the_zips() -> None:
    assert plan({"A": [NUMPY, SIX], "B": [BOTO, SIX]}) == ()


def test_another_version_is_another_package() -> None:
    newer = package("numpy", 16 * MB, "2")

    found = plan({"A": [NUMPY], "B": [NUMPY], "C": [newer], "D": [newer]})

    assert [(layer.packages[0].digest, layer.builds) for layer in found] == [
        ("numpy-1", ("A", "B")),
        ("numpy-2", ("C", "D")),
    ]
    assert found[1].name == found[0].name + "2"


def test_stacks_runtimes_and_architectures_have_layers_of_their_own() -> None:
    groups = {"A": PYTHON, "B": PYTHON, "C": replace(PYTHON, architecture="arm64"), "D": replace(PYTHON, runtime="python3.13"),
              "Child/E": replace(PYTHON, stack="Child"), "Child/F": replace(PYTHON, stack="Child")}  # fmt: skip

    found = plan({name: [NUMPY] for name in groups}, groups=groups)

    assert [(layer.full_name, layer.builds) for layer in found] == [
        (f"Child/{found[1].name}", ("Child/E", "Child/F")),
        (found[1].name, ("A", "B")),
    ]


def test_functions_of_one_build_share_too_for_an_edit_of_their_source_need_not_send_their_packages() -> None:
    candidate = LayerCandidate("A", "A", PYTHON, ("A", "B", "C"), 5)

    (layer,) = share([candidate], {"A": [NUMPY]}, {})

    assert layer.builds == ("A",)


def test_with_one_place_left_a_function_has_one_layer_of_all_it_shares() -> None:
    both = [NUMPY, PANDAS, BOTO]

    assert told(plan({"A": both, "B": both}, quota=1)) == {"botocore numpy pandas": "A B"}


def test_where_merging_costs_more_a_function_keeps_the_lighter_package_in_its_zip() -> None:
    wanted = {"A": [NUMPY, IDNA], **{f"N{n}": [NUMPY] for n in range(3)}, **{f"I{n}": [IDNA] for n in range(9)}}

    found = plan(wanted, quota=dict.fromkeys(wanted, 1))

    assert told(found)["numpy"] == "A N0 N1 N2"
    assert "A" not in told(found)["idna"].split()


def test_an_id_tells_the_first_package_and_does_not_meet_one_of_the_template() -> None:
    wanted = {"A": [package("ruamel.yaml")], "B": [package("ruamel.yaml")]}
    (layer,) = plan(wanted)
    (other,) = plan(wanted, taken=[layer.name])

    assert layer.name.startswith("SharedRuamelYaml")
    assert layer.name.isalnum()
    assert other.name == layer.name + "2"


# properties

SIZES = st.integers(min_value=1, max_value=40 * MB)
UNIVERSE = st.dictionaries(st.sampled_from([f"p{n}" for n in range(12)]), SIZES, min_size=1)


@st.composite
def services(draw: st.DrawFn) -> tuple[dict[str, list[Package]], dict[str, int]]:
    """Functions with packages of one universe, and how many layers each may have."""
    everything = [package(name, size) for name, size in sorted(draw(UNIVERSE).items())]
    some = st.lists(st.sampled_from(everything), unique=True)
    wanted = draw(st.dictionaries(st.sampled_from([f"F{n:02}" for n in range(14)]), some, min_size=1))
    return wanted, {name: draw(st.integers(min_value=1, max_value=5)) for name in wanted}


def layers_of(found: Iterable[SharedLayer], name: str) -> list[SharedLayer]:
    return [layer for layer in found if name in layer.builds]


@given(services())
def test_a_function_sees_only_packages_that_it_has_each_in_one_layer_and_no_more_layers_than_it_may(
    service: object,
) -> None:
    wanted, quotas = service  # type: ignore[misc]  # a tuple, as drawn

    found = plan(wanted, quotas)

    for name, packages in wanted.items():
        seen = [one for layer in layers_of(found, name) for one in layer.packages]
        assert set(seen) <= set(packages)
        assert len(seen) == len(set(seen))
        assert len(layers_of(found, name)) <= quotas[name]
    assert len({layer.full_name for layer in found}) == len(found)


@given(services())
def test_no_layer_is_without_use(service: object) -> None:
    wanted, quotas = service  # type: ignore[misc]

    for layer in plan(wanted, quotas):
        assert 2 * layer.zipped * (len(layer.builds) - 1) >= LEAST_SAVED_BYTES


@given(services(), st.randoms())
def test_order_never_matters(service: object, shuffled: object) -> None:
    wanted, quotas = service  # type: ignore[misc]
    names = list(wanted)
    shuffled.shuffle(names)  # type: ignore[attr-defined]

    assert plan({name: list(reversed(wanted[name])) for name in names}, quotas) == plan(wanted, quotas)


@given(services(), st.data())
def test_another_version_changes_only_the_layers_that_hold_the_package(service: object, data: st.DataObject) -> None:
    wanted, quotas = service  # type: ignore[misc]
    everything = sorted({one for packages in wanted.values() for one in packages})
    if not everything:
        return
    old = data.draw(st.sampled_from(everything))
    new = replace(old, digest=old.digest + "1", zipped=old.weight)  # a little larger

    before = plan(wanted, quotas)
    after = plan({name: [new if one == old else one for one in packages] for name, packages in wanted.items()}, quotas)

    assert [(one.name, one.builds) for one in before] == [(one.name, one.builds) for one in after]
    kept = [one for one in before if old not in one.packages]
    assert set(kept) <= set(after)


@given(services())
def test_a_function_with_packages_of_its_own_moves_no_other(service: object) -> None:
    wanted, quotas = service  # type: ignore[misc]

    assert plan({**wanted, "New": [package("new", 9 * MB)]}, {**quotas, "New": 5}) == plan(wanted, quotas)

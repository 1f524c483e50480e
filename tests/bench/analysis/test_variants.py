"""Guards the names of variants: the shortest that distinguish them, however long the paths and commands are."""

from __future__ import annotations

import pytest

from uqdm.bench.analysis.variants import LONGEST_VALUE, Variant, heads, shortest_names, variant_of


def names_of(codec: str, *settings: str) -> list[str]:
    return list(heads({variant_of(codec, None, setting): [setting] for setting in settings}).values())


def test_a_single_variant_has_the_name_of_its_codec() -> None:
    assert names_of("uqdm", "model=/a/very/long/path/to/a/model,seed=0") == ["uqdm"]


def test_a_label_is_the_name_whatever_else_the_run_has() -> None:
    settings = {Variant("uqdm", "ours"): ["model=a", "model=b"], Variant("uqdm", names="model=c"): ["model=c"]}
    assert heads(settings) == {Variant("uqdm", "ours"): "ours", Variant("uqdm", names="model=c"): "uqdm"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["model=/data/runs/7/best.pt,seed=0", "model=/data/runs/12/best.pt,seed=0"], ["7/best.pt", "12/best.pt"]),
        (["model=uqdm-demo,seed=0", "model=/home/me/ours,seed=0"], ["uqdm-demo", "ours"]),
        (["encode=cjxl {input} {output} -q {quality}", "encode=opj_compress -i {input}"], ["cjxl", "opj_compress"]),
        (["codec=jpeg:quality=1;a=2,lam=0", "codec=webp,lam=0"], ["jpeg", "webp"]),
        (["codec=uqdm:model=ours,lam=0", "codec=uqdm:model=theirs,lam=0"], ["ours", "theirs"]),
        (["model=a,seeds=1", "model=b,seeds=2"], ["a", "b"]),  # not by the seeds
    ],
)
def test_names_are_the_least_that_distinguishes(settings: list[str], expected: list[str]) -> None:
    assert names_of("c", *settings) == [f"c {name}" for name in expected]


def test_long_values_that_differ_anywhere_stay_distinct_and_short() -> None:
    middle = "x" * 100
    values = [f"tool {middle}{number}{middle}" for number in range(5)]
    found = shortest_names([{"encode": value} for value in values])
    assert len(set(found)) == len(values)
    assert max(map(len, found)) <= LONGEST_VALUE


def test_several_parameters_are_named_where_one_does_not_suffice() -> None:
    parsed = [{"a": a, "b": b, "c": "1"} for a in "12" for b in "12"]
    assert shortest_names(parsed) == ["a=1,b=1", "a=1,b=2", "a=2,b=1", "a=2,b=2"]


def test_a_parameter_that_some_lack_distinguishes_too() -> None:
    assert shortest_names([{"a": "1"}, {}]) == ["a=1", ""]

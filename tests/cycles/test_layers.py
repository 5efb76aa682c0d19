"""Layers of cycles, matched; against cases by hand."""

import time

import numpy as np
import pandas as pd
import pytest

from nasviz.cycles import match_layers


def table(*cycles: str) -> pd.DataFrame:
    """Each cycle as "name:op name ..."; the operator is conv where it is left out."""
    rows = []
    for cycle, text in enumerate(cycles):
        for position, word in enumerate(text.split()):
            name, _, op = word.partition(":")
            for metric, value in (("kflops", 10.0 * cycle + position), ("channels", 1.0)):
                rows.append((cycle, name, op or "conv", True, position, metric, value))
    return pd.DataFrame(rows, columns=["cycle", "layer", "op", "trainable", "position", "metric", "value"])


def matched(*cycles: str) -> list[list]:
    names = match_layers(table(*cycles))
    assert names.columns.tolist() == list(range(len(cycles)))
    for cycle, text in enumerate(cycles):  # every layer of every cycle stands there once
        assert sorted(names[cycle].dropna()) == sorted(word.partition(":")[0] for word in text.split())
    firsts = names.bfill(axis=1).iloc[:, 0]
    assert names.index.tolist() == firsts.tolist()
    return names.astype(object).where(names.notna(), None).to_numpy().tolist()


def test_by_name_with_gaps_where_they_belong():
    assert matched("stem a.x b.x head", "stem b.x c.x head", "stem a.x b.x c.x head") == [
        ["stem", "stem", "stem"],
        ["a.x", None, "a.x"],
        ["b.x", "b.x", "b.x"],
        [None, "c.x", "c.x"],
        ["head", "head", "head"],
    ]


def test_renamed_layers_of_one_parent_are_paired_in_order():
    assert matched("a.conv a.one a.two:linear", "a.conv a.eins a.zwei:linear") == [
        ["a.conv", "a.conv"],
        ["a.one", "a.eins"],
        ["a.two", "a.zwei"],
    ]
    assert matched("a.c1 a.c2", "a.d1 a.d2", "a.c1 a.c2") == [["a.c1", "a.d1", "a.c1"], ["a.c2", "a.d2", "a.c2"]]


@pytest.mark.parametrize(
    ("cycles", "rows"),
    [
        (["a.c", "b.c"], [[None, "b.c"], ["a.c", None]]),  # another parent
        (["a.c", "a.d:linear"], [[None, "a.d"], ["a.c", None]]),  # another operator
        (["a.c", "a.c:linear"], [[None, "a.c"], ["a.c", None]]),
        (["a.c a.d", "a.e"], [[None, "a.e"], ["a.c", None], ["a.d", None]]),  # which of the two?
        (["a.c x", "x", "a.d x"], [[None, None, "a.d"], ["a.c", None, None], ["x", "x", "x"]]),  # not there just before
    ],
)
def test_nothing_is_guessed(cycles, rows):
    assert matched(*cycles) == rows


def test_a_name_that_two_layers_have_had_goes_to_the_one_that_bore_it_last():
    """x is renamed to y; then there are both, and y goes on."""
    assert matched("p.x", "p.y", "p.x p.y") == [[None, None, "p.x"], ["p.x", "p.y", "p.y"]]


def test_values_have_gaps_not_zeros():
    values = match_layers(table("stem a head", "stem head"), "kflops")
    assert values.index.tolist() == ["stem", "a", "head"] and values.dtypes.tolist() == [float, float]
    np.testing.assert_equal(values.to_numpy(), [[0, 10], [1, np.nan], [2, 11]])
    assert match_layers(table("a"), "latency_ms").isna().all(axis=None)


def test_some_cycles_are_enough_and_none_is_no_error():
    rows = table("a b", "a", "a c")
    assert match_layers(rows[rows.cycle != 1]).columns.tolist() == [0, 2]
    for metric in (None, "kflops"):
        assert match_layers(rows.iloc[:0], metric).shape == (0, 0)


def test_wrong_tables_are_named():
    with pytest.raises(ValueError, match="lacks op, position"):
        match_layers(pd.DataFrame({"cycle": [0], "layer": ["a"]}))
    with pytest.raises(ValueError, match="two values of it in one cycle"):
        match_layers(pd.concat([table("a"), table("a")]), "kflops")


def test_many_large_cycles_are_matched_in_time():
    """200 cycles × 300 layers × 2 metrics, in each cycle one layer more or fewer."""
    texts = [
        " ".join(f"block{i // 10}.{'conv' if i % 7 else f'c{cycle}'}{i}" for i in range(300) if i != cycle)
        for cycle in range(200)
    ]
    long = table(*texts)
    start = time.perf_counter()
    names = match_layers(long)
    spent = time.perf_counter() - start
    assert names.shape[1] == 200 and names.notna().sum().tolist() == [299] * 200
    assert spent < 5

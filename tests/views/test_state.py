"""A state goes to JSON and back, and takes nothing that it does not know."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasviz.views.state import EmbeddingState, RankingState


@given(
    colour=st.text(max_size=20),
    projection=st.sampled_from(["PCA", "UMAP"]),
    n_clusters=st.integers(2, 20),
    fuzzifier=st.floats(1.1, 3),
    selection=st.lists(st.integers(0, 10**6), max_size=5),
    picture=st.booleans(),
)
def test_round_trip(**values):
    state = EmbeddingState(**values)
    again = EmbeddingState.from_json(state.to_json())
    assert again.trait_values() == state.trait_values()
    assert json.loads(state.to_json())["fuzzifier"] == values["fuzzifier"]


def test_round_trip_of_a_ranking():
    state = RankingState(family="nb201", column="CL+T", k=50, ranks=True)
    assert RankingState.from_json(state.to_json()).trait_values() == state.trait_values()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (None, "no JSON"),
        ("[]", "no EmbeddingState"),
        ('"colour"', "no EmbeddingState"),
        ('{"color": "family"}', "it may hold colour"),
        ('{"n_clusters": 21}', "n_clusters"),
        ('{"n_clusters": 2.5}', "n_clusters"),
        ('{"fuzzifier": 1.0}', "fuzzifier"),
        ('{"projection": "t-SNE"}', "projection"),
        ('{"selection": [-1]}', "selection"),
    ],
)
def test_from_json_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingState.from_json(text)

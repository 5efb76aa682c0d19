"""Splits and draws: disjoint, complete, repeatable, and refused where they would be empty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasviz.predict.folds import Fold, draw, split
from nasviz.predict.population import Population


@pytest.fixture(scope="module")
def graphs(bench):
    return bench.graphs()[:6]


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 5000), st.integers(0, 9))
def test_a_split_is_80_10_10_disjoint_and_complete(count, seed):
    training, validation_1, validation_2 = parts = split(count, seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(count))
    assert len(validation_1) == len(validation_2) == count // 10
    assert len(training) >= 0.8 * count
    assert all((np.diff(part) > 0).all() for part in parts)
    assert all(map(np.array_equal, parts, split(count, seed)))


def test_seeds_split_and_draw_differently():
    assert not np.array_equal(split(200, 0)[2], split(200, 1)[2])
    assert not np.array_equal(draw(200, 50, 0)[0], draw(200, 50, 1)[0])


@settings(deadline=None, max_examples=50)
@given(st.integers(3, 5000), st.data())
def test_a_draw_leaves_the_rest(count, data):
    labels = data.draw(st.integers(1, count - 2))
    chosen, rest = draw(count, labels, 3)
    assert len(chosen) == labels and not set(chosen) & set(rest)
    assert np.array_equal(np.sort([*chosen, *rest]), np.arange(count))
    assert np.array_equal(chosen, draw(count, labels, 3)[0])


def test_every_network_is_drawn_as_often_as_another():
    often = np.bincount(np.concatenate([draw(40, 10, seed)[0] for seed in range(2000)]), minlength=40)
    assert often.sum() == 20_000 and abs(often - 500).max() < 5 * np.sqrt(500)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: split(19), "19 labelled networks cannot be split 80/10/10; bring at least 20"),
        (lambda: split(0), "count must be a whole number, at least 1, got 0"),
        (lambda: split(50.0), "count must be a whole number"),
        (lambda: draw(50, 50), "labels=50: of 50 networks between 1 and 48 can be drawn"),
        (lambda: draw(50, 49), "between 1 and 48"),
        (lambda: draw(50, 0), "labels=0"),
    ],
)
def test_too_few_networks_are_told(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_fold_keeps_networks_and_accuracies_together(graphs):
    fold = Fold.of(graphs, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    part = fold.take([4, 0])
    assert len(fold) == 6 and len(part) == 2
    assert part.accuracy.tolist() == [0.5, 0.1]
    assert part.population.dataset == [fold.population.dataset[4], fold.population.dataset[0]]
    population = Population.of(graphs)
    assert Fold.of(population, fold.accuracy).population is population


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [
        ([0.5] * 5, "graphs, accuracy must describe the same networks .* lengths are 6, 5"),
        ([0.5] * 5 + [np.nan], "accuracy must be finite, but 1 of its 6 rows hold NaN or infinity, the first at posit"),
        ([0.5] * 5 + [93.1], "accuracy must hold accuracies as fractions .* such as 93.1: divide percentages by 100"),
        ([[0.5] * 6], "accuracy must have 1 dimension"),
    ],
)
def test_labels_that_do_not_fit_are_told(graphs, accuracy, says):
    with pytest.raises(ValueError, match=says):
        Fold.of(graphs, accuracy)

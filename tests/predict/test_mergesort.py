"""The batched merge sort against Python's own sort, and against a plain one where the comparator contradicts itself."""

from functools import cmp_to_key

import numpy as np
import pytest

from nasviz.predict.mergesort import merge_sort, scores

SIZES = [1, 2, 3, 7, 16, 17, 100, 513]


class Counting:
    """A comparator that remembers what it was asked."""

    def __init__(self, table):
        self.table, self.asked = np.asarray(table), []

    def __call__(self, a, b):
        self.asked.append(list(zip(a.tolist(), b.tolist(), strict=True)))
        return self.table[a, b]


def differences(values):
    values = np.asarray(values)
    return values[:, None] - values[None]


def plain(count, better_or_equal):
    """A merge sort from the bottom up, one comparison at a time → order and the pairs compared."""
    order, width, asked = list(range(count)), 1, []
    while width < count:
        merged = []
        for start in range(0, count, 2 * width):
            left, right = order[start : start + width], order[start + width : start + 2 * width]
            while left and right:
                asked.append((left[0], right[0]))
                merged.append(left.pop(0) if better_or_equal(left[0], right[0]) else right.pop(0))
            merged += left + right
        order, width = merged, 2 * width
    return order, asked


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("different", [3, 10_000])
def test_the_order_is_pythons_with_the_same_comparator(count, different):
    table = differences(np.random.default_rng(count).integers(0, different, count))
    expected = sorted(range(count), key=cmp_to_key(lambda a, b: -int(table[a, b])))  # stable, the larger first
    assert merge_sort(count, Counting(table)).tolist() == expected


@pytest.mark.parametrize("count", SIZES)
def test_a_comparator_that_contradicts_itself_is_asked_the_same_pairs(count):
    table = np.triu(np.random.default_rng(count).choice([-1.0, 1.0], (count, count)), 1)
    compare = Counting(table - table.T)
    order, asked = plain(count, lambda a, b: compare.table[a, b] >= 0)
    assert merge_sort(count, compare).tolist() == order
    assert sorted(pair for pairs in compare.asked for pair in pairs) == sorted(asked)


def test_it_asks_seldom_and_for_many_pairs_at_once():
    count = 1000
    compare = Counting(differences(np.random.default_rng(0).random(count)))
    merge_sort(count, compare)
    assert len(compare.asked) <= 3 * count and len(compare.asked[0]) == count // 2
    assert sum(map(len, compare.asked)) <= count * np.log2(count)


def test_scores_are_evenly_spaced_places_and_equals_share_theirs():
    values = np.array([5.0, 9.0, 7.0, 7.0, 1.0])
    compare = Counting(differences(values))
    assert scores(merge_sort(5, compare), compare).tolist() == [0.25, 1, 0.625, 0.625, 0]
    same = Counting(np.zeros((4, 4)))
    assert scores(merge_sort(4, same), same).tolist() == [0.5] * 4
    assert scores(merge_sort(1, same), same).tolist() == [1]

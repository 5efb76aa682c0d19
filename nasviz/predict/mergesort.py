"""Merge sort with a comparator that answers for many pairs at once."""

from collections.abc import Callable

import numpy as np

Comparator = Callable[[np.ndarray, np.ndarray], np.ndarray]


def merge_sort(count: int, compare: Comparator) -> np.ndarray:
    """Sort the numbers 0 to count - 1, the best first.

    All merges of one level go forward together, so the comparator is asked 3 · count times at most, for up to
    count / 2 pairs at a time, instead of count · log₂ count times. Every pair that a merge sort from the bottom up
    compares is compared here, and no other; the order is the same, also where the comparator contradicts itself.

    Parameters
    ----------
    count : int
        How many there are.
    compare : callable
        Two int arrays of equal length → array of numbers: below 0 where the second of a pair is better. Otherwise the
        one that stood in front stays there, so the sort is stable.

    Returns
    -------
    ndarray of shape (count,)
        The numbers in their order.
    """
    order, width = np.arange(count), 1
    while width < count:
        merged = order.copy()  # a last run without a partner stays as it is
        left = np.arange(0, count - width, 2 * width)
        middle = left + width
        right, end, place = middle.copy(), np.minimum(middle + width, count), left.copy()
        while len(left):
            first, second = order[left], order[right]
            stays = compare(first, second) >= 0
            merged[place] = np.where(stays, first, second)
            left, right, place = left + stays, right + ~stays, place + 1
            going = (left < middle) & (right < end)
            if not going.all():
                for i in np.flatnonzero(~going):  # one of the two runs is empty: the rest of the other follows
                    merged[place[i] : end[i]] = (
                        order[left[i] : middle[i]] if left[i] < middle[i] else order[right[i] : end[i]]
                    )
                left, middle, right, end, place = (part[going] for part in (left, middle, right, end, place))
        order, width = merged, 2 * width
    return order


def scores(order: np.ndarray, compare: Comparator, tie: float = 1e-5) -> np.ndarray:
    """Scores from 1 for the best to 0 for the last, evenly spaced; neighbours that do not differ share the mean.

    Parameters
    ----------
    order : ndarray of shape (N,)
        From `merge_sort`.
    compare : callable
        What it was sorted by.
    tie : float
        A comparison within ±tie tells nothing: it is the rounding of single precision.

    Returns
    -------
    ndarray of shape (N,)
        A number's score stands at its position.
    """
    apart = np.abs(compare(order[:-1], order[1:])) > tie
    group = np.concatenate([[0], np.cumsum(apart)])
    mean = np.bincount(group, np.arange(len(order))) / np.bincount(group)
    result = np.empty(len(order))
    result[order] = 1 - mean[group] / max(len(order) - 1, 1)
    return result

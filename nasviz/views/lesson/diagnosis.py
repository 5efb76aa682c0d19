"""What went wrong in an answer: which factor of the right product is missing, doubled, or another one."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, isclose, isfinite, prod

from nasviz.views.lesson.formulas import Factor, Product, written

NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
PRODUCT = re.compile(rf"{NUMBER}(?:[*/x×·]{NUMBER})*")


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and a sentence on it."""

    right: bool
    text: str


def number(text: str) -> float:
    """The number in a text: ``"121,680"``, ``"10 x 26 x 26 x 9 * 2"``, ``"12168 + 6760"``, ``"1/10 + 1/9"``.

    Raises
    ------
    ValueError
        If there is none, or it is not finite.
    """
    value = 0.0
    for term in re.sub(r"[\s,_']", "", text.lower()).split("+"):
        if not PRODUCT.fullmatch(term):
            raise ValueError(f"{text!r} is no number; write digits, or products such as 10 x 26 x 26 x 2.")
        first, *rest = re.split(r"([*/x×·])", term)
        part = float(first)
        for sign, factor in zip(rest[::2], rest[1::2], strict=True):
            by = float(factor)
            part = part * by if sign != "/" else part / by if by else inf
        value += part
    if not isfinite(value):
        raise ValueError(f"{text!r} is no finite number.")
    return value


def judge(answer: float, terms: Sequence[Product], tolerance: float = 1e-9) -> Verdict:
    """Hold an answer against a sum of products, and say which factor explains the difference.

    Parameters
    ----------
    answer : float
        What the reader says.
    terms : sequence of Product
        What is right is their sum.
    tolerance : float
        Relative difference up to which two numbers are the same.
    """

    def same(value: float) -> bool:
        return isclose(answer, value, rel_tol=tolerance, abs_tol=1e-12)

    right = sum(term.value for term in terms)
    if same(right):
        return Verdict(True, f"Right: {' + '.join(term.numbers.split(' = ')[0] for term in terms)} = {written(right)}.")
    if answer <= 0:
        return Verdict(False, "The number is positive: layers only cost.")
    few = len(terms) <= 2
    subsets = [missing for size in range(len(terms)) for missing in combinations(terms, size)]
    gone = [missing for missing in subsets[1:] if same(right - sum(term.value for term in missing))]
    if gone:  # of equal numbers, either could be the one
        fewest = [missing for missing in gone if len(missing) == len(gone[0])]
        return Verdict(False, " Or: ".join(map(_missing, fewest[:3])))
    for size in (1, 2, 3) if few else (1,):  # the simplest explanation first
        for missing in subsets if few else subsets[:1]:
            found = list(dict.fromkeys(_explanations([term for term in terms if term not in missing], size, same)))
            if found:
                return Verdict(False, " ".join(filter(None, [_missing(missing), " Or: ".join(found[:3])])))
    ratio = answer / right
    size = f"{_times(1 / ratio)} times too small" if ratio < 1 else f"{_times(ratio)} times too large"
    return Verdict(False, f"Your number is {size}. Write the product factor by factor, as in the formula above.")


def _explanations(terms: Sequence[Product], size: int, same: Callable[[float], bool]) -> Iterator[str]:
    """What could be wrong with `size` factors of one of the terms, if the others are right."""
    right = sum(term.value for term in terms)
    for term in terms:
        for places in combinations(range(len(term.factors)), size):
            others = prod(factor.value for i, factor in enumerate(term.factors) if i not in places)
            for way in _ways([term.factors[i] for i in places]):
                if same(right - term.value + others * prod(value for value, _ in way)):
                    where = f"In {term.name}: " if len(terms) > 1 else ""
                    times = Counter(sentence for _, sentence in way)
                    yield where + " ".join(f"{sentence}{', twice' * (n > 1)}." for sentence, n in times.items())


def _ways(factors: Sequence[Factor]) -> Iterator[tuple[tuple[float, str], ...]]:
    """Every way to take these factors wrongly: a number for each, and a sentence on it."""
    if not factors:
        yield ()
        return
    factor, *rest = factors
    own: list[tuple[float, str]] = [(value, f"{text[0].upper()}{text[1:]}") for value, text in factor.slips]
    if factor.value != 1:
        own.append((1, f"The factor {written(factor.value)} is missing ({factor.meaning})"))
        own.append((factor.value**2, f"The factor {written(factor.value)} is there twice ({factor.meaning})"))
    for way in own:
        for others in _ways(rest):
            yield (way, *others)


def _missing(terms: Sequence[Product]) -> str:
    names = " and ".join(term.name for term in terms)
    return f"A part is missing: {names}." if terms else ""


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"

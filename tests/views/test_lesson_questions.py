"""The exercises: right answers are right, and wrong ones are told which factor is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasviz.views.lesson.diagnosis import judge, number
from nasviz.views.lesson.exercise import Choice, Exercise, Question
from nasviz.views.lesson.formulas import Conv, Dense, Factor, Product
from nasviz.views.lesson.questions import PREDICTION, QUESTIONS
from nasviz.views.lesson.state import PAGES

ALL = {question.name: question for make in QUESTIONS.values() for question in make()}
ANSWERS = {  # worked out by hand
    "dot": 18, "time": 36.4, "dense": 154_880, "bias": 155_008, "conv1": 121_680, "conv2": 108_900, "rows": 14,
    "groups": 64 * 14 * 14 * 9 * 8, "pool": 6_760, "weights": 128 * (2_880 - 605), "part": 1 / 64 + 1 / 25,
    "pointwise": 13_520, "noted": 1 / 10 + 1 / 9, "together": 210_958, "macs": 4_089_184_256, "roof": 40,
    "relu": 1 / 8, "rate": 100, "channels": 147_456,
}  # fmt: skip


def say(name: str, answer: str) -> str:
    return ALL[name].judge(answer).text


def test_every_page_asks_and_names_are_unique():
    assert set(QUESTIONS) == set(PAGES)
    names = [question.name for make in QUESTIONS.values() for question in make()]
    assert len(names) == len(set(names)) and all(len(make()) >= 3 for make in QUESTIONS.values())
    for question in ALL.values():
        assert question.text and (question.hint or question.name == PREDICTION)


def test_the_right_numbers_are_right():
    numeric = {name: question for name, question in ALL.items() if isinstance(question, Question)}
    assert {name: question.answer for name, question in numeric.items()} == pytest.approx(ANSWERS)
    for name, value in ANSWERS.items():
        verdict = ALL[name].judge(f"{value:.12g}")
        assert verdict.right and verdict.text.startswith("Right: ")
        assert not ALL[name].judge(f"{1.037 * value:.12g}").right


def test_the_right_choices_are_right():
    choices = [question for question in ALL.values() if isinstance(question, Choice)]
    assert len(choices) >= 9
    for question in choices:
        verdicts = {option: question.judge(option) for option in question.options}
        assert [option for option, verdict in verdicts.items() if verdict.right] == [question.right]
        assert len({verdict.text for verdict in verdicts.values()}) == len(question.options) >= 3
        assert question.judge("").text == "Choose one of the answers."


@pytest.mark.parametrize(
    ("name", "answer", "sentence"),
    [
        ("conv1", "60840", "The factor 2 is missing (a multiplication and an addition in each MAC)."),
        ("conv1", "10*26*26*3*3", "The factor 2 is missing"),
        ("conv1", "10 x 28 x 28 x 3 x 3 x 2", "You took the size of the input instead of the output's, twice."),
        ("conv1", "26 x 26 x 3 x 3 x 2", "The factor 10 is missing (output channels, that is kernels)."),
        ("conv1", "10 x 26 x 26 x 2", "The factor 3 is missing (a side of the kernel), twice."),
        ("conv1", "243360", "The factor 2 is there twice"),
        ("conv2", "5x11x11x3x3x2", "The factor 10 is missing (channels that one kernel reads)."),
        ("dense", "605 x 128", "The factor 2 is missing"),
        ("bias", "154880", "A part is missing: biases."),
        ("bias", "605x128 + 128", "The factor 2 is missing"),
        ("groups", "64 x 14 x 14 x 9 x 32", "With groups, a kernel reads only C_in / G channels."),
        ("rows", "28", "The stride of 2 takes every other row."),
        ("rows", "12", "You left out the padding"),
        ("pool", "13x13x2x2", "The factor 10 is missing (channels)."),
        ("pool", "26x26x2x2x10", "You took the size of the input instead of the output's, twice."),
        ("weights", "2880 x 128", "Those are all inputs without the pooling"),
        ("pointwise", "6760", "The factor 2 is missing"),
        ("noted", "0.156", "That is the notes' own."),
        ("part", "1/64 + 1/5", "It is k², not k."),
        ("part", "1/64", "A part is missing: 1 / k²."),
        ("together", "210958 - 6760", "is no number"),
        ("together", "204198", "the first pointwise layer. Or: A part is missing: the pooling."),
        ("macs", "8178368512", "Those are FLOPs: two for each MAC."),
        ("roof", "100", "Or: That is the peak; memory does not deliver so fast."),
        ("relu", "1/4", "Each number is read and the result is written."),
        ("relu", "8", "It is FLOP for each byte, not bytes for each FLOP."),
        ("time", "27472", "You divided the speed by the work"),
        ("time", "0.0364", "The factor 1,000 is missing (milliseconds in a second)."),
        ("channels", "294912", "Half of the kernels are gone, too."),
        ("rate", "25", "You multiplied by the time."),
        ("conv1", "17", "7,158 times too small. Write the product factor by factor"),
        ("conv1", "-3", "is no number"),
        ("conv1", "0", "The number is positive"),
        ("conv1", "many", "'many' is no number; write digits"),
    ],
)
def test_wrong_answers_are_told_why(name, answer, sentence):
    assert sentence in say(name, answer)
    assert not ALL[name].judge(answer).right


@given(st.permutations(range(6)), st.integers(0, 5))
def test_one_missing_factor_is_always_found(order, left_out):
    """Whatever the order in which the factors are written."""
    layer = Conv(28, 3, 10, 5)
    factors = layer.terms[0].factors[:6]  # 2 · 10 · 24 · 24 · 5 · 5, that is without the 3 channels
    whole = Product("FLOPs", factors)
    written = "x".join(str(factors[i].value) for i in order if i != left_out)
    missing = factors[left_out]
    assert f"The factor {missing.value} is missing ({missing.meaning})." in judge(number(written), [whole]).text
    assert judge(number("x".join(str(factors[i].value) for i in order)), [whole]).right


@pytest.mark.parametrize(
    ("text", "value"),
    [("121,680", 121_680), (" 10 x 26 x26*9 · 2", 121_680), ("12168+6760", 18_928), ("1/10 + 1/18", 0.1555555),
     ("1e3", 1000), ("1_000", 1000), ("2.5 × 4", 10), ("6/3/2", 1)],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x", "3 x", "1/0", "__import__('os')", "1e999", "2**9", "(1+2)*3", "π"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match=r"is no (finite )?number"):
        number(text)


def test_an_exercise_by_hand():
    heard = []
    question = Question("q", "605 inputs, 128 outputs: FLOPs?", Dense(605, 128).terms, "two for each <b>MAC</b>")
    exercise = Exercise(question, lambda *answer: heard.append(answer))
    row = exercise.children[1]
    field, (check, hint) = row.children[0], row.children[1].children
    field.value = "605 x 128 <i>"  # the Enter key
    assert "is no number" in exercise.feedback and "<i>" not in exercise.children[2].value
    field.value = "77440"
    assert exercise.feedback.startswith("✗ The factor 2 is missing") and 'role="status"' in exercise.children[2].value
    field.value = "154,880"
    assert exercise.feedback == "✓ Right: 2 · 128 · 605 = 154,880."
    check.click()
    assert [verdict.right for _, verdict in heard] == [False, False, True, True]
    hint.click()
    assert "two for each <b>MAC</b>" in exercise.children[3].value
    hint.click()
    assert exercise.children[3].value == ""


def test_a_choice_waits_for_the_button():
    exercise = Exercise(Choice("c", "Which?", {"a": "No.", "b": "Yes."}, "b"))
    field, (check,) = exercise.children[1].children[0], exercise.children[1].children[1].children
    field.value = "b"
    assert exercise.feedback == ""
    check.click()
    assert exercise.feedback == "✓ Yes."
    with pytest.raises(ValueError, match="right='z' is none of the options a, b"):
        Choice("c", "Which?", {"a": "No.", "b": "Yes."}, "z")


def test_factors_are_written_with_all_digits():
    product = Product("x", (Factor("a", 1_000, ""), Factor("b", 0.25, "")))
    assert (product.numbers, product.symbols) == ("1,000 · 0.25 = 250", "a · b")

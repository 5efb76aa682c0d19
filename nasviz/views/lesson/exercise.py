"""Questions whose answers are checked: a number, or one of several choices."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import ipywidgets as widgets

from nasviz.views.lesson.diagnosis import Verdict, judge, number
from nasviz.views.lesson.formulas import Product


@dataclass(frozen=True)
class Question:
    """What asks for a number.

    Attributes
    ----------
    name : str
        Tells it from all others.
    text : str
        The question, as HTML.
    terms : sequence of Product
        The answer is their sum.
    hint : str
        Shown when it is asked for, as HTML.
    unit : str
        Of the answer.
    tolerance : float
        Relative difference that still counts as right.
    """

    name: str
    text: str
    terms: Sequence[Product]
    hint: str
    unit: str = "FLOPs"
    tolerance: float = 1e-9

    @property
    def answer(self) -> float:
        """The right number."""
        return sum(term.value for term in self.terms)

    def judge(self, text: str) -> Verdict:
        """What is said to an answer that was typed in."""
        try:
            return judge(number(text), self.terms, self.tolerance)
        except ValueError as error:
            return Verdict(False, str(error))


@dataclass(frozen=True)
class Choice:
    """What asks for one of several answers; each has a sentence that is said to it, and `right` is the right one."""

    name: str
    text: str
    options: dict[str, str]
    right: str
    hint: str = ""
    unit: str = field(default="", init=False)

    def __post_init__(self):
        if self.right not in self.options:
            raise ValueError(f"right={self.right!r} is none of the options {', '.join(self.options)}.")

    def judge(self, text: str) -> Verdict:
        """What is said to an answer that was chosen."""
        if text not in self.options:
            return Verdict(False, "Choose one of the answers.")
        return Verdict(text == self.right, self.options[text])


class Exercise(widgets.VBox):
    """A question with a place for the answer, a button that checks it, and one that helps.

    Parameters
    ----------
    question : Question or Choice
        What is asked.
    on_answer : callable, optional
        Called with the question and the verdict on every answer that was checked.

    Examples
    --------
    >>> from nasviz.views.lesson.formulas import Dense
    >>> exercise = Exercise(Question("dense", "605 inputs, 128 outputs: how many FLOPs?", Dense(605, 128).terms, ""))
    >>> exercise.check("605 x 128").text
    'The factor 2 is missing (a multiplication and an addition in each MAC).'
    """

    def __init__(
        self, question: Question | Choice, on_answer: Callable[[Question | Choice, Verdict], None] | None = None
    ):
        self.question, self._on_answer = question, on_answer
        wide = {"description_width": "initial"}
        if isinstance(question, Choice):
            self.field = widgets.RadioButtons(options=list(question.options), value=None, layout={"width": "auto"})
        else:
            self.field = widgets.Text(
                description=f"{question.unit}:" if question.unit else "Answer:",
                placeholder="a number or a product",
                continuous_update=False,
                style=wide,
                layout={"width": "280px"},
            )
        check = widgets.Button(description="Check", tooltip="Check the answer", layout={"width": "auto"})
        hint = widgets.Button(description="Hint", tooltip="Show a hint", layout={"width": "auto"})
        self._feedback, self._hint = widgets.HTML(), widgets.HTML()
        check.on_click(lambda _: self.check(self.field.value or ""))
        hint.on_click(lambda _: self._show_hint())
        if isinstance(question, Question):  # a choice moves with the arrow keys, so it waits for the button
            self.field.observe(self._on_value, "value")
        buttons = widgets.Box([check, *([hint] if question.hint else [])])
        row = widgets.Box([self.field, buttons])
        for box in (buttons, row):
            box.add_class("nasviz-group")
        super().__init__([widgets.HTML(f"<p>{question.text}</p>"), row, self._feedback, self._hint])
        self.add_class("nasviz-exercise")

    def check(self, text: str) -> Verdict:
        """Judge an answer and show what there is to say to it."""
        verdict = self.question.judge(text)
        kind, mark = ("right", "✓") if verdict.right else ("wrong", "✗")
        text = f"{mark} {html.escape(verdict.text)}"
        self._feedback.value = f'<p class="nasviz-verdict nasviz-{kind}" role="status">{text}</p>'
        if self._on_answer is not None:
            self._on_answer(self.question, verdict)
        return verdict

    @property
    def feedback(self) -> str:
        """What the exercise says, as text."""
        inner = self._feedback.value.partition(">")[2].removesuffix("</p>")
        return html.unescape(inner)

    def _on_value(self, change) -> None:
        if change["new"]:  # the Enter key
            self.check(change["new"])

    def _show_hint(self) -> None:
        self._hint.value = "" if self._hint.value else f'<p class="nasviz-hint" role="status">{self.question.hint}</p>'

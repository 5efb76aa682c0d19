"""What can be done with a cycle: the register of actions. The work of each is a function elsewhere.

Such a function has the form (run, cycle, \\*, scratch, report, its own parameters). It gets a run that is open for
writing, the index of a cycle, a folder for what it needs while it works, and a `Report`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

from nasviz.cycles.run import Run
from nasviz.cycles.training import OPTIMISERS


@dataclass(frozen=True)
class Field:
    """A parameter that a form asks for.

    Attributes
    ----------
    name : str
        Of the work's parameter, or ``"training.epochs"`` for one of its `Training` (or `SearchPlan`).
    label : str
        What the form calls it.
    kind : type
        int, float or str.
    choices : tuple of str
        What it can be, if not everything.
    """

    name: str
    label: str
    kind: type = str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Action:
    """Something that can be done with a cycle.

    Attributes
    ----------
    title, help : str
        What a menu says.
    work, check : str
        ``"package.module:function"``: what does it, and what refuses beforehand what cannot go well.
    fields : tuple of Field
        What a form asks for.
    for_viewers : bool
        Whether those may use it who only read: it leaves the run as it is, and the computer free for others.
    output : str
        The work's parameter for the file or folder that it makes; by default that lies in the job's own folder.
    """

    title: str
    help: str
    work: str
    check: str
    fields: tuple[Field, ...] = ()
    for_viewers: bool = False
    output: str = ""

    def function(self) -> Callable[..., Any]:
        """What does the work."""
        return _function(self.work)

    def refuse(self, run: Run, cycle: int | None, **parameters: Any) -> None:
        """Raise what the work would raise, as far as it is quick to know."""
        _function(self.check)(run, cycle, **self.prepared(parameters))

    def defaults(self) -> dict[str, Any]:
        """The work's own parameters that have a default."""
        known = inspect.signature(self.function()).parameters.values()
        return {
            each.name: each.default
            for each in known
            if each.kind is each.KEYWORD_ONLY and each.default is not each.empty and each.name not in _OURS
        }

    def default(self, field: Field) -> Any:
        """What a form shows at first: the work's default, or an empty text."""
        name, _, part = field.name.partition(".")
        value = self.defaults().get(name, "")
        return getattr(value, part) if part else value

    def prepared(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as JSON has them → as the work takes them: a mapping `training` or `plan` changes the default one.

        Raises
        ------
        ValueError
            If a parameter is unknown, or one of its values, or a value is wrong.
        """
        known = set(inspect.signature(self.function()).parameters) - {"run", "cycle", *_OURS}
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no parameter of {self.title!r}; it has {', '.join(sorted(known))}.")
        defaults = {name: value for name, value in self.defaults().items() if is_dataclass(value)}
        return {
            name: _changed(name, defaults[name], value) if name in defaults and isinstance(value, Mapping) else value
            for name, value in parameters.items()
        }


def _changed(name: str, default: Any, values: Mapping[str, Any]) -> Any:
    names = [each.name for each in fields(default)]
    if wrong := sorted(set(values) - set(names)):
        raise ValueError(f"{name}: {wrong[0]!r} is none of its values; they are {', '.join(names)}.")
    return replace(default, **values)


_OURS = ("scratch", "report")
_TASK = Field("task", "Task")
_SEARCH = (
    Field("plan.budget", "Networks to score", int),
    Field("plan.survivors", "Networks to train in a round", int),
    Field("plan.rounds", "Rounds, each from what training confirmed", int),
    Field("plan.explore", "What may change", str, ("topology", "kernels and widths")),
    Field("plan.tolerance", "Score that may be lost", float),
    Field("plan.seed", "Seed of the search", int),
    Field("plan.predictor", "Predictor"),
)
_TRAINING = (
    Field("training.epochs", "Epochs", int),
    Field("training.lr", "Learning rate", float),
    Field("training.batch_size", "Batch size", int),
    Field("training.weight_decay", "Weight decay", float),
    Field("training.optimiser", "Optimiser", str, tuple(OPTIMISERS)),
    Field("training.seed", "Seed", int),
)

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "archive": Action(
            "Get model archive",
            "A zip file of the network: ONNX, weights, a script that loads them, metrics, layers.",
            "nasviz.cycles.model_archive:archive",
            "nasviz.cycles.model_archive:check_archive",
            for_viewers=True,
            output="path",
        ),
        "fine_tune": Action(
            "Fine-tune",
            "Continue to train the network; a new cycle of this run.",
            "nasviz.cycles.generate:fine_tune",
            "nasviz.cycles.checks:check_fine_tune",
            (*_TRAINING, _TASK),
        ),
        "new_job": Action(
            "New job",
            "A new run that starts from this network, with training parameters of yours.",
            "nasviz.cycles.generate:new_job",
            "nasviz.cycles.checks:check_new_job",
            (Field("folder", "Folder of the new run"), *_TRAINING, _TASK),
        ),
        "edge_build": Action(
            "Edge build",
            "Search for a small and fast network that predicts nearly as well; new cycles of this run.",
            "nasviz.cycles.searching:edge_build",
            "nasviz.cycles.searching_checks:check_search",
            (*_SEARCH, *_TRAINING, _TASK),
        ),
        "search_job": Action(
            "New job with search",
            "A new run: from this network on, a search for better ones, the best of which are trained.",
            "nasviz.cycles.searching:search_job",
            "nasviz.cycles.searching_checks:check_search_job",
            (
                Field("folder", "Folder of the new run"),
                Field("plan.goal", "Goal", str, ("balanced", "performance", "edge")),
                *_SEARCH,
                *_TRAINING,
                _TASK,
            ),
        ),
    }
)
"""By name. Another action is one more entry."""


def get_action(name: str) -> Action:
    """The action of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in ACTIONS:
        raise ValueError(f"action={name!r}: known are {', '.join(ACTIONS)}.")
    return ACTIONS[name]


def _function(spec: str) -> Callable[..., Any]:
    module, _, name = spec.partition(":")
    return getattr(import_module(module), name)

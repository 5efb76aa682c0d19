"""One instance of a plug-in under guard: whatever it does wrong becomes one sentence, and nothing else stops."""

import io
import numbers
import pickle
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from nasviz.cycles.global_state import GlobalState
from nasviz.cycles.performance_load import load_plugin

LONGEST_REASON = 300  # characters of another's error message in a sentence of ours

JOB_START = "job start"
"""Stands for the phase in a sentence about a plug-in that failed before the first phase."""


class PluginFault(Exception):
    """What a plug-in did wrong; as text one sentence with the method, the phase and the batch (counted from 0)."""

    def __init__(self, label: str, method: str, phase: str, batch: int, problem: str) -> None:
        super().__init__(label, method, phase, batch, problem)  # all of it, so that it can be pickled
        self.label, self.method, self.phase, self.batch, self.problem = label, method, phase, batch, problem

    def __str__(self) -> str:
        before = self.method == "__init__" or self.phase == JOB_START
        when = "" if self.method == "update" else "before " if before else "after "
        return f"{self.label}: {self.method}() in phase {self.phase!r}, {when}batch {self.batch}, {self.problem}."


class Guard:
    """An instance of a plug-in in one phase of one process.

    Parameters
    ----------
    plugin : str or type
        See `nasviz.cycles.performance_load.load_plugin`.
    label, phase : str
        How sentences call the plug-in and the phase.
    folder : Path
        The instance's scratch folder; made here.
    batch : int
        The first batch that the instance will see.

    Raises
    ------
    PluginFault
        From this and from every method, if the plug-in raises or breaks its contract.
    """

    def __init__(self, plugin: str | type, label: str, phase: str, folder: Path, batch: int) -> None:
        self._label, self._phase, self._folder = label, phase, folder
        folder.mkdir(parents=True)
        try:
            self._class = load_plugin(plugin)  # may fail in a worker that lacks what the main process has
        except (ValueError, OSError) as error:
            raise self._fault("__init__", batch, f"cannot be called: {_reason(error)}") from error
        self._instance = self._call("__init__", batch, self._class, str(folder))

    def check_can_be_sent(self) -> None:
        """A class that is not importable travels to the workers pickled; better to know before the first batch."""
        try:
            pack(self._class)
        except Exception as error:
            raise self._fault("__init__", 0, f"cannot be sent to a worker ({_reason(error)})") from error

    def update(
        self, data: Any, tensor_values: Mapping[str, Any], batch: int, collect: Collection[str]
    ) -> dict[str, Any]:
        """Count a batch; a copy of those values among `collect` that the plug-in overrides or adds."""
        answer = self._call("update", batch, self._instance.update, data, tensor_values)
        if answer is None:
            return {}
        if not isinstance(answer, Mapping) or not all(isinstance(key, str) for key in answer):
            raise self._fault("update", batch, f"returned {_kind(answer)} where a dictionary by name or None is due")
        parcel = self._packed("update", batch, {key: answer[key] for key in answer if key in collect})
        return self.unpacked("update", batch, parcel)

    def results(self, batch: int) -> Any:
        """The worker's results, asked for twice; names of files in the folder are made absolute."""
        return self._twice(batch)[0]

    def packed_results(self, batch: int) -> bytes:
        """The worker's results, pickled for the main process."""
        return self._twice(batch)[1]

    def _twice(self, batch: int) -> tuple[Any, bytes]:
        method, answers = "get_worker_results", []
        for _ in range(2):
            # Pickled at once, because the second call may change the object that the first one returned.
            answer = _with_whole_paths(self._call(method, batch, self._instance.get_worker_results), self._folder)
            answers.append(self._packed(method, batch, answer))
        first = self.unpacked(method, batch, answers[0])
        if answers[0] != answers[1] and not _equal(first, self.unpacked(method, batch, answers[1])):
            raise self._fault(method, batch, "answered differently when it was called twice in a row")
        return first, answers[0]

    def reduce(self, results: Sequence[Any], batch: int) -> Any:
        """The plug-in's own answer; see `names` and `scalars`."""
        method = "reduce_all_worker_results"
        answer = self._call(method, batch, self._instance.reduce_all_worker_results, list(results))
        if not isinstance(answer, Mapping) or not all(isinstance(key, str) for key in answer):
            raise self._fault(
                method, batch, f"returned {_kind(answer)} where a dictionary from names to scalars is due"
            )
        return answer

    def names(self, answer: Mapping[str, Any], batch: int) -> tuple[str, ...]:
        """The metrics that the plug-in named."""
        if not answer:
            raise self._fault("reduce_all_worker_results", batch, "named no metric when it was given an empty list")
        return tuple(answer)

    def scalars(
        self, answer: Mapping[str, Any], names: Sequence[str], batch: int
    ) -> tuple[dict[str, float | None], PluginFault | None]:
        """A value or None for each of `names`, and what was wrong with the others."""
        values: dict[str, float | None] = dict.fromkeys(names)
        problems = []
        new, gone = [key for key in answer if key not in values], [key for key in names if key not in answer]
        if new or gone:
            changes = [
                f"{word} {', '.join(map(repr, keys))}" for word, keys in [("new", new), ("missing", gone)] if keys
            ]
            problems.append(f"returned other keys than before ({'; '.join(changes)})")
        for name in names:
            value = answer.get(name)
            if value is None:
                continue
            number = _number(value)
            if number is None:
                problems.append(f"returned {_kind(value)} as {name!r}, which is no scalar")
            elif not abs(number) <= sys.float_info.max:  # NaN, infinite, or an integer beyond every float
                problems.append(f"returned {number} as {name!r}, where None says that there is no value")
            else:
                values[name] = number
        fault = None
        if problems:
            text = " and ".join(problems) + "; what is named here is left out or None"
            fault = PluginFault(self._label, "reduce_all_worker_results", self._phase, batch, text)
        return values, fault

    def unpacked(self, method: str, batch: int, parcel: bytes) -> Any:
        """Read what an instance of the plug-in has pickled in a worker."""
        try:
            return pickle.Unpickler(io.BytesIO(parcel)).load()  # noqa: S301 - `pack` made it, in this very job
        except Exception as error:
            raise self._fault(method, batch, f"returned what cannot be read back ({_reason(error)})") from error

    def _packed(self, method: str, batch: int, answer: Any) -> bytes:
        try:
            return pack(answer)
        except Exception as error:
            raise self._fault(method, batch, f"returned what cannot be pickled ({_reason(error)})") from error

    def _call(self, method: str, batch: int, function: Any, *arguments: Any) -> Any:
        state = GlobalState(self._class)  # anew for each call: another plug-in may have changed what this one reads
        try:
            answer = function(*arguments)
        except (Exception, SystemExit) as error:  # the plug-in is the user's code
            raise self._fault(method, batch, f"raised {_reason(error)}") from error
        changed = state.changed()
        if changed:
            raise self._fault(
                method, batch, f"changed what belongs to no instance ({', '.join(changed)}); use self for state"
            )
        return answer

    def _fault(self, method: str, batch: int, problem: str) -> PluginFault:
        return PluginFault(self._label, method, self._phase, batch, f"{problem}; its metrics have no value here")


def pack(value: Any) -> bytes:
    """Pickle; also classes of a notebook, which are not importable elsewhere."""
    return cloudpickle.dumps(value)


def _with_whole_paths(answer: Any, folder: Path) -> Any:
    """The same answer, with names of files in `folder` made absolute, since the reducing instance has another one."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    def whole(value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(map(whole, value))
        if type(value) is dict:
            return {key: whole(item) for key, item in value.items()}
        if isinstance(value, Path) and value.as_posix() in files:
            return folder / value
        return str(folder / value) if isinstance(value, str) and value in files else value

    return whole(answer) if files else answer


def _equal(first: Any, second: Any) -> bool:
    try:
        np.testing.assert_equal(first, second)  # nested containers, arrays, NaN
    except Exception:  # noqa: BLE001 - objects may compare in their own way
        return False
    return True


def _number(value: Any) -> float | int | None:
    """The scalar as Python's own number; None if it is no real scalar."""
    if type(value).__module__ == "torch":  # a tensor, without importing torch for it
        value = value.item() if getattr(value, "ndim", None) == 0 else None
    elif isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.ndim == 0 else None
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else None


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, np.ndarray) else ""
    return f"a value of type {type(value).__name__}{shape}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if len(text) > LONGEST_REASON:
        text = text[:LONGEST_REASON] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

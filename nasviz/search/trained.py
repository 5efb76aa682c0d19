"""Search with training in the loop: a predictor proposes networks, training decides which of them go on.

Whoever asks a predictor about thousands of networks and takes the highest answer finds the predictor's errors. So each
round begins at networks whose accuracy was measured, the best proposals are trained, the predictor learns from them,
and only what training confirmed has children.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasviz.search.goals import Cost, Goal, Judge, Limits, Scored
from nasviz.search.hunt import Predictor, Report, Result, predictor_scorer, search
from nasviz.search.spaces import Space

K = 10
"""Networks that have children within a round."""
ALIKE = 0.005
"""Two networks whose FLOPs and parameters differ by less than this share are most often one network in other words."""


@dataclass
class Trained:
    """A network that was trained.

    Attributes
    ----------
    scored : Scored
        The network, its cost, and what was predicted of it in the round that chose it; of a start, in the first.
    parent : str
        Key of the trained network that it comes from; empty for a start.
    round, place : int
        In which round it was chosen, from 1, and as which, from 0; a start has round 0.
    accuracies : list of float
        One a training.
    """

    scored: Scored
    parent: str = ""
    round: int = 0
    place: int = 0
    accuracies: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Of its accuracies."""
        return float(np.mean(self.accuracies))


Train = Callable[[Trained, int], float]
"""Trains a network with new weights; the number of the training, from 0, makes the seed. Gives the accuracy."""


def trained_search(
    space: Space,
    predictor: Predictor,
    train: Train,
    *,
    starts: Sequence[Any],
    rounds: int = 6,
    survivors: int = 8,
    repeats: int = 1,
    parents: int = 4,
    steps: int = 2,
    budget: int = 3000,
    caution: float = 0.0,
    slack: float = 0.02,
    goal: Goal | str = Goal.balanced,
    tolerance: float = 0.0,
    limits: Limits | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    report: Report | None = None,
) -> list[Trained]:
    """Propose, train, learn, and begin anew at what training confirmed.

    Parameters
    ----------
    space : Space
        What there is.
    predictor : Predictor
        Proposes. One that has `learn` or `fine_tune` learns from the trained networks, from the second round on.
    train : callable
        Trains. A search that is started again calls it with the same networks in the same order, so one that remembers
        what it gave makes the search go on where it was.
    starts : sequence
        Candidates to begin with.
    rounds : int
        How often.
    survivors : int
        Networks trained in each round.
    repeats : int
        Trainings of a network before it counts as confirmed: one is a lucky one too often. What leads is trained again
        until all that go on were trained so often.
    parents : int
        Confirmed networks that a round begins at.
    steps : int
        Mutations between those and the farthest children of the round.
    budget : int
        Networks about which the predictor is asked, in all rounds together.
    caution : float
        See `predictor_scorer`.
    slack : float
        By how much more than the tolerance a prediction may be below the best parent's: it errs by about as much, and
        training decides. With none, what is proposed is the parent in other words.
    goal, tolerance, limits
        See `search`. What was trained is judged by them too, with the measured accuracy as its score.
    seed : int
        Of all that is random but the trainings.
    folder : path, optional
        For a log of each round's search.
    report : callable, optional
        Told (fraction, message) while the predictor is asked.

    Returns
    -------
    list of Trained
        The confirmed ones by the goal, best first; then the others in the order of training.

    Raises
    ------
    ValueError
        If a number is not a whole one from 1 on, or no network keeps the limits.
    """
    counts = {"budget": budget, "survivors": survivors, "rounds": rounds, "repeats": repeats}
    for name, value in (counts | {"parents": parents, "steps": steps}).items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: it is a whole number from 1 on.")
    goal, limits = Goal(goal), limits or Limits()
    first = [_start(space, start, limits) for start in starts]
    pool = {each.scored.key: each for each in first}
    for each in first:
        _again(each, train, repeats)
    judge = Judge.from_starts(goal, [_measured(each) for each in first], tolerance)
    children = -(-budget // (rounds * steps))
    for number in range(1, rounds + 1):
        leaders = _best(pool, judge, parents)
        model = predictor if number == 1 else _learned(predictor, pool, space)
        result = search(
            space, predictor_scorer(model, space, caution=caution), starts=[each.scored.candidate for each in leaders],
            budget=-(-budget // rounds), seed=seed + 1000 * (number - 1), goal=goal, tolerance=tolerance + slack,
            limits=limits, settings={"iterations": steps, "k": K, "children": children}, keep=budget,
            log=Path(folder) / f"round-{number}.jsonl" if folder else None,
            report=report and (lambda done, text, before=number - 1: report((before + done) / rounds, text)),
        )  # fmt: skip
        if number == 1:
            for each, said in zip(leaders, result.scored, strict=False):
                each.scored.score = said.score
        for each in _chosen(result, pool, survivors, number):
            pool[each.scored.key] = each
            _again(each, train, 1)
        if len(pool) == len(first):
            raise ValueError("the search found no network that keeps the limits; allow more, or give a larger budget.")
        while doubtful := [each for each in _best(pool, judge, parents) if len(each.accuracies) < repeats]:
            for each in doubtful:
                _again(each, train, len(each.accuracies) + 1)
    confirmed = {key: each for key, each in pool.items() if len(each.accuracies) >= repeats}
    ranked = _best(confirmed, judge, len(confirmed))
    return ranked + [each for key, each in pool.items() if key not in {one.scored.key for one in ranked}]


def _start(space: Space, candidate: Any, limits: Limits) -> Trained:
    cost = Cost.of(space.graph(candidate))
    return Trained(Scored(candidate, space.key(candidate), np.nan, cost, excess=limits.excess(cost)))


def _again(each: Trained, train: Train, times: int) -> None:
    while len(each.accuracies) < times:
        each.accuracies.append(float(train(each, len(each.accuracies))))


def _chosen(result: Result, pool: Mapping[str, Trained], survivors: int, number: int) -> list[Trained]:
    """The best that were not trained yet, each with the trained network that it comes from.

    First those that the goal asks for and that differ in cost from the others and from what was trained.
    """
    wanted, alike, rest = [], [], []
    costs = np.array([_logs(each) for each in [*(each.scored for each in pool.values()), *result.best]])
    for position, each in enumerate(result.best, len(pool)):
        if each.key not in pool:
            far = np.abs(costs[:position] - costs[position]).max(axis=1) > ALIKE
            (rest if not result.judge.wants(each) else wanted if far.all() else alike).append(each)
    best = [*result.judge.best(wanted, survivors), *alike, *rest]
    from_whom = {each.key: each.parent for each in result.scored}
    chosen = []
    for each in best[:survivors]:
        parent = each.parent
        while parent not in pool:
            parent = from_whom[parent]
        chosen.append(Trained(each, parent, number, len(chosen)))
    return chosen


def _logs(each: Scored) -> tuple[float, float]:
    return np.log(max(each.cost.flops, 1)), np.log(max(each.cost.params, 1))


def _best(pool: Mapping[str, Trained], judge: Judge, k: int) -> list[Trained]:
    return [pool[each.key] for each in judge.best([_measured(each, judge) for each in pool.values()], k)]


def _measured(each: Trained, judge: Judge | None = None) -> Scored:
    """The network with its measured accuracy as its score."""
    scored = replace(each.scored, score=each.mean)
    if judge is not None:
        scored.value = judge.value(scored)
    return scored


def _learned(predictor: Predictor, pool: Mapping[str, Trained], space: Space) -> Predictor:
    """The predictor with what training has shown, if that is a fraction and so may be an accuracy."""
    known = list(pool.values())
    graphs = [space.graph(each.scored.candidate) for each in known]
    accuracy = np.array([each.mean for each in known])
    if not ((accuracy >= 0) & (accuracy <= 1)).all():
        return predictor
    if hasattr(predictor, "learn"):
        # Relative to the first network, so that a longer or shorter training than the predictor's is no difference.
        shift = predictor.score(graphs[:1])["accuracy"].iloc[0] - accuracy[0]
        return predictor.learn(graphs, accuracy + shift, [len(each.accuracies) for each in known])
    if hasattr(predictor, "fine_tune") and len(graphs) >= 5 and np.ptp(accuracy) > 0:
        return predictor.fine_tune(graphs, accuracy)
    return predictor

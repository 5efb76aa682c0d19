"""Two networks, layer by layer: what was added, removed, changed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nasviz.graph.graph import ComputeGraph, Node

RULE = (
    "Layers are matched by name: the module's dotted name with the operator, the n-th call with the n-th; then, of "
    "what is left over, the same name with another operator. A matched layer is changed if its operator, shapes, "
    "parameters or attributes are not the same, or if it reads other matched layers."
)
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
SIGNS = {ADDED: "+", REMOVED: "−", CHANGED: "≠"}
FIELDS = {
    "op": "operator",
    "in_shape": "input shape",
    "out_shape": "output shape",
    "kernel": "kernel",
    "stride": "stride",
    "groups": "groups",
    "bias": "bias",
    "params": "parameters",
    "size_bytes": "bytes",
}


@dataclass(frozen=True)
class Differences:
    """How one network differs from another.

    Attributes
    ----------
    marks : list of str
        For each node ``"added"``, ``"removed"``, ``"changed"`` or nothing.
    reasons : list of tuple of str
        For each changed node what is not the same.
    """

    marks: list[str]
    reasons: list[tuple[str, ...]]

    @property
    def counts(self) -> Counter[str]:
        """How many nodes bear each mark."""
        return Counter(filter(None, self.marks))


def differences(before: ComputeGraph, after: ComputeGraph) -> tuple[Differences, Differences]:
    """Mark what `after` has more, less, or different; `RULE` says how layers are matched.

    Returns
    -------
    Differences, Differences
        Of the nodes of `before`, which are removed or changed, and of those of `after`, which are added or changed.
    """
    pairs = match(before.nodes, after.nodes)
    back = {b: a for a, b in pairs.items()}
    reads = _nearest(before, set(pairs)), _nearest(after, set(back))
    reasons = {}
    for a, b in pairs.items():
        reason = _changes(before.nodes[a], after.nodes[b])
        if {pairs[source] for source in reads[0][a]} != reads[1][b]:
            reason.append("reads other layers")
        if reason:
            reasons[a] = tuple(reason)
    marks = [REMOVED if a not in pairs else CHANGED if a in reasons else "" for a in range(len(before))]
    other = [ADDED if b not in back else CHANGED if back[b] in reasons else "" for b in range(len(after))]
    return (
        Differences(marks, [reasons.get(a, ()) for a in range(len(before))]),
        Differences(other, [reasons.get(back.get(b, -1), ()) for b in range(len(after))]),
    )


def match(before: Sequence[Node], after: Sequence[Node]) -> dict[int, int]:
    """Which node of `after` is which of `before`, by `RULE`; those without a partner are left out."""
    pairs = _by_key([(node.layer, node.op) for node in before], [(node.layer, node.op) for node in after])
    left = [a for a in range(len(before)) if a not in pairs and before[a].layer]
    right = [b for b in range(len(after)) if after[b].layer]
    right = [b for b in right if b not in set(pairs.values())]
    rest = _by_key([before[a].layer for a in left], [after[b].layer for b in right])
    return pairs | {left[a]: right[b] for a, b in rest.items()}


def _by_key(before: Sequence, after: Sequence) -> dict[int, int]:
    """Equal entries, the n-th with the n-th."""
    places: dict = {}
    for b, key in enumerate(after):
        places.setdefault(key, []).append(b)
    queues = {key: iter(indices) for key, indices in places.items()}
    found = ((a, next(queues.get(key, iter(())), None)) for a, key in enumerate(before))
    return {a: b for a, b in found if b is not None}


def _nearest(graph: ComputeGraph, matched: set[int]) -> list[set[int]]:
    """The matched nodes that each node reads, looking through those without a partner."""
    reads: list[set[int]] = []
    for sources in graph.predecessors():
        reads.append({found for s in sources for found in ({s} if s in matched else reads[s])})
    return reads


def _changes(one: Node, two: Node) -> list[str]:
    found = [text for name, text in FIELDS.items() if getattr(one, name) != getattr(two, name)]
    a, b = dict(one.attrs), dict(two.attrs)
    missing = object()
    return found + [name for name in sorted(a.keys() | b.keys()) if a.get(name, missing) != b.get(name, missing)]

"""What a layer is called: one operator in one module."""

from collections.abc import Iterable

from nasviz.graph.ops import Op

Key = tuple[str, Op]
"""Dotted name of a module, and an operator that it runs itself."""


def layer_names(groups: Iterable[Key]) -> dict[Key, str]:
    """A name for each operator of each module: the module's alone where it runs one operator."""
    groups = list(groups)
    operators: dict[str, int] = {}
    for layer, _ in groups:
        operators[layer] = operators.get(layer, 0) + 1
    names = {group: group[0] for group in groups if operators[group[0]] == 1 and group[0]}
    taken = set(names.values())
    for layer, op in groups:
        if (layer, op) not in names:
            name = f"{layer}.{op.value}".lstrip(".")
            while name in taken:  # a module of that name is there, too
                name += "_"
            names[layer, op] = name
            taken.add(name)
    return names

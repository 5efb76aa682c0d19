"""All that is known of one box, as a table: shapes, attributes, cost with its formula, neighbours."""

import html
from collections.abc import Sequence
from math import prod

from nasviz.graph.cost import is_counted, macs, other
from nasviz.graph.replay import spelled
from nasviz.views.explorer_data import COUNTED, ELEMENT, Network, quantities
from nasviz.views.explorer_scene import WHICH
from nasviz.views.explorer_text import macs_formula, other_formula, params_formula, times, word
from nasviz.views.explorer_tree import Part
from nasviz.views.theme import percent, si

NAMES_SHOWN = 6


def details(networks: Sequence[Network], box: str) -> str:
    """The box with this id as HTML: a table with a column for each network that has it.

    Parameters
    ----------
    networks : sequence of Network
        One or two.
    box : str
        The id of a box.

    Returns
    -------
    str
        A sentence where no network has it.
    """
    columns = [facts(network, network.tree.parts[box]) if box in network.tree.parts else {} for network in networks]
    if not any(columns):
        return '<p class="nasviz-hint">Choose a box: click on it, or go there with Tab and the arrow keys.</p>'
    labels = dict.fromkeys(label for column in columns for label in column)
    rows = []
    for label in labels:
        texts = [column.get(label, "–") for column in columns]
        mark = ' class="chosen"' if len(set(texts)) > 1 else ""
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
        rows.append(f'<tr{mark}><th scope="row">{html.escape(label)}</th>{cells}</tr>')
    head = ""
    if len(networks) > 1:
        cells = "".join(f'<th scope="col">{which}</th>' for which in WHICH)
        head = f"<thead><tr><td></td>{cells}</tr></thead>"
    title = html.escape(box.lstrip(":"))
    return (
        f'<div class="nasviz-block nasviz-details"><p class="nasviz-caption">{title}</p>'
        f'<div class="nasviz-table" tabindex="0" role="region" aria-label="{title}"><table>{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def facts(network: Network, part: Part) -> dict[str, str]:
    """What is known of a box, by label."""
    result = _module(network, part) if part.parts else _operator(network, part)
    for name, quantity in quantities([network]).items():
        if name not in COUNTED:
            result[quantity.label] = quantity.short(network.value(part, name))
    reads, makes = network.tensors(part)
    tree = network.tree
    result["reads"] = _names([tree.leaf(node) for node in sorted(reads)])
    inside = set(part.nodes)
    readers = sorted({reader for node in makes for reader in tree.readers[node]} - inside)
    result["is read by"] = _names([tree.leaf(node) for node in readers])
    if network.differences is not None:
        marks = [(network.differences.marks[node], network.differences.reasons[node]) for node in part.nodes]
        reasons = dict.fromkeys(reason for mark, because in marks if mark == "changed" for reason in because)
        tally = network.tally(part)
        text = network.mark(part) or "the same"
        result["compared"] = text + (f" ({tally})" if tally else "") + (f": {', '.join(reasons)}" if reasons else "")
    return result


def _operator(network: Network, part: Part) -> dict[str, str]:
    graph = network.graph
    node, extras = graph.nodes[part.operator], [n for n in part.nodes if n != part.operator]
    total = network.metrics["macs"].sum()
    result = {
        "operator": f"{word(node)} ({node.op.value})",
        "layer": node.layer or "(the network itself)",
        "input shape": times(node.in_shape) or "–",
        "output shape": times(node.out_shape) or "–",
    }
    if node.kernel:
        result |= {"kernel": times(node.kernel), "stride": times(node.stride)}
    if node.weight_shape:
        result |= {"groups": str(node.groups), "bias": "yes" if node.bias else "no"}
    for name, value in node.attrs:
        shown = times if isinstance(value, tuple) else str
        result[name] = spelled(value) if name == "call" else shown(value)
    result["parameters"] = params_formula(node)
    formula = macs_formula(node)
    if formula:
        result |= {"MACs": formula.numbers, "that is": formula.words}
        result["share of all MACs"] = percent(macs(node) / total)
    elif macs(node):
        result["MACs"] = si(macs(node), "MACs")
    counted = is_counted(node)
    if counted and (formula := other_formula(node)):
        result["other operations"] = f"{formula.numbers} ({formula.words})"
    result["FLOPs"] = f"2 · MACs + other = {si(2 * macs(node) + other(node), 'FLOPs')}" if counted else "not known"
    size = prod(node.out_shape)
    result["activations"] = f"{size:,} elements, {si(ELEMENT * size)}B as float32"
    for n in extras:
        extra = graph.nodes[n]
        text = [extra.layer or extra.op.value, si(other(extra), "operations")]
        text += [f"{extra.params:,} parameters"] if extra.params else []
        result[f"with it: {word(extra)}"] = ", ".join(text)
    return result


def _module(network: Network, part: Part) -> dict[str, str]:
    operators = [each for each in part if not each.parts]
    total = network.metrics["macs"].sum()
    cost = network.value(part, "macs")
    shapes = {times(network.graph.nodes[s].out_shape): None for s in sorted(network.tensors(part)[0])}
    result = {
        "holds": f"{len(operators):,} operators, {len(part.nodes):,} nodes of the graph",
        "input shape": ", ".join(shapes) or "–",
        "output shape": times(network.graph.nodes[network.result(part)].out_shape) or "–",
        "parameters": f"{network.value(part, 'parameters'):,.0f}",
        "MACs": si(cost, "MACs"),
        "share of all MACs": percent(cost / total) if total else "–",
        "FLOPs": si(network.value(part, "flops"), "FLOPs"),
        "activations": f"{si(network.value(part, 'activation_bytes'))}B as float32, of all nodes inside",
    }
    if part.repeats > 1:
        result["repeats"] = f"{part.repeats} equal in a row, {si(cost / part.repeats, 'MACs')} each"
    return result


def _names(parts: Sequence[Part]) -> str:
    names = [part.id.lstrip(":") for part in parts]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more or "–"

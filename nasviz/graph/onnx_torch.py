"""What torch's exporters write beside the graph: names of modules and parameters, and the call behind each node.

The exporter of torch 2.5 and later (`dynamo=True`) notes for every node the call that it was made for; so nodes of one
call are one operator again, and parameters that its optimiser folded, merged or left out are known by their names.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasviz.graph.onnx_values import Call

if TYPE_CHECKING:
    import onnx

_SIGNATURE = re.compile(r"^(\w+): (PARAMETER|BUFFER) target='([^']*)'", re.MULTILINE)
_CALL = re.compile(r"^%(\S+) : .*\[target=torch\.ops\.aten\.(\w+)\.\w+\]\(args = \((.*)\), kwargs = ", re.DOTALL)
_NAME = re.compile(r"%(\w+)")


@dataclass(frozen=True)
class Origin:
    """The torch call that a node was made for.

    Attributes
    ----------
    name : str
        The call's own name, one for each call of the network.
    function : str
        The function, as in "linear" or "conv2d".
    args : tuple of str
        Its arguments, as written: "%x", "None", "[1, 1]".
    parameters : dict
        Dotted names of the parameters among the arguments, by the argument's position and the order within it.
    """

    name: str
    function: str
    args: tuple[str, ...]
    parameters: dict[tuple[int, int], str]


class Signature:
    """The parameters of an exported module, and the calls behind its nodes.

    Attributes
    ----------
    parameters : dict
        Dotted names by the names that calls use; empty where another tool wrote the file.
    buffers : list of str
        Dotted names of the module's other tensors.
    """

    def __init__(self, model: "onnx.ModelProto"):
        text = next((p.value for p in model.graph.metadata_props if p.key.endswith(".graph_signature")), "")
        entries = _SIGNATURE.findall(text)
        self.parameters: dict[str, str] = {name: target for name, kind, target in entries if kind == "PARAMETER"}
        self.buffers = [target for _, kind, target in entries if kind == "BUFFER"]
        self.known = bool(text)
        self._origins: dict[str, Origin | None] = {}

    def origin(self, call: Call) -> Origin | None:
        """The call that a node was made for; None if the file does not say."""
        text = call.notes.get("pkg.torch.onnx.fx_node", "") if self.known else ""
        if text not in self._origins:
            self._origins[text] = self._parsed(text)
        return self._origins[text]

    def _parsed(self, text: str) -> Origin | None:
        match = _CALL.match(text)
        if match is None:
            return None
        name, function, listed = match.groups()
        args = tuple(_arguments(listed))
        parameters = {
            (position, order): self.parameters[used]
            for position, arg in enumerate(args)
            for order, used in enumerate(_NAME.findall(arg))
            if used in self.parameters
        }
        return Origin(name, function.removeprefix("_").rstrip("_"), args, parameters)


def _arguments(text: str) -> list[str]:
    """The arguments of a call, split at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def owner(name: str) -> str:
    """The module that a parameter or buffer belongs to."""
    return name.rpartition(".")[0]


def layer(call: Call) -> str:
    """Dotted name of the module that makes the call, as far as its exporter tells.

    torch writes the modules' names down, or into the name of the node; TensorFlow gives paths; elsewhere the name of a
    weight tells, or else the node's own.
    """
    scopes = re.findall(r"'([^']*)'", call.notes.get("pkg.torch.onnx.name_scopes", ""))
    if len(scopes) > 1:
        return scopes[-2]
    name = call.node.name
    if "/" in name:
        parts, previous = [], ""
        for part in name.strip("/").split("/")[:-1]:
            nested = bool(previous) and part.startswith(previous + ".")  # torch's older exporter: features/features.0
            if part != "StatefulPartitionedCall":  # TensorFlow's wrapper of everything
                parts.append(part[len(previous) + 1 :] if nested else part)
            previous = part
        return ".".join(parts)
    weights = [root for value in call.inputs if value is not None for root in value.roots]
    named = next((root for root in weights if "." in root), "")
    return owner(named) if named else name

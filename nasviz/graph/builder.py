"""`GraphBuilder`: writes a `ComputeGraph` down operator by operator, without running or even importing torch.

It makes the same nodes as tracing the module that `nasviz.graph.build.to_module` makes of them; that is how a family
describes its networks once and gets both the graph (in milliseconds) and the module.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nasviz.graph.graph import ComputeGraph, Node, shared_node
from nasviz.graph.ops import Op

BYTES = 4  # of a float32 parameter

Pair = int | tuple[int, ...]


class GraphBuilder:
    """Builds a graph of an image network; every method adds one node and returns its index.

    Parameters
    ----------
    name : str
        Name of the graph.

    Examples
    --------
    >>> g = GraphBuilder("tiny")
    >>> x = g.input((1, 3, 32, 32))
    >>> with g.scope("stem"):
    ...     x = g.relu(g.batch_norm(g.conv(x, 16, 3, name="conv"), name="bn"), name="relu")
    >>> g.graph(x)
    <ComputeGraph 'tiny': 4 nodes, 3 edges, 464 parameters>
    """

    def __init__(self, name: str = ""):
        self.name = name
        self._nodes: list[Node] = []
        self._edges: list[tuple[int, int]] = []
        self._prefix = ""

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the layer names of the block with `name` and a dot."""
        outer, self._prefix = self._prefix, f"{self._prefix}{name}."
        try:
            yield
        finally:
            self._prefix = outer

    def graph(self, *outputs: int) -> ComputeGraph:
        """The graph built so far, returning the results of the nodes `outputs`."""
        return ComputeGraph(self._nodes, self._edges, outputs, self.name)

    def shape(self, x: int) -> tuple[int, ...]:
        """Shape of the result of node `x`."""
        return self._nodes[x].out_shape

    def channels(self, x: int) -> int:
        """Channels of the result of node `x`."""
        return self._nodes[x].out_shape[1]

    def input(self, shape: Sequence[int]) -> int:
        """The network's input, of shape (N, C, H, W)."""
        self._nodes.append(shared_node(Op.INPUT, "", (), tuple(shape)))
        return len(self._nodes) - 1

    def _add(self, op, name, inputs, out_shape, kernel=(), stride=(), groups=1, bias=False, params=0, attrs=()) -> int:
        layer, index = self._prefix + name, len(self._nodes)
        in_shape = self._nodes[inputs[0]].out_shape
        node = shared_node(op, layer, in_shape, out_shape, kernel, stride, groups, bias, params, BYTES * params, attrs)
        self._nodes.append(node)
        self._edges.extend((source, index) for source in inputs)
        return index

    def conv(
        self,
        x: int,
        channels: int,
        kernel: Pair,
        *,
        stride: Pair = 1,
        padding: Pair | None = None,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = False,
        name: str,
    ) -> int:
        """2-D convolution to `channels`; `padding` defaults to "same" for an odd kernel at stride 1."""
        kernel, stride, dilation = _pair(kernel), _pair(stride), _pair(dilation)
        if padding is None:
            padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        padding = _pair(padding)
        batch, depth, *size = self.shape(x)
        size = [
            (s + 2 * p - d * (k - 1) - 1) // t + 1
            for s, k, t, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
        params = channels * (depth // groups) * kernel[0] * kernel[1] + channels * bias
        attrs = (("dilation", dilation), ("padding", padding))
        return self._add(Op.CONV, name, (x,), (batch, channels, *size), kernel, stride, groups, bias, params, attrs)

    def batch_norm(self, x: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True, name: str) -> int:
        """Batch normalisation over the channels; `momentum` in PyTorch's sense."""
        attrs = (("eps", eps), ("momentum", momentum))
        params = 2 * self.channels(x) * affine
        return self._add(Op.BATCH_NORM, name, (x,), self.shape(x), bias=affine, params=params, attrs=attrs)

    def relu(self, x: int, *, name: str) -> int:
        """Rectified linear unit, not in place."""
        return self.unary(Op.RELU, x, name=name)

    def unary(self, op: Op, x: int, *, name: str) -> int:
        """An operator without parameters that keeps the shape: an activation or `Op.ZERO`."""
        return self._add(op, name, (x,), self.shape(x))

    def max_pool(self, x: int, kernel: Pair, *, stride: Pair, padding: Pair = 0, name: str) -> int:
        """Maximum pooling; padding never wins."""
        return self._pool(Op.MAX_POOL, x, kernel, stride, padding, (("dilation", (1, 1)),), name)

    def avg_pool(
        self,
        x: int,
        kernel: Pair,
        *,
        stride: Pair,
        padding: Pair = 0,
        count_padding: bool = False,
        ceil_mode: bool = False,
        name: str,
    ) -> int:
        """Average pooling; `count_padding` says whether padded zeros enter the mean."""
        attrs = (("count_padding", count_padding),)
        return self._pool(Op.AVG_POOL, x, kernel, stride, padding, attrs, name, ceil_mode)

    def _pool(self, op, x, kernel, stride, padding, attrs, name, ceil_mode=False) -> int:
        kernel, stride, padding = _pair(kernel), _pair(stride), _pair(padding)
        batch, depth, *size = self.shape(x)
        size = [
            (s + 2 * p - k + (t - 1 if ceil_mode else 0)) // t + 1
            for s, k, t, p in zip(size, kernel, stride, padding, strict=True)
        ]
        attrs = tuple(sorted((*attrs, ("ceil_mode", ceil_mode), ("padding", padding))))
        return self._add(op, name, (x,), (batch, depth, *size), kernel, stride, attrs=attrs)

    def mean(self, x: int, dims: Sequence[int] = (2, 3), *, keepdim: bool = False, name: str) -> int:
        """Mean over `dims`, which vanish unless `keepdim`: with the default, global average pooling to (N, C)."""
        shape = tuple(1 if d in dims else s for d, s in enumerate(self.shape(x)) if keepdim or d not in dims)
        return self._add(Op.MEAN, name, (x,), shape, attrs=(("dim", tuple(dims)), ("keepdim", keepdim)))

    def linear(self, x: int, features: int, *, bias: bool = True, name: str) -> int:
        """Fully connected layer on the last dimension."""
        *batch, depth = self.shape(x)
        params = features * depth + features * bias
        return self._add(Op.LINEAR, name, (x,), (*batch, features), bias=bias, params=params)

    def add(self, inputs: Sequence[int], *, name: str) -> int:
        """Sum of two or more results of one shape, as a chain of additions of two."""
        total, *rest = inputs
        for position, x in enumerate(rest):
            part = name if len(rest) == 1 else f"{name}.{position}"
            total = self._add(Op.ADD, part, (total, x), self.shape(total))
        return total

    def mul(self, x: int, y: int, *, name: str) -> int:
        """Product of `x` with a `y` that broadcasts to its shape (the gate of a squeeze-and-excitation block)."""
        return self._add(Op.MUL, name, (x, y), self.shape(x))

    def concat(self, inputs: Sequence[int], *, name: str) -> int:
        """Concatenation along the channels; a single input is passed on."""
        if len(inputs) == 1:
            return inputs[0]
        batch, _, *size = self.shape(inputs[0])
        channels = sum(map(self.channels, inputs))
        return self._add(Op.CONCAT, name, tuple(inputs), (batch, channels, *size), attrs=(("dim", 1),))

    def slice(self, x: int, dim: int, start: int, length: int, *, name: str) -> int:
        """`length` entries of dimension `dim` from `start` on."""
        shape = list(self.shape(x))
        shape[dim] = length
        attrs = (("dim", dim), ("length", length), ("start", start))
        return self._add(Op.SLICE, name, (x,), tuple(shape), attrs=attrs)

    def adaptive_avg_pool(self, x: int, size: Pair = 1, *, name: str) -> int:
        """Average pooling to `size`, keeping the dimensions."""
        batch, depth, *_ = self.shape(x)
        return self._add(Op.ADAPTIVE_AVG_POOL, name, (x,), (batch, depth, *_pair(size)))

    def flatten(self, x: int, *, name: str) -> int:
        """All dimensions but the first become one."""
        batch, *rest = self.shape(x)
        size = 1
        for s in rest:
            size *= s
        return self._add(Op.FLATTEN, name, (x,), (batch, size), attrs=(("start", 1),))


def _pair(value: Pair) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)

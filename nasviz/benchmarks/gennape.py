"""The labelled networks of GENNAPE (Mills et al., AAAI-23): its caches of computation graphs, and its JSON files."""

from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm.auto import tqdm

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.benchmarks.gennape_graphs import fields, published_graph
from nasviz.benchmarks.tables import NB101_CARD, from_table
from nasviz.benchmarks.unpickle import CONTAINERS, NUMPY, Array, Function, Record, unpickle
from nasviz.families import Family, get
from nasviz.files import checked, read_json
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

WHAT = "a cache gpi_<family>_comp_graph_cache.pkl, or a file <family>_cifar10_labelled_cg_data.json, of GENNAPE"
MARKERS = {
    "nb101": "nb101",
    "nb201": "nb201",
    "nb301": "nb301",
    "mbv3": "ofa_mbv3",
    "resnet": "ofa_resnet",
    "hiaml": "hiaml",
    "twopath": "two_path",
    "two_path": "two_path",
    "inception": "inception",
    "pn": "proxyless",
}
"""The family that a word in a graph's name, or else in that of the file, means; the first one counts."""
MIN_ACCURACY = {"nb101": NB101_CARD["min_accuracy"]}
CARD = {
    "title": "GENNAPE's labelled computation graphs (Mills et al., AAAI 2023)",
    "licence": "MIT (the repository of the authors)",
    "flops_unit": 1e9,
}
MOST_PARTS, DEEPEST = 5_000, 12  # of a configuration; real ones have some hundreds


def read_gennape(path: str | Path, *, own_graphs: bool = True, progress: bool = True) -> Benchmark:
    """The networks in one of GENNAPE's files, with the graphs that were published.

    Parameters
    ----------
    path : str or Path
        ``gpi_<family>_comp_graph_cache.pkl`` of the folder ``cache``, or ``…_labelled_cg_data.json`` of the folder
        ``data``. A cache takes about eight times its size as memory, and 30 MB of it take four seconds:
        `nasviz.benchmarks.save` keeps what was read in a file that opens at once.
    own_graphs : bool
        Whether the benchmark's graphs are those of the file. They were drawn from TensorFlow models and differ a little
        from those of our families, which are taken otherwise: a sum of several inputs is one node, NAS-Bench-201's
        skip connections are none, NAS-Bench-301's networks have 20 cells of 16 channels (see `published_graph`).
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Benchmark
        One row a network, in the order of the file. Beside accuracy the columns resolution (of the published graph's
        input), and flops and n_params, where the file has them, as they are: the unit of flops is not documented and
        differs by family. Of networks that have one architecture the first is kept.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, something else, or has no accuracies (as the caches that GENNAPE's own scripts generate;
        `read_cache` reads them).
    """
    table, graphs = read_cache(path, progress)
    if table.accuracy.isna().any():
        raise ValueError(
            f"path={str(path)!r} has networks without an accuracy; nasviz.benchmarks.gennape.read_cache gives their "
            "graphs."
        )
    scales = {_scale(family, graph) for family, graph in zip(table.family, graphs, strict=True)}
    if len(scales) > 1:
        raise ValueError(f"path={str(path)!r} has networks for different data sets ({', '.join(sorted(scales))}).")
    first = ~table.duplicated(["family", "arch"])
    left_out = f"; {(~first).sum()} further networks of the same architectures are left out" if (~first).any() else ""
    card = CARD | {
        "source": f"{Path(path).name} of https://github.com/Ascend-Research/GENNAPE",
        "note": f"accuracies and {'graphs' if own_graphs else 'configurations'} as published{left_out}",
        "min_accuracy": min(MIN_ACCURACY.get(family, 0.0) for family in table.family.unique()),
    }
    bench = from_table(table[first], percent=False, scale=scales.pop(), name="gennape", card=card)
    given = [graph for graph, keep in zip(graphs, first, strict=True) if keep] if own_graphs else None
    return Benchmark(bench.name, bench.table, bench.card, bench.scale, given)


def read_cache(path: str | Path, progress: bool = False) -> tuple[pd.DataFrame, list[ComputeGraph]]:
    """Every network in one of GENNAPE's files, labelled or not, and its published graph.

    Parameters
    ----------
    path : str or Path
        As in `read_gennape`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    table : DataFrame
        One row a network: family, arch, accuracy (a fraction; NaN without a label), resolution, and flops and n_params
        if stored.
    graphs : list of ComputeGraph
        In the order of the table.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `read_gennape`.
    """
    path = checked(path, WHAT)
    with path.open("rb") as file:
        layout = LAYOUTS.get(file.read(1), JSON)
    rows, graphs = [], []
    try:
        entries = layout.entries(path)
        for number in tqdm(range(len(entries)), desc=path.name, unit="network", disable=not progress):
            entry, entries[number] = entries[number], None  # the memory of a large cache is needed for its graphs
            try:
                row, graph = _network(fields(entry), layout, path.name.lower())
            except ValueError as error:
                raise ValueError(f"network {number}: {error}") from None
            rows.append(row)
            graphs.append(graph)
    except ValueError as error:
        raise ValueError(f"path={str(path)!r} is not what GENNAPE writes: {error}; give {WHAT}.") from None
    if not rows:
        raise ValueError(f"path={str(path)!r} holds no network; give {WHAT}.")
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in NUMBERS if table[name].isna().all()]), graphs


def _pickled_entries(path: Path) -> list[Any]:
    entries, _ = unpickle(path.read_bytes(), ALLOWED)
    if type(entries) is not list:
        raise ValueError(f"it holds {type(entries).__name__} where a list of networks belongs")
    return entries


class Layout(NamedTuple):
    """Where a kind of file keeps what.

    Attributes
    ----------
    entries : callable
        Path → the records of the networks.
    graph, config, accuracy : str
        Their keys in a record.
    top : float
        The accuracy that is 1.
    """

    entries: Callable[[Path], list[Any]]
    graph: str
    config: str
    accuracy: str
    top: float


JSON = Layout(lambda path: list(fields(read_json(path, WHAT)).values()), "cg", "net_config", "max_perf", 100.0)
LAYOUTS = {b"\x80": Layout(_pickled_entries, "compute graph", "original config", "acc", 1.0)}
"""Layouts by the first byte of a file; every other file is JSON."""
NUMBERS = ("flops", "n_params")


def _network(entry: Mapping[str, Any], layout: Layout, file: str) -> tuple[dict[str, Any], ComputeGraph]:
    """Its row of the table, and its graph."""
    graph = published_graph(entry.get(layout.graph))
    words = (graph.name.lower(), file)
    family = next((family for word in words for marker, family in MARKERS.items() if marker in word), None)
    if family is None:
        raise ValueError(f"neither the graph's name {graph.name[:40]!r} nor that of the file says its family")
    accuracy = _number(entry.get(layout.accuracy), layout.accuracy, layout.top) / layout.top
    resolution = next((node.out_shape[2] for node in graph.nodes if node.op is Op.INPUT), None)
    row = {"family": family, "arch": _arch(family, entry.get(layout.config)), "accuracy": accuracy}
    return row | {"resolution": resolution} | {name: _number(entry.get(name), name) for name in NUMBERS}, graph


def _number(value: Any, what: str, most: float = 1e30) -> float:
    if value is None:
        return float("nan")
    if type(value) not in (int, float) or not 0 <= value <= most or not isfinite(value):
        raise ValueError(f"its {what} must be a number from 0 to {most:g}")
    return float(value)


def _arch(name: str, config: Any) -> str:
    """The text form of a published configuration."""
    family = get(name)
    try:
        return family.format(CONFIGS.get(name, _from_config)(family, _plain(config)))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) < 300 else f"{reason[:150]} … {reason[-150:]}"
        raise ValueError(f"its configuration is not one of {name} ({reason})") from None


def _from_config(family: Family, config: Any) -> Any:
    return family.from_config(config)


def _genotype(family: Family, config: Any) -> Any:
    from nasviz.families.nb301 import NODES, Genotype

    if tuple(config["normal_concat"]) != NODES or tuple(config["reduce_concat"]) != NODES:
        raise ValueError("the cells of its genotype do not concatenate the nodes 2 to 5")
    return Genotype(config["normal"], config["reduce"])


CONFIGS: Mapping[str, Callable[[Family, Any], Any]] = {
    "nb101": lambda family, config: family.from_matrix(config[1], config[0]),
    "nb201": lambda family, config: family.parse(family.format(config[0])),  # which sees to the names
    "nb301": _genotype,
    **dict.fromkeys(("proxyless", "ofa_mbv3", "ofa_resnet"), lambda family, config: family.from_config(config[1])),
}
"""How to make an architecture of a configuration where the family's own `from_config` does not."""


def _plain(config: Any) -> Any:
    """A configuration without stand-ins; counted, since a small pickle can hold a giant in which parts are shared."""
    left = MOST_PARTS

    def walk(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        part = part.fields if isinstance(part, Record) else part
        if isinstance(part, Array) and part.values is not None and part.values.size <= left:
            part = part.values.tolist()
        if left < 0 or depth > DEEPEST:
            raise ValueError("it is too large")
        if type(part) in (list, tuple):
            return type(part)(walk(entry, depth + 1) for entry in part)
        if type(part) is dict:
            return {key: walk(entry, depth + 1) for key, entry in part.items()}
        if part is None or type(part) in (bool, int, float) or (type(part) is str and len(part) < 200):
            return part
        raise ValueError(f"it holds {type(part).__name__}, or a very long text")

    return walk(config, 0)


def _scale(family: str, graph: ComputeGraph) -> str:
    """The first scale of the family with as many classes as the graph: NAS-Bench-201 has one for each data set."""
    classes = graph.nodes[graph.outputs[-1]].out_shape[1]
    scales = get(family).scales
    return next((name for name, skeleton in scales.items() if skeleton.get("classes") == classes), "paper")


def _range(*bounds: Any) -> list[int]:
    """What a genotype concatenates is a range."""
    if not 1 <= len(bounds) <= 3 or not all(type(bound) is int and -100 < bound < 100 for bound in bounds):
        raise TypeError("a range is of small numbers")
    return list(range(*bounds))


def _record(name: str, *names: str) -> type[Record]:
    return type(name, (Record,), {"__slots__": (), "names": names})


CLASSES = (
    "ComputeGraph", "RegularNode", "WeightedNode", "TwoPathNetConfig", "SinglePathBlockConfig", "NetConfig",
    "BlockConfig",
)  # fmt: skip
ALLOWED = {
    **CONTAINERS,
    **NUMPY,
    **{("model_src.*", name): _record(name) for name in CLASSES},
    # A named tuple, whose module is that of whichever code the network was trained with.
    ("*", "Genotype"): _record("Genotype", "normal", "normal_concat", "reduce", "reduce_concat"),
    **dict.fromkeys([("builtins", "range"), ("__builtin__", "xrange")], Function(_range)),
}
"""Every name that a cache may ask for; the authors' classes by name only, since they move between modules."""

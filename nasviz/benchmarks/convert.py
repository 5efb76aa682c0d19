"""One columnar file for every benchmark: labels, card and graphs in Arrow IPC, mapped into memory when it is opened."""

import json
from pathlib import Path

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.files import check_version, checked, short
from nasviz.graph import store

ENDING = ".arrow"
_VERSION = 1
_HEADER = b"nasviz.benchmark"
_PREFIX = "graph."


def save(benchmark: Benchmark, path: str | Path, *, graphs: bool = True, progress: bool = False) -> Path:
    """Write a benchmark to one file that `open_converted`, and `load` by the benchmark's name, open at once.

    Parameters
    ----------
    benchmark : Benchmark
        Any benchmark.
    path : str or Path
        The file, ending with ``.arrow``; what it held before is replaced.
    graphs : bool
        Whether to build and write the computation graphs, too: about 2.6 kB and a millisecond for a cell of
        NAS-Bench-101. Without, they are built when they are first asked for. Graphs that came with the benchmark are
        always written.
    progress : bool
        Whether to show a progress bar while graphs are built.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If the name ends otherwise, or the table or the card holds what cannot be written.
    """
    import pyarrow as pa

    path = Path(path)
    if path.suffix != ENDING:
        raise ValueError(f"path={str(path)!r}: the name of a converted file ends with {ENDING}, so that load knows it.")
    taken = [column for column in benchmark.table.columns if str(column).startswith(_PREFIX)]
    if taken:
        raise ValueError(f"the table has a column {taken[0]!r}, and names with {_PREFIX!r} are for graphs; rename it.")
    header = {"version": _VERSION, "name": benchmark.name, "scale": benchmark.scale, "card": benchmark.card}
    try:
        table = pa.Table.from_pandas(benchmark.table, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), _HEADER: json.dumps(header).encode()}
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(
            f"{benchmark.name} has a column or an entry of its card that no file can hold: {error}"
        ) from None
    if graphs or benchmark.given is not None:
        packed = store.pack(benchmark.graphs(progress))
        for name in packed.column_names:
            table = table.append_column(_PREFIX + name, packed[name])
        metadata |= packed.schema.metadata
    # In one piece a column can be mapped without being copied.
    return store.write_table(path, table.combine_chunks().replace_schema_metadata(metadata))


def open_converted(path: str | Path) -> Benchmark:
    """The benchmark in a file of `save`, of any name.

    The file is mapped into memory: texts, and numbers without gaps, are views of it, so columns can be replaced but not
    changed in place; a graph is made when it is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is something else, damaged, or was written by a newer version.
    """
    import pyarrow as pa

    path = checked(path, f"the {ENDING} file of a converted benchmark")
    try:
        table = store.map_table(path)
        table.validate(full=True)
        metadata = table.schema.metadata or {}
        header = json.loads(metadata.get(_HEADER, b"{}"))
        check_version(header.get("version"), _VERSION, "it", "convert it again")
        columns = [name for name in table.column_names if name.startswith(_PREFIX)]
        given = None
        if columns:
            packed = table.select(columns).rename_columns([name.removeprefix(_PREFIX) for name in columns])
            given = store.StoredGraphs(packed.replace_schema_metadata(metadata))
        labels = table.drop_columns(columns).to_pandas(split_blocks=True)
        return Benchmark(header["name"], labels, header["card"], header["scale"], given)
    except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        told = f"path={str(path)!r} is no readable converted file ({short(error)}); convert it again."
        raise ValueError(told) from error

"""NAS-Bench-101 against the benchmark's own hashes, parameter counts and published examples."""

import csv
import gzip
import itertools

import numpy as np
import pytest

import nasviz as nv
from nasviz.families.nb101 import LABELS, Cell

nb101 = nv.families.get("nb101")

# hash, text form of the official representative, parameters, MACs, convolutions
ORACLE = [
    ("043721b9c7fe8c5fad811d47d83132ec", "2:1:", 882570, 137761792, 10),
    ("09fc2d10bdd6225e167a6f81a22a3f06", "3:7:1", 2793866, 422974464, 28),
    ("001a6fcc8b38cbc515be788a86bdc804", "4:43:22", 1756298, 271979520, 19),
    ("001ea832563f8d635ef7d0af25926274", "5:767:200", 6843402, 1018565632, 55),
    ("00040b38293651f17fb665401c671bbb", "6:29485:0020", 3984576, 590770816, 55),
    ("0001a2f6c8977346ccd12fa0c435bf42", "7:1477639:00122", 3078206, 459439680, 55),
    ("001875660572bfa7adae217342632b03", "7:1510411:11121", 1348755, 204939328, 64),
    ("012534f1e7781c0ac3ef57bfcc4dff91", "7:1345835:00000", 49979274, 7335187456, 82),
    ("096f593e0f12d65f6220bf8565b764a9", "7:1411185:02010", 31552906, 4634055680, 64),
    ("00005c142e6f48ac74fdcf73e3439874", "7:1394777:02001", 8555530, 1261835264, 64),
    ("28cfc7874f6d200472e1a9dcd8650aa0", "7:1623063:10002", 2694282, 402002944, 73),
]


@pytest.mark.parametrize(("key", "text", "params", "macs", "convs"), ORACLE)
def test_oracle_rows(key, text, params, macs, convs):
    cell = nb101.parse(text)
    graph = nb101.graph(cell)
    assert cell.hash == key
    assert nb101.format(cell) == text
    assert graph.params == params
    assert nv.cost(graph).total["macs"] == macs
    assert sum(node.op == "conv" for node in graph.nodes) == convs
    assert sum(p.numel() for p in nb101.build(cell).parameters()) == params


def test_an_isomorphic_order_has_other_parameters_and_the_same_hash():
    other = nb101.parse("7:1462343:01022")
    official = nb101.parse("7:1477639:00122")
    assert other.hash == official.hash
    assert nb101.graph(other).params == 3079371
    assert other.canonical() == official
    widths = [node.out_shape[1] for node in nb101.graph(other).nodes if node.layer.startswith("stack3.cell1.vertex")]
    assert set(widths) == {171, 170}


def test_every_row_of_the_real_table_has_its_hash_and_parameters(labels):
    with gzip.open(labels / "nb101_20k.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::40]:
        cell = nb101.parse(f"{row['num_vertices']}:{row['edge_bits']}:{row['ops']}")
        assert cell.hash == row["hash"]
        assert cell.canonical() == cell
        assert nb101.graph(cell).params == int(row["n_params"])


def test_the_example_published_with_the_benchmark():
    inception = [
        [0, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0],
    ]  # fmt: skip
    ops = ["input", LABELS[1], LABELS[0], LABELS[0], LABELS[0], LABELS[2], "output"]
    cell = nb101.from_matrix(inception, ops)
    assert cell.hash == "28cfc7874f6d200472e1a9dcd8650aa0"
    assert nb101.graph(cell).params == 2694282


def test_other_cells_of_the_benchmark():
    """A chain of two convolutions with a skip, and a cell whose vertices have two inputs each."""
    chain = nb101.from_matrix([[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], LABELS[:1] * 2)
    assert nb101.graph(chain).params == 20346506
    matrix = np.zeros((5, 5), dtype=int)
    matrix[0, [1, 2, 3]] = matrix[1, [3, 4]] = matrix[2, [3, 4]] = matrix[3, 4] = 1
    cell = nb101.from_matrix(matrix, ["input", *LABELS, "output"])
    assert (cell.hash, nb101.graph(cell).params) == ("4b397ce59d924a17d29b3261f229d30f", 2040231)


def test_small_spaces_have_the_published_number_of_cells():
    """1, 6 and 84 distinct cells of 2, 3 and 4 vertices (Ying et al. 2019)."""
    found = {2: set(), 3: set(), 4: set()}
    for size, hashes in found.items():
        pairs = size * (size - 1) // 2
        for bits, ops in itertools.product(range(1 << pairs), itertools.product("012", repeat=size - 2)):
            try:
                hashes.add(nb101.parse(f"{size}:{bits}:{''.join(ops)}").hash)
            except ValueError:
                continue
    assert [len(hashes) for hashes in found.values()] == [1, 6, 84]


def test_samples_are_different_reproducible_and_official():
    cells = nb101.sample(40, seed=3)
    assert cells == nb101.sample(40, seed=3) != nb101.sample(40, seed=4)
    assert len({cell.hash for cell in cells}) == 40
    assert all(cell.canonical() == cell == nb101.parse(nb101.format(cell)) for cell in cells)


def test_pruning_drops_dead_vertices_and_counts_edges_afterwards():
    matrix = np.zeros((5, 5), dtype=int)
    matrix[0, 1] = matrix[1, 4] = matrix[0, 2] = matrix[3, 4] = 1
    assert nb101.from_matrix(matrix, [0, 1, 2]) == Cell(((0, 1, 0), (0, 0, 1), (0, 0, 0)), (0,))


def test_more_than_nine_edges_may_be_pruned_to_fewer():
    matrix = np.triu(np.ones((7, 7), dtype=int), 1)
    with pytest.raises(ValueError, match="at most 9 edges"):
        nb101.from_matrix(matrix, [0] * 5)
    matrix[:-2, -1] = 0  # only the last inner vertex is read
    matrix[0, 1:5] = 0
    matrix[0, 5] = 1
    assert nb101.format(nb101.from_matrix(matrix, [0, 1, 2, 0, 1])) == "3:5:1"


@pytest.mark.parametrize(("matrix", "ops", "reason"), [
    ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [0], "strictly upper triangular"),
    ([[0, 0.5, 0], [0, 0, 1], [0, 0, 0]], [0], "of zeros and ones"),
    ([[0, 1, 0], [0, 0, 2], [0, 0, 0]], [0], "of zeros and ones"),
    ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["output", "conv3x3", "input"], "operations are conv3x3-bn-relu"),
    ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [3], "operations are conv3x3-bn-relu"),
    ([[0, 0, 1], [0, 0, 1], [0, 0, 0]], [-1], "operations are conv3x3-bn-relu"),
    ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [0, 1], "and there are 2 inner ops"),
    ([[0, 1, 0], [0, 0, 1]], [0], r"has the shape \(2, 3\)"),
    ([[0]], [], r"has the shape \(1, 1\)"),
    (np.triu(np.eye(9, k=1, dtype=int)), [0] * 7, "2 to 7 vertices"),
])  # fmt: skip
def test_a_wrong_matrix_is_refused_in_one_sentence(matrix, ops, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        nb101.from_matrix(matrix, ops)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", [-1, 423_625])
def test_more_cells_than_there_are_cannot_be_drawn(n):
    with pytest.raises(ValueError, match="423,624 cells"):
        nb101.sample(n)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "٧:1394777:02001",
        " 7:1394777:02001",
        "7:1_394_777:02001",
        "7:1394777",
        "8:1:000000",
        "7:1394777:02003",
        "3:8:0",
        "3:0:0",
        "7:2097151:00000",
        "7:-1:00000",
        None,
    ],
)
def test_a_wrong_text_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match="is not a NAS-Bench-101 cell"):
        nb101.parse(text)


def test_a_matrix_without_a_path_is_refused():
    with pytest.raises(ValueError, match="no path from the input"):
        nb101.from_matrix(np.zeros((3, 3)), [0])

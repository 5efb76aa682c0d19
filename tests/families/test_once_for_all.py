"""What the three Once-for-All spaces share, and counts of the authors' own modules."""

import pytest
import torch

import nasviz as nv
from tests.families.published_counts import COUNTS

pytestmark = pytest.mark.parametrize("name", COUNTS)


def test_parameters_and_macs_are_the_authors(name):
    family = nv.families.get(name)
    for text, params, macs in COUNTS[name]:
        arch = family.parse(text)
        graph = family.graph(arch)
        assert (graph.params, nv.cost(graph).total["macs"]) == (params, macs), text
        with torch.device("meta"):
            module = family.build(arch)
        assert sum(p.numel() for p in module.parameters()) == params, text


@pytest.mark.parametrize("size", [192, 208, 224])
def test_any_resolution_runs(name, size):
    """208 pixels give odd maps of 13 and 7, which strides and pools must round up."""
    family = nv.families.get(name)
    with torch.device("meta"):
        module = family.build(family.parse(COUNTS[name][3][0]))
        assert module(torch.zeros(1, 3, size, size)).shape == (1, 1000)


@pytest.mark.parametrize("scale", ["paper", "digits"])
def test_the_graph_is_that_of_the_built_module(name, scale):
    family = nv.families.get(name)
    assert set(family.scales) == {"paper", "digits"}
    shape = family.scales[scale]["shape"]
    for arch in [family.parse(COUNTS[name][1][0]), *family.sample(2, seed=5)]:
        with torch.device("meta"):
            module = family.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == family.graph(arch, scale)


def test_a_small_network_runs_and_keeps_the_structure(name):
    """Only the pool of a stem for large images is left out."""
    family = nv.families.get(name)
    for arch in family.sample(3, seed=6):
        module = family.build(arch, "digits")
        assert module(torch.rand(4, 1, 8, 8)).shape == (4, 10)
        large, small = (
            [
                (n.layer, n.op, n.kernel if n.op == "conv" else ())
                for n in family.graph(arch, s).nodes
                if n.layer != "stem.pool"
            ]
            for s in ("paper", "digits")
        )
        assert large == small

"""Information capacity against closed forms: known covariances, NumPy's own, and layers built to have a known rank."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from nasviz.families import get
from nasviz.measure import bottleneck_rule, bottlenecks, effective_rank, information_capacity, saturation
from nasviz.measure.capacity import Covariance

EIGENVALUES = [
    ([1, 1, 1, 1], 4.0, 1.0),
    ([5, 0, 0, 0], 1.0, 0.25),
    ([3, 3, 0, 0], 2.0, 0.5),
    ([0, 0, 0, 0], 0.0, 0.0),
    ([1.0, -1e-17, 1e-15, 0], 1.0, 0.25),  # rounding
    ([0.5, 0.25, 0.25], 2**1.5, 1.0),  # entropy 1.5 bits
    ([98.0, 1.0, 1.0], None, 2 / 3),
]


@pytest.mark.parametrize(("values", "rank", "share"), EIGENVALUES)
def test_closed_forms(values, rank, share):
    if rank is not None:
        assert effective_rank(np.array(values)) == pytest.approx(rank)
        assert effective_rank(7 * np.array(values)[::-1]) == pytest.approx(rank)
    assert saturation(np.array(values)) == pytest.approx(share)


def test_saturation_of_all_the_variance_is_the_rank():
    assert saturation(np.array([0.1] * 10 + [0.0] * 10), variance=1.0) == 0.5
    with pytest.raises(ValueError, match="variance=99"):
        saturation(np.ones(3), variance=99)


def test_covariance_in_batches_is_numpy_s_even_far_from_zero():
    rows = np.random.default_rng(0).normal(1e6, 1, (500, 5)) @ np.diag([1, 2, 3, 4, 5])
    covariance = Covariance()
    for part in np.split(rows, [1, 7, 300]):
        covariance.add(torch.from_numpy(part))
    covariance.add(torch.empty(0, 5))
    assert covariance.count == 500
    np.testing.assert_allclose(covariance.eigenvalues, np.linalg.eigvalsh(np.cov(rows.T, bias=True)), rtol=1e-5)


class Ranks(nn.Module):
    """Layers whose outputs have a known covariance where the input is white."""

    def __init__(self):
        super().__init__()
        self.full = nn.Conv2d(4, 4, 1, bias=False)
        self.two = nn.Conv2d(4, 4, 1)
        self.one = nn.Conv2d(4, 8, 1)
        self.dead = nn.Conv2d(8, 3, 1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            self.full.weight.copy_(torch.eye(4)[:, :, None, None])
            self.two.weight.copy_(torch.diag(torch.tensor([1.0, 1, 0, 0]))[:, :, None, None])
            self.one.weight.copy_(torch.tensor([1.0, 0, 0, 0])[None, :, None, None].expand(8, 4, 1, 1))
            self.dead.weight.zero_()

    def forward(self, x):
        x = self.relu(self.dead(self.one(self.two(self.full(x)))))
        return self.head(x.mean((2, 3)))


def test_layers_of_known_rank():
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(64, 4, 16, 16))).float()
    module = Ranks().train()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    table = information_capacity(module, x.split(10)).set_index("layer")
    assert table.index.tolist() == ["full", "two", "one", "dead", "head"]  # what has weights, in order
    assert table.channels.tolist() == [4, 4, 8, 3, 2]
    assert table.observations.tolist() == [64 * 256] * 4 + [64]
    np.testing.assert_allclose(table.effective_rank, [4, 2, 1, 0, 0], atol=0.01)
    np.testing.assert_allclose(table.information_capacity, [1, 0.5, 1 / 8, 0, 0], atol=0.01)
    np.testing.assert_allclose(table.saturation, [1, 0.5, 1 / 8, 0, 0])
    every = information_capacity(module, x, trainable=False).layer.tolist()
    assert every == ["full", "two", "one", "dead", "relu", "head"]  # not the mean, which no module puts out
    assert module.training and module.head.training
    assert all(not part._forward_hooks for part in module.modules())
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_batches_do_not_matter_and_batch_norm_is_in_eval_mode():
    module = get("nb201").build(("nor_conv_3x3",) * 6, "digits")
    x = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = information_capacity(module, x)
    pd.testing.assert_frame_equal(whole, information_capacity(module, iter(x.split(7))), rtol=1e-4)
    assert whole.information_capacity.between(0, 1, inclusive="right").all()
    assert {"stem.conv", "stem.bn", "head.linear"} <= set(whole.layer)


def test_sequences_attention_and_states():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 6)
            self.lstm = nn.LSTM(6, 5, batch_first=True)
            self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
            self.norm = nn.LayerNorm(5)

        def forward(self, words):
            x, _ = self.lstm(self.embed(words))
            return self.norm(self.attention(x, x, x)[0])

    words = torch.randint(0, 11, (8, 7), generator=torch.Generator().manual_seed(0))
    table = information_capacity(Text(), [(words,)]).set_index("layer")
    assert table.channels.to_dict() == {"embed": 6, "lstm": 5, "attention": 5, "norm": 5}
    assert (table.observations == 56).all()


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="batches is empty"):
        information_capacity(nn.Linear(2, 2), [])
    table = information_capacity(nn.Linear(2, 2), torch.full((3, 2), torch.nan))
    assert table.information_capacity.isna().all() and table.observations.tolist() == [3]


# --- bottlenecks ------------------------------------------------------------------------------------------------------


def layers(**columns) -> pd.DataFrame:
    frame = pd.DataFrame({"op": "conv", "trainable": True, **columns})
    return frame.set_index(pd.Index([f"l{i}" for i in range(len(frame))]))


def test_the_rule_on_a_case_by_hand():
    """Eight weighted layers: the even share is 1/8, so much is 1/4; the lower quartile of the capacities is 0.35."""
    table = layers(
        kflops=[30, 30, 10, 10, 5, 5, 5, 5.0],
        parameters=[1, 1, 1, 1, 1, 1, 40, 1.0],
        information_capacity=[0.2, 0.5, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    )
    assert table.index[bottlenecks(table)].tolist() == ["l0"]  # l1 carries enough, l2 is cheap
    other = table.assign(information_capacity=[0.8, 0.7, 0.6, 0.5, 0.3, 0.5, 0.2, 0.4])
    assert other.index[bottlenecks(other)].tolist() == ["l6"]  # by its parameters
    assert bottlenecks(table, quantile=0.9).sum() == 3
    assert bottlenecks(table, share=0.5, quantile=0.5).sum() == 3


def test_norms_and_layers_without_weights_are_no_bottlenecks():
    table = layers(
        kflops=[50, 50, 1, 1, 1.0], parameters=0.0, information_capacity=[0.1, 0.1, 0.5, 0.6, 0.2],
    )  # fmt: skip
    table.loc["l0", "op"], table.loc["l1", "trainable"] = "batch_norm", False
    assert not bottlenecks(table).any()
    table.loc["l4", "kflops"] = 500
    assert table.index[bottlenecks(table)].tolist() == ["l4"]


def test_without_capacity_or_with_equal_ones_there_is_none():
    table = layers(kflops=[9.0, 1.0, 1.0], parameters=[9.0, 1.0, 1.0])
    for capacity in (None, 0.5, np.nan):
        given = table if capacity is None else table.assign(information_capacity=capacity)
        assert not bottlenecks(given).any() and bottlenecks(given).dtype == bool
    assert not bottlenecks(table.iloc[:0].assign(information_capacity=0.0)).any()
    with pytest.raises(ValueError, match="lacks op and trainable"):
        bottlenecks(pd.DataFrame({"layer": ["a"]}))


def test_the_rule_is_said_with_its_numbers():
    assert "3 times the even share" in bottleneck_rule(3, 0.1) and "below the 10% quantile" in bottleneck_rule(3, 0.1)

"""The forest's features by hand, and that it learns what is there to learn."""

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from nasviz.graph.cost import total_flops
from nasviz.graph.trace import trace
from nasviz.predict.tables_forest import FEATURES, Forest, graph_features


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4)
        self.point = nn.Conv2d(4, 4, 1, stride=2)

    def forward(self, x):
        x = self.stem(x).relu()
        return self.depthwise(x) + self.point(x)


def test_features_of_a_small_network_by_hand():
    graph = trace(Branching(), torch.zeros(1, 2, 8, 8))
    features = dict(zip(FEATURES, graph_features([graph])[0], strict=True))
    assert features["nodes"] == 6 and features["edges"] == 6  # input, stem, relu, depthwise, point, add
    assert features["depth"] == 4 and features["branches"] == 1
    assert features["share of conv"] == 3 / 6 and features["share of norm"] == 0
    assert features["depthwise"] == 1 / 3 and features["mean kernel"] == 3
    assert features["log widest"] == 2 and features["log smallest resolution"] == 2
    assert features["log flops"] == np.log10(total_flops(graph))
    assert features["log params"] == np.log10((2 * 9 + 1) * 4 + (25 + 1) * 4 + (4 + 1) * 4)
    assert features["log activations"] == np.log10(2 * 64 + 2 * 4 * 64 + 3 * 4 * 16)


def test_a_network_without_convolutions_has_features():
    assert np.isfinite(graph_features([trace(nn.Linear(3, 2), torch.zeros(1, 3))])).all()


def test_it_learns_and_repeats_itself(nb101):
    features, accuracy = graph_features(nb101.graphs()), nb101.table["accuracy"].to_numpy()
    young = Forest(seed=1)
    grown = young.fit(features[:28], accuracy[:28])
    said = grown.predict(features[28:])
    assert spearmanr(said, accuracy[28:]).statistic > 0.6
    assert not hasattr(young, "model_"), "the young one stays as it is"
    np.testing.assert_array_equal(Forest(seed=1).fit(features[:28], accuracy[:28]).predict(features[28:]), said)

"""Graph neural networks over computation graphs: the contrastive encoder and the k-GNN baseline."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Batch
from torch_geometric.nn import GraphConv, global_mean_pool
from torch_geometric.utils import to_dense_batch

from nasviz.predict.mlp import MLP
from nasviz.predict.tensors import FEATURES

PART = 16  # graphs that the Transformer sees at once


class GNN(nn.Module):
    """A linear embedding of the node features, then k-GNN layers (Morris et al., AAAI 2019) with ReLU.

    Parameters
    ----------
    width : int
        Size of a node's vector in every layer.
    layers : int
        Number of `GraphConv` layers.
    in_features : int
        Length of the node features.
    """

    def __init__(self, width: int, layers: int, in_features: int = len(FEATURES)):
        super().__init__()
        self.embed = nn.Linear(in_features, width)
        self.convs = nn.ModuleList(GraphConv(width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        """(nodes, features) → (nodes, width)."""
        x = self.embed(x)
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return x


class Encoder(nn.Module):
    """The contrastive encoder: a k-GNN and a Transformer side by side, mean-pooled and concatenated.

    Parameters
    ----------
    width : int
        Size of both parts (64 in the paper), so that the embedding has length ``2 * width``.
    layers, heads : int
        Layers of the GNN (4) and attention heads of the Transformer's one layer (2).
    dropout : float
        After the GNN, and in the Transformer but for its attention weights (0.1); it is what makes the two views of
        the contrastive loss differ.
    """

    def __init__(self, width: int = 64, layers: int = 4, heads: int = 2, dropout: float = 0.1):
        super().__init__()
        self.config = {"width": width, "layers": layers, "heads": heads, "dropout": dropout}
        self.gnn = GNN(width, layers)
        self.gnn_dropout = nn.Dropout(dropout)
        self.tokens = nn.Linear(len(FEATURES), width)
        # The paper does not give the width of the feed-forward part; twice the width is ours.
        self.transformer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True)
        self.transformer.self_attn.dropout = 0.0  # the attention weights keep none: with it, a CPU has no fused kernel

    @property
    def out_features(self) -> int:
        """Length of the embedding."""
        return 2 * self.config["width"]

    def forward(self, batch: Batch) -> torch.Tensor:
        """A batch of N graphs → embeddings h (N, ``out_features``)."""
        nodes = self.gnn_dropout(self.gnn(batch.x, batch.edge_index))
        return torch.cat([global_mean_pool(nodes, batch.batch), self._attend(batch)], dim=1)

    def _attend(self, batch: Batch) -> torch.Tensor:
        """Mean-pooled output of the Transformer, (N, width).

        Its cost grows with the square of the largest graph it sees at once, so a batch in order of size, as `batches`
        makes it, goes through in parts with little padding.
        """
        tokens, pooled = self.tokens(batch.x), []
        bounds = batch.ptr[::PART].tolist()
        bounds += [batch.num_nodes] if bounds[-1] < batch.num_nodes else []
        for part, (start, stop) in enumerate(pairwise(bounds)):
            dense, real = to_dense_batch(tokens[start:stop], batch.batch[start:stop] - part * PART)
            attended = self.transformer(dense, src_key_padding_mask=~real) * real.unsqueeze(-1)
            pooled.append(attended.sum(1) / real.sum(1, keepdim=True))
        return torch.cat(pooled)


class KGNN(nn.Module):
    """The end-to-end baseline: node embedding of 32, six k-GNN layers, mean pooling, an MLP of four layers of 32."""

    def __init__(self, width: int = 32, layers: int = 6, seed: int = 0):
        super().__init__()
        self.config = {"width": width, "layers": layers}
        self.gnn = GNN(width, layers)
        self.head = MLP(width, hidden=width, layers=4, seed=seed)

    def forward(self, batch: Batch) -> torch.Tensor:
        """A batch of N graphs → standardised targets (N,)."""
        return self.head(global_mean_pool(self.gnn(batch.x, batch.edge_index), batch.batch))


class ProjectionHeads(nn.Module):
    """What the encoder is trained with and then loses: the projection z of the loss, and the FLOPs it predicts."""

    def __init__(self, in_features: int, width: int = 64):
        super().__init__()
        self.project = nn.Sequential(nn.Linear(in_features, in_features), nn.ReLU(), nn.Linear(in_features, width))
        self.flops = nn.Sequential(nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, in) → unit vectors z (N, width) and standardised log FLOPs (N,)."""
        return F.normalize(self.project(h), dim=1), self.flops(h).squeeze(-1)

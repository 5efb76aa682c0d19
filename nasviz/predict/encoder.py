"""Graph neural networks over computation graphs: the contrastive encoder and the baselines trained end to end."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Batch
from torch_geometric.nn import GCNConv, GINConv, GraphConv, global_mean_pool
from torch_geometric.utils import to_dense_batch

from nasviz.predict.compact import CONVOLUTIONS, CompactBatch, Sparse
from nasviz.predict.mlp import MLP
from nasviz.predict.tensors import FEATURES

PART = 16  # graphs that the Transformer sees at once


class GNN(nn.Module):
    """A linear embedding of the node features, then layers of one kind with ReLU.

    Parameters
    ----------
    width : int
        Size of a node's vector in every layer.
    layers : int
        Number of layers.
    in_features : int
        Length of the node features.
    convolution : str
        "k-GNN" (`GraphConv`; Morris et al., AAAI 2019), "GCN" (Kipf and Welling, ICLR 2017) or "GIN" (Xu et al., ICLR
        2019, with two linear layers and a ReLU between them).

    Raises
    ------
    ValueError
        If there is no such convolution.
    """

    def __init__(self, width: int, layers: int, in_features: int = len(FEATURES), convolution: str = "k-GNN"):
        super().__init__()
        if convolution not in CONVOLUTIONS:
            raise ValueError(f"convolution={convolution!r}: choose from {', '.join(CONVOLUTIONS)}.")
        self.convolution = convolution
        self.embed = nn.Linear(in_features, width)
        self.convs = nn.ModuleList(_layer(convolution, width) for _ in range(layers))

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        """(nodes, features) → (nodes, width)."""
        x = self.embed(x)
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return x

    def of_classes(self, batch: CompactBatch) -> torch.Tensor:
        """What `forward` computes, once for all nodes of a class: (classes after the last layer, width)."""
        x = self.embed(batch.x)
        for conv, step in zip(self.convs, batch.steps, strict=True):
            x = _ON_CLASSES[self.convolution](conv, step, x).relu()
        return x


def _layer(convolution: str, width: int) -> nn.Module:
    if convolution == "GIN":
        return GINConv(nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)))
    return (GraphConv if convolution == "k-GNN" else GCNConv)(width, width)


def _k_gnn(conv: GraphConv, step: Sparse, x: torch.Tensor) -> torch.Tensor:
    """W₁ x_i + W₂ Σ_j x_j + b; both products are made before the sum, where there are fewer rows."""
    weights = torch.cat([conv.lin_rel.weight, conv.lin_root.weight])
    sent_and_kept = (x @ weights.T).view(2 * len(x), -1)
    return step @ sent_and_kept + conv.lin_rel.bias


def _gcn(conv: GCNConv, step: Sparse, x: torch.Tensor) -> torch.Tensor:
    """W Σ_j x_j / √(d_i d_j) + b, i itself being one of the j."""
    return step @ conv.lin(x) + conv.bias


def _gin(conv: GINConv, step: Sparse, x: torch.Tensor) -> torch.Tensor:
    """MLP(x_i + Σ_j x_j)."""
    return conv.nn(step @ x)


_ON_CLASSES = {"k-GNN": _k_gnn, "GCN": _gcn, "GIN": _gin}


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


class EndToEnd(nn.Module):
    """A baseline that is trained end to end: node embedding of 32, six layers, mean pooling, an MLP of four of 32.

    Parameters
    ----------
    convolution : str
        "k-GNN", "GCN" or "GIN".
    width, layers : int
        32 and 6 in the paper.
    seed : int
        Of the MLP's initial weights.
    """

    def __init__(self, convolution: str = "k-GNN", width: int = 32, layers: int = 6, seed: int = 0):
        super().__init__()
        self.config = {"convolution": convolution, "width": width, "layers": layers}
        self.gnn = GNN(width, layers, convolution=convolution)
        self.head = MLP(width, hidden=width, layers=4, seed=seed)

    def forward(self, batch: Batch | CompactBatch) -> torch.Tensor:
        """A batch of N graphs → standardised targets (N,), up to rounding the same for both kinds of batch."""
        if isinstance(batch, CompactBatch):
            return self.head(batch.pool @ self.gnn.of_classes(batch))
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

"""A `Gennape` on disk: safetensors for what was learned, JSON for the rest; nothing that could run code."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from nasviz.files import check_version, short
from nasviz.predict.checks import settings_from_dict
from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.encoder import Encoder, EndToEnd
from nasviz.predict.mlp import MLP, MLPEnsemble
from nasviz.predict.pairwise import PairNetwork, PairwiseRanker
from nasviz.predict.regressors import FlopsRanker, GNNRegressor, HeadRegressor, OnEmbedding
from nasviz.predict.transform import transform_from_dict
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    from nasviz.predict.ensemble import Gennape

FORMAT_VERSION = 1
HEADS = {"MLP": MLP, "MLPEnsemble": MLPEnsemble}


def save(model: "Gennape", folder: Path) -> Path:
    """Write the model; the JSON comes last and knows the weights' hash, so what belongs together is read together."""
    tensors = _prefixed("encoder", model.encoder.state_dict())
    tensors |= {f"space.{name}": torch.as_tensor(value) for name, value in model.space.to_arrays().items()}
    members = {}
    for name, member in model.members.items():
        members[name] = description = {"kind": type(member).__name__}
        if isinstance(member, FlopsRanker):
            continue
        if isinstance(member, OnEmbedding):
            tensors |= {
                f"member.{name}.shift": torch.as_tensor(member.shift_),
                f"member.{name}.scale": torch.as_tensor(member.scale_),
            }
        network = member.head if isinstance(member, HeadRegressor) else member.network
        description["config"] = network.config
        if isinstance(member, HeadRegressor):
            description["head"] = type(network).__name__
        if not isinstance(member, PairwiseRanker):
            description["transform"] = member.transform.to_dict()
        tensors |= _prefixed(f"member.{name}", network.state_dict())
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    weights = write_atomically(folder / "weights.safetensors", lambda path: save_file(tensors, path))
    document = {
        "format_version": FORMAT_VERSION,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "encoder": model.encoder.config,
        "settings": asdict(model.settings),
        "space": {"n_clusters": model.space.n_clusters, "fuzzifier": model.space.fuzzifier},
        "members": members,
        "weights": {name: float(weight) for name, weight in model.weights.items()},
        "card": model.card,
    }
    write_atomically(folder / "model.json", lambda path: path.write_text(json.dumps(document, indent=2)))
    return folder


def load(kind: type["Gennape"], folder: Path) -> "Gennape":
    """Read a model; every fault of the files is told in one sentence."""
    from nasviz.predict.ensemble import Settings

    missing = [name for name in ("model.json", "weights.safetensors") if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} holds no model: {' and '.join(missing)} missing; name a folder of save().")
    try:
        document = json.loads((folder / "model.json").read_text())
        content = (folder / "weights.safetensors").read_bytes()
        tensors = load_tensors(content)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{folder} holds a model that cannot be read ({short(error)}); save it again.") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    check_version(version, FORMAT_VERSION, f"the model in {folder}", "train it again")
    if document.get("sha256") != hashlib.sha256(content).hexdigest():
        raise ValueError(f"{folder}: weights.safetensors is not the file that model.json was written with.")
    try:
        encoder = Encoder(**document["encoder"])
        encoder.load_state_dict(_under("encoder", tensors))
        arrays = {name: tensor.numpy() for name, tensor in _under("space", tensors).items()}
        space = ClusterSpace(**document["space"]).from_arrays(arrays)
        members = {
            name: _member(name, description, _under(f"member.{name}", tensors), encoder.eval(), space)
            for name, description in document["members"].items()
        }
        weights = {name: float(document["weights"][name]) for name in members}
        settings = settings_from_dict(Settings, document["settings"])
        return kind(encoder, space, members, weights, settings, dict(document["card"]))
    except (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        first = short(str(error).partition("\n")[0])  # torch lists every weight below
        reason = f"{type(error).__name__}: {first}".rstrip(": ")
        raise ValueError(f"{folder} holds a model.json that does not fit its weights ({reason}).") from error


def _member(name, description, tensors, encoder, space):
    kind = description["kind"]
    if kind == "FlopsRanker":
        return FlopsRanker()
    config = description["config"]
    if kind == "GNNRegressor":
        member = GNNRegressor(config["convolution"])
        member.network = network = EndToEnd(**config).eval()
    else:
        member = (PairwiseRanker if kind == "PairwiseRanker" else HeadRegressor)(name, encoder, space)
        member.shift_, member.scale_ = tensors.pop("shift").numpy(), tensors.pop("scale").numpy()
        if kind == "PairwiseRanker":
            member.network = network = PairNetwork(**config).eval()
        else:
            member.head = network = HEADS[description["head"]](**config).eval()
    network.load_state_dict(tensors)
    if kind != "PairwiseRanker":
        member.transform = transform_from_dict(description["transform"])
    return member


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")}

"""A `Nasviz` on disk: safetensors for arrays, LightGBM's text for the trees, JSON for the rest; nothing runs code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from nasviz.files import check_version, short
from nasviz.predict.checks import settings_from_dict
from nasviz.predict.few_shot import SUPPORT, FewShot
from nasviz.predict.layer_gnn import LayerGNN
from nasviz.predict.transform import transform_from_dict
from nasviz.predict.trees import Trees
from nasviz.predict.trust import NoveltySpace
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    from nasviz.predict.nasviz import Nasviz

FORMAT_VERSION = 2
WEIGHTS, TREES, DOCUMENT = "weights.safetensors", "trees.txt", "model.json"


def save(model: "Nasviz", folder: Path) -> Path:
    """Write the model; the JSON comes last and knows the hashes of the other files."""
    tensors = _weights("network", model.networks)
    tensors |= {f"space.{name}": torch.tensor(value) for name, value in model.space.to_arrays().items()}
    tensors |= {"stack": torch.tensor(model.stack), "spread": torch.tensor(model.spread)}
    if model.few_shot:
        tensors |= _weights("tuned", model.few_shot.tuned)
        tensors |= {f"support.{name}": torch.tensor(value) for name, value in model.few_shot.support_.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    files = [
        write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, path)),
        write_atomically(folder / TREES, lambda path: path.write_text(model.trees.to_text(), encoding="utf-8")),
    ]
    document = {
        "format_version": FORMAT_VERSION,
        "model": "Nasviz",
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "settings": asdict(model.settings),
        "network": model.networks[0].config,
        "networks": len(model.networks),
        "columns": model.trees.columns_,
        "transform": model.transform.to_dict(),
        "few_shot_seed": model.few_shot.seed if model.few_shot else None,
        "card": model.card,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    write_atomically(folder / DOCUMENT, lambda path: path.write_text(text, encoding="utf-8"))
    return folder


def load(kind: type["Nasviz"], folder: Path) -> "Nasviz":
    """Read a model; every fault of the files is told in one sentence."""
    from nasviz.predict.nasviz import NasvizSettings

    missing = [name for name in (DOCUMENT, WEIGHTS, TREES) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} holds no model: {' and '.join(missing)} missing; name a folder of save().")
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        if document.get("model") != "Nasviz":
            raise ValueError("it holds another kind of model; if it is a Gennape, use Gennape.load")
        check_version(document.get("format_version"), FORMAT_VERSION, "it", "train it again")
        content = {name: (folder / name).read_bytes() for name in (WEIGHTS, TREES)}
        for name, data in content.items():
            if hashlib.sha256(data).hexdigest() != document["sha256"][name]:
                raise ValueError(f"{name} is damaged or belongs to another model")
        tensors, settings = load_tensors(content[WEIGHTS]), settings_from_dict(NasvizSettings, document["settings"])
        networks = _networks("network", tensors, document)
        space = NoveltySpace(settings.n_clusters, settings.fuzzifier, document["card"]["seed"])
        space.from_arrays(_part("space", tensors))
        trees = Trees.from_text(content[TREES].decode(), document["columns"])
        few_shot, seed = None, document["few_shot_seed"]
        if seed is not None:
            support = _part("support", tensors)
            few_shot = FewShot(networks, _networks("tuned", tensors, document), seed)
            few_shot.learn({name: support[name] for name in SUPPORT})
        stack, spread = tensors["stack"].numpy(), tensors["spread"].numpy()
        transform = transform_from_dict(document["transform"])
        return kind(networks, trees, stack, space, transform, spread, settings, document["card"], few_shot)
    except (SafetensorError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError, ValueError) as error:
        first = short(str(error).partition("\n")[0])
        reason = f"{type(error).__name__}: {first}" if isinstance(error, KeyError) else first
        raise ValueError(f"{folder} holds no model that can be read ({reason.rstrip('.')}).") from error


def _weights(prefix: str, networks: list[LayerGNN]) -> dict[str, torch.Tensor]:
    states = {f"{prefix}.{i}": network.state_dict() for i, network in enumerate(networks)}
    return {f"{start}.{name}": value for start, state in states.items() for name, value in state.items()}


def _networks(prefix: str, tensors: Mapping[str, torch.Tensor], document: dict[str, Any]) -> list[LayerGNN]:
    networks = []
    for i in range(document["networks"]):
        network = LayerGNN(**document["network"])
        start = f"{prefix}.{i}."
        network.load_state_dict({n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)})
        networks.append(network.eval())
    return networks


def _part(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    start = f"{prefix}."
    return {n.removeprefix(start): t.numpy() for n, t in tensors.items() if n.startswith(start)}

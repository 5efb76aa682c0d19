"""`nv.from_onnx` on files that are damaged, hostile, or no ONNX at all: one sentence each, and soon."""

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import model, node

import nasviz as nv

CONV = [node("Conv", ["x", "w"], "c"), node("Flatten", ["c"], "f"), node("Gemm", ["f", "v"], "y")]
WEIGHTS = {"w": np.ones((8, 3, 3, 3), np.float32), "v": np.ones((288, 5), np.float32)}


def small() -> onnx.ModelProto:
    return model(CONV, {"x": (1, 3, 8, 8)}, {"y": (1, 5)}, WEIGHTS)


def refused(given, shape=None) -> str:
    """The sentence that `given` is refused with."""
    start = time.process_time()
    with pytest.raises((ValueError, OSError, TypeError)) as error:
        nv.from_onnx(given, shape)
    sentence = str(error.value)
    assert sentence and "\n" not in sentence and len(sentence) < 600, sentence
    assert time.process_time() - start < 5
    return sentence


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, world", "cannot be read as ONNX"),
        (b"\x00" * 64, "cannot be read as ONNX"),
        (b"PK\x03\x04" + b"\x00" * 90, "is a zip archive"),
        (b"\x1f\x8b\x08" + b"\x00" * 90, "is a gzip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "is a Git-LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"\x08\x07", "holds no network"),
    ],
    ids=["empty", "text", "zeros", "zip", "gzip", "git lfs", "web page", "no nodes"],
)
def test_what_is_no_model(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert sentence in refused(path)


def test_a_path_to_nothing_or_to_a_folder_and_an_object(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "none.onnx")
    assert "is a folder" in refused(tmp_path)
    assert refused(7) == "model: expected a path or an onnx.ModelProto, got int."


def test_every_truncation_is_refused_or_whole(tmp_path: Path) -> None:
    """Protobuf cannot always tell where a file ends; what it takes must still be a network or a sentence."""
    whole, path = small().SerializeToString(), tmp_path / "model.onnx"
    refusals = 0
    for end in range(1, len(whole), 97):
        path.write_bytes(whole[:end])
        try:
            nv.from_onnx(path)
        except ValueError as error:
            assert "\n" not in str(error)
            refusals += 1
    assert refusals > 0.9 * len(range(1, len(whole), 97))


def test_flipped_bits_never_end_in_a_traceback(tmp_path: Path) -> None:
    draw, path = np.random.default_rng(0), tmp_path / "model.onnx"
    whole = np.frombuffer(small().SerializeToString(), np.uint8)
    names = np.flatnonzero(whole < 128)
    for _ in range(150):
        damaged = whole.copy()
        where = draw.choice(names[names < 400], 3)
        damaged[where] ^= (1 << draw.integers(0, 8, 3)).astype(np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            nv.from_onnx(path)
        except (ValueError, FileNotFoundError) as error:
            assert str(error)


# -- sizes that are claimed --------------------------------------------------------------------------------------------


def test_a_weight_of_negative_or_wrong_size() -> None:
    made = small()
    made.graph.initializer[0].dims[0] = -8
    assert "the weight 'w' has the negative size [-8, 3, 3, 3]" in refused(made)
    made.graph.initializer[0].dims[0] = 9
    assert "the tensor 'w' is damaged" in refused(made)


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_sizes_beyond_all_bounds_take_no_memory(size: int) -> None:
    assert "2^40 elements" in refused(model(CONV, {"x": (size, 3, 4096, 4096)}, weights=WEIGHTS))
    wide = model([node("Expand", ["x", "s"], "y")], {"x": (1,)}, weights={"s": np.array([size, 2**20])})
    assert "that is damage" in refused(wide)
    filled = model(
        [node("ConstantOfShape", ["s"], "z"), node("Add", ["x", "z"], "y")],
        {"x": (1,)},
        weights={"s": np.array([size, 2**20])},
    )
    assert "that is damage" in refused(filled)


@pytest.mark.parametrize(
    "changed",
    [{"kernel_shape": [3, 3, 3]}, {"strides": [0, 0]}, {"strides": [-1, 1]}, {"pads": [1]}, {"dilations": [0, 1]}],
    ids=str,
)
def test_a_window_that_makes_no_sense_is_reported(changed: dict) -> None:
    """onnx gives no shape for it; without one nothing can be counted, and the table says so."""
    nodes = [node("Conv", ["x", "w"], "y", **changed)]
    table = nv.cost(nv.from_onnx(model(nodes, {"x": (1, 3, 8, 8)}, weights={"w": (8, 3, 3, 3)})))
    assert table.uncounted["operator"].tolist() == ["Conv (shape unknown)"]


@pytest.mark.parametrize("groups", [0, -3, 2, 5])
def test_groups_that_make_no_sense_are_refused(groups: int) -> None:
    nodes = [node("Conv", ["x", "w"], "y", group=groups)]
    assert "is damaged" in refused(model(nodes, {"x": (1, 3, 8, 8)}, weights={"w": (8, 3, 3, 3)}))


# -- graphs ------------------------------------------------------------------------------------------------------------


def test_a_circle_and_a_value_from_nowhere() -> None:
    circle = [node("Relu", ["b"], "a"), node("Relu", ["a"], "b"), node("Add", ["x", "b"], "y")]
    assert "its nodes form a circle" in refused(model(circle, {"x": (1, 4)}))
    assert "node 'y' (Relu) reads 'z', which nothing makes" in refused(model([node("Relu", ["z"], "y")], {"x": (1, 4)}))


def test_nodes_out_of_order_are_put_in_order() -> None:
    graph = nv.from_onnx(model([node("Relu", ["a"], "y"), node("Tanh", ["x"], "a")], {"x": (1, 4)}))
    assert [n.op.value for n in graph.nodes] == ["input", "tanh", "relu"]


def test_an_input_that_is_no_tensor() -> None:
    made = small()
    made.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, (1,))))
    assert refused(made) == "the model: its input 'x' is no tensor; only tensors can be read."


def test_very_many_nodes_take_no_recursion() -> None:
    names = ["x", *(f"a{i}" for i in range(3000)), "y"]
    chain = [node("Relu", [a], b) for a, b in zip(names, names[1:], strict=False)]
    assert len(nv.from_onnx(model(chain[::-1], {"x": (1, 4)}))) == 3002


def test_a_recursive_function_is_refused() -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ours", 1)]
    body = [node("loop", ["a"], "b", domain="ours")]
    loop = helper.make_function("ours", "loop", ["a"], ["b"], body, opsets)
    made = model([node("loop", ["x"], "y", domain="ours")], {"x": (1, 4)}, domains=["ours"], functions=[loop])
    try:
        table = nv.cost(nv.from_onnx(made))
    except ValueError as error:
        assert "functions cannot be inlined" in str(error)
    else:
        assert table.uncounted["operator"].tolist() == ["ours.loop"]


# -- weights in files of their own -------------------------------------------------------------------------------------


def stored_outside(folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(small(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_external_weights(tmp_path: Path) -> None:
    graph = nv.from_onnx(stored_outside(tmp_path))
    assert graph.params == 8 * 27 + 288 * 5
    assert nv.cost(graph).total["macs"] == 36 * 8 * 27 + 288 * 5


def test_external_weights_that_are_missing_or_short(tmp_path: Path) -> None:
    path = stored_outside(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"short")
    assert "'weights.bin' is too short for the weight" in refused(path)
    (tmp_path / "weights.bin").unlink()
    assert "its weights lie in 'weights.bin', which is missing; put that file beside the model" in refused(path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "", "link/secret.bin"])
def test_external_weights_outside_of_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 16))
    (folder / "link").symlink_to(tmp_path)
    path = stored_outside(folder)
    made = onnx.load(path, load_external_data=False)
    for entry in made.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(made.SerializeToString())
    assert "outside of the model's folder; nothing is read from there" in refused(path)


def test_external_weights_of_a_model_in_memory_need_no_files() -> None:
    made = small()
    for tensor in made.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
    assert nv.from_onnx(made).params == 8 * 27 + 288 * 5


def test_the_model_of_the_user_is_left_alone() -> None:
    made = small()
    before = made.SerializeToString(deterministic=True)
    nv.from_onnx(made)
    assert made.SerializeToString(deterministic=True) == before

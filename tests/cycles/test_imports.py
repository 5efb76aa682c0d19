"""Runs from models and tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from nasviz.cycles import Run, from_frame, from_models
from nasviz.families import get
from nasviz.measure import netscore

NB201 = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"

# --- models -----------------------------------------------------------------------------------------------------------


def test_models_with_weights_metrics_and_layers(tmp_path):
    models = {
        "narrow": nn.Sequential(nn.Linear(4, 2)),
        "wide": nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
    }
    metrics = {"wide": {"accuracy": 0.9, "recall": None}}
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    run = from_models(tmp_path / "run", models, x[:1], metrics=metrics, data=x, name="mine")
    read = Run.open(run.folder)
    assert read.name == "mine" and [cycle.name for cycle in read.cycles] == ["narrow", "wide"]
    narrow, wide = read.cycles
    assert narrow.metrics == {"parameters": 10, "netscore_plus": None, "size_bytes": 40, "flops": 18, "macs": 8}
    assert wide.metrics["netscore_plus"] == netscore(0.9, 58, 48) and wide.metrics["recall"] is None
    assert wide.source == {"import": "models", "class": "Sequential"}
    assert torch.equal(wide.module()(x), models["wide"](x))
    assert set(read.layers[read.layers.metric == "information_capacity"].layer) == {"0", "1", "2"}


def test_a_list_of_models_and_an_example_each(tmp_path):
    run = from_models(tmp_path / "a", [nn.Linear(3, 1), nn.Linear(3, 1), nn.Identity()], torch.zeros(1, 3))
    assert [cycle.name for cycle in run.cycles] == ["Linear", "Linear 2", "Identity"]
    models = {"two": nn.Linear(2, 1), "three": nn.Bilinear(3, 3, 1)}
    examples = {"two": torch.zeros(1, 2), "three": (torch.zeros(1, 3), torch.zeros(1, 3))}
    run = from_models(
        tmp_path / "b", models, examples, metrics={"two": {"loss": 0.2}}, primary="loss", higher_is_better=False
    )
    assert [cycle.metrics["parameters"] for cycle in run.cycles] == [3, 10]
    assert run.cycle(0).metrics["performance"] == 0.2 and run.cycle(0).metrics["netscore_plus"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"models": {}}, "there are no models to import"),
        ({"metrics": {"c": {"accuracy": 1.0}}}, "metrics names 'c'; the models are 'a', 'b'"),
        ({"metrics": {"b": {"accuracy": 93.0}}}, r"accuracy=93: it is a fraction.*percent=\['accuracy'\]"),
        ({"metrics": {"b": {"accuracy": "high"}}}, "a metric is one number"),
        ({"example": torch.zeros(1, 9)}, "Linear failed in its own forward"),
    ],
)
def test_wrong_models_leave_no_run(tmp_path, arguments, sentence):
    given = {"models": {"a": nn.Identity(), "b": nn.Linear(2, 2)}, "example": torch.zeros(1, 2), **arguments}
    with pytest.raises(ValueError, match=sentence):
        from_models(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_wide_csv_with_a_column_map(tmp_path):
    (tmp_path / "a.csv").write_text(
        "step,model,top1,gpu hours,optimizer,parent,note\n10,first,91.5,1.5,sgd,,\n20,second,,2,adam,10,wider\n"
    )
    run = from_frame(
        tmp_path / "run",
        tmp_path / "a.csv",
        columns={"step": "cycle", "model": "name", "top1": "accuracy"},
        percent=["accuracy"],
        units={"gpu hours": "h"},
    )
    first, second = Run.open(run.folder).cycles
    assert (first.name, first.parent, first.note) == ("first", None, "")
    assert (second.name, second.parent, second.note) == ("second", 0, "wider")
    assert first.metrics == {"performance": 0.915, "accuracy": 0.915, "gpu hours": 1.5}
    assert second.metrics == {"performance": None, "accuracy": None, "gpu hours": 2}
    assert first.units["gpu hours"] == "h"
    assert first.source == {"import": "table", "optimizer": "sgd"}


def test_a_long_table_and_the_table_of_a_run_itself(tmp_path):
    long = pd.DataFrame(
        [("b", "accuracy", 0.5), ("a", "accuracy", np.nan), ("b", "loss", 2.0)], columns=["cycle", "metric", "value"]
    )
    run = from_frame(tmp_path / "run", long, units={"loss": "nats"})
    assert [(cycle.index, cycle.name) for cycle in run.cycles] == [(0, "b"), (1, "a")]
    assert run.cycle(0).metrics == {"performance": 0.5, "accuracy": 0.5, "loss": 2}
    assert run.cycle(1).metrics == {"performance": None, "accuracy": None}
    run.metrics.to_csv(tmp_path / "again.csv", index=False)
    again = from_frame(tmp_path / "again", tmp_path / "again.csv")
    pd.testing.assert_frame_equal(again.metrics, run.metrics)


def test_architectures_bring_graph_costs_and_layers(tmp_path):
    frame = pd.DataFrame({"family": "nb201", "arch": NB201, "scale": "digits", "accuracy": [0.9], "macs": [7.0]})
    cycle = from_frame(tmp_path / "run", frame).cycle(0)
    graph = get("nb201").graph(get("nb201").parse(NB201), "digits")
    assert cycle.graph() == graph and cycle.metrics["parameters"] == graph.params
    assert cycle.metrics["macs"] == 7 and cycle.metrics["netscore_plus"] > 0  # the table's own number stands
    assert cycle.layers().parameters.sum() == graph.params
    assert cycle.source == {"import": "table", "family": "nb201", "arch": NB201, "scale": "digits"}


def test_dates_booleans_and_missing_numbers(tmp_path):
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "pruned": [True, False],
            "accuracy": pd.array([1, None], dtype="Int64"),
            "empty": [None, None],
            "worst": [np.inf, 1.0],
        }
    )
    first, second = from_frame(tmp_path / "run", frame).cycles
    assert first.metrics == {"performance": 1, "accuracy": 1, "pruned": 1, "empty": None, "worst": None}
    assert second.metrics["accuracy"] is None and first.source["when"].startswith("2026-01-01")


@pytest.mark.parametrize(
    ("frame", "arguments", "sentence"),
    [
        ({"accuracy": []}, {}, "there are no rows to import"),
        ({"top1": [0.5]}, {}, "no cycle has the metric 'accuracy'; there are 'top1'"),
        ({"accuracy": [93.0]}, {}, "accuracy=93: it is a fraction"),
        ({"accuracy": [0.5]}, {"percent": ["f1"]}, "no cycle has the metric 'f1'"),
        ({"accuracy": [0.5, "failed"]}, {}, "column 'accuracy' holds 'failed' in row 1, among numbers"),
        ({"accuracy": ["a", "b"]}, {}, "no cycle has the metric 'accuracy'"),
        ({"accuracy": [0.5]}, {"columns": {"top1": "accuracy"}}, "columns names 'top1'; the table has accuracy"),
        ({"accuracy": [0.5], "a": [1]}, {"columns": {"a": "accuracy"}}, "two columns claim the name 'accuracy'"),
        ({"accuracy": [0.5, 0.5], "cycle": [1, 1]}, {}, "cycle 1 has two rows"),
        ({"accuracy": [0.5, 0.5], "parent": [1, np.nan]}, {}, "row 0 has the parent 1.0, which is no cycle before it"),
        ({"accuracy": [0.5], "performance": [0.5]}, {}, "give it as 'accuracy'"),
        ({"accuracy": [0.5], "family": ["nb201"], "arch": ["x"]}, {}, "is not a NAS-Bench-201 cell"),
        ({"cycle": [0, 0], "metric": ["accuracy"] * 2, "value": [1, 2]}, {}, "cycle 0 has two values of 'accuracy'"),
        ({"cycle": [0], "metric": ["accuracy"], "value": ["x"]}, {}, "column 'value' holds 'x' in row 0"),
    ],
)
def test_wrong_tables_leave_no_run(tmp_path, frame, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_frame(tmp_path / "run", pd.DataFrame(frame), **arguments)
    assert not (tmp_path / "run").exists()


def test_wrong_files_and_taken_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        from_frame(tmp_path / "run", tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        from_frame(tmp_path / "run", tmp_path / "empty.csv")
    frame = pd.DataFrame({"accuracy": [0.5]})
    from_frame(tmp_path / "run", frame)
    with pytest.raises(FileExistsError, match="holds a run already"):
        from_frame(tmp_path / "run", frame)
    assert len(Run.open(tmp_path / "run")) == 1

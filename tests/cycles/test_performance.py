"""Sound plug-ins: the seed's example and nasviz's own against scikit-learn, with any number of workers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score
from torch import nn

from nasviz.cycles.confusion import ConfusionMatrix
from nasviz.cycles.evaluation import evaluate
from nasviz.cycles.performance import PerformanceMetric, ask, check_primary, metric_names
from nasviz.cycles.run import Run
from tests.cycles import plugins
from tests.cycles.plugins import CLASSES, Samples
from tests.cycles.seed_plugin import ExampleMetrics

VALIDATION, TEST = Samples(150, 1), Samples(203, 2)
BOTH = {"validation": VALIDATION, "test": TEST}


def run(tmp_path, plugins_, datasets=BOTH, **options):
    return evaluate(nn.Identity(), datasets, plugins_, tmp_path, **{"batch_size": 16, **options})


def truth(data):
    guess = data.image.argmax(1)
    return {
        "accuracy": accuracy_score(data.label, guess),
        "recall": recall_score(data.label, guess, average="macro"),
        "precision": precision_score(data.label, guess, average="macro"),
    }


def test_the_seeds_example_works_as_written(tmp_path):
    job = PerformanceMetric(ExampleMetrics, input_keys=("prediction_values",))
    found = run(tmp_path, [job], fetch={"prediction_values": "prediction"}, primary="recall")
    assert found.warnings == []
    for phase, data in BOTH.items():
        expected = truth(data)
        assert found.metrics[phase] == pytest.approx({key: expected[key] for key in ("recall", "precision")})
    assert metric_names([ExampleMetrics]) == ["recall", "precision"]


def test_the_seeds_example_gives_none_for_a_class_without_samples(tmp_path):
    """The data have classes 0 to 9; without the samples of class 3 its recall divides by zero."""
    data = Samples(100)
    keep = data.label != 3
    data.label, data.image = data.label[keep], data.image[keep]
    found = run(tmp_path, [ExampleMetrics], {"test": data}, fetch={"prediction_values": "prediction"})
    assert found.metrics["test"]["recall"] is None
    assert found.warnings == []


@pytest.mark.parametrize("workers", [1, 4, 2])
def test_any_number_of_workers_gives_the_same(tmp_path, workers):
    names = [f"tests.cycles.plugins:{name}" for name in ("Counts", "Order", "Files")]
    seed = "tests.cycles.seed_plugin:ExampleMetrics"
    options = {"fetch": {"prediction_values": "prediction"}, "workers": workers, "collect": ["prediction", "index"]}
    found = run(tmp_path, [*names, seed], **options)
    assert found.warnings == []
    for phase, data in BOTH.items():
        expected = {"Counts_count": len(data), "in_order": 1.0, "never": None, "from_files": len(data)}
        expected |= {key: value for key, value in truth(data).items() if key != "accuracy"}
        assert found.metrics[phase] == pytest.approx(expected)
        assert np.concatenate(found.collected[phase]["index"]).tolist() == list(range(len(data)))
        assert (np.concatenate(found.collected[phase]["prediction"]) == data.image.argmax(1)).all()
        folders = found.artifacts[phase]["report"].read_text().splitlines()
        assert len(set(folders)) == workers + 1  # each instance had its own
        assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts"]  # scratch is gone


def test_the_confusion_matrix(tmp_path):
    found = run(tmp_path, ["confusion_matrix"], workers=2, primary="accuracy")
    for phase, data in BOTH.items():
        assert found.metrics[phase] == pytest.approx(truth(data))
        matrix = pd.read_parquet(found.artifacts[phase]["confusion_matrix"])
        assert (matrix.to_numpy() == confusion_matrix(data.label, data.image.argmax(1))).all()
        assert matrix.index.name == "true"


def test_what_was_found_goes_into_a_cycle_none_too(tmp_path):
    found = run(tmp_path / "run", ["confusion_matrix", plugins.Order], {"test": TEST})
    cycles = Run.create(tmp_path / "run")
    cycle = cycles.add(metrics=found.metrics["test"], artifacts=found.artifacts["test"])
    values = cycles.metrics.set_index("metric").value
    assert values["accuracy"] == pytest.approx(truth(TEST)["accuracy"])
    assert np.isnan(values["never"])
    assert pd.read_parquet(cycle.artifacts["confusion_matrix"]).to_numpy().sum() == len(TEST)


def test_the_confusion_matrix_of_two_classes_and_of_pixels(tmp_path):
    metric = ConfusionMatrix(str(tmp_path))
    logits = np.array([[[1.0, 0.0]], [[0.0, 3.0]]]).transpose(1, 0, 2)  # one image, two classes, two pixels: 0 and 1
    metric.update((None, np.array([[0, 0]])), {"logits": logits})
    found = metric.reduce_all_worker_results([metric.get_worker_results(), None])
    assert found == {"accuracy": 0.5, "recall": None, "precision": 0.5}
    for label in (2, -1):
        with pytest.raises(ValueError, match="labels are integers from 0 to 1"):
            metric.update((None, np.array([[0, label]])), {"logits": logits})
    with pytest.raises(ValueError, match="do not fit"):
        metric.update((None, np.array([0, 0])), {"logits": logits})


def test_an_update_overrides_tensors_downstream_and_nothing_else(tmp_path):
    order = [plugins.Overrides, plugins.Vandal, PerformanceMetric(ExampleMetrics, ("prediction_values",))]
    fetch = {"prediction": "prediction", "prediction_values": "prediction", "logits": "logits"}
    found = run(tmp_path, order, {"test": TEST}, fetch=fetch, collect=["prediction", "extra", "label", "nowhere"])
    got = found.collected["test"]
    guess = TEST.image.argmax(1)
    assert (np.concatenate(got["prediction"]) == guess + 100).all()
    assert got["extra"] == ["any"] * 13
    assert (np.concatenate(got["label"]) == TEST.label).all()  # the vandal had copies
    assert found.metrics["test"]["recall"] == pytest.approx(truth(TEST)["recall"])
    assert [text.split(":")[0] for text in found.warnings] == ["collect"]
    assert "'nowhere'" in found.warnings[0]


def test_layers_are_fetched_before_later_ones_write_into_them(tmp_path):
    net = nn.Sequential(nn.Linear(CLASSES, 4, bias=False), nn.ReLU(inplace=True), nn.Linear(4, 2)).train()
    dropped = nn.Sequential(net, nn.Dropout(0.9))
    data = torch.utils.data.TensorDataset(torch.tensor(TEST.image), torch.tensor(TEST.label))
    before = torch.random.get_rng_state()
    found = evaluate(
        dropped,
        {"test": data},
        [],
        tmp_path,
        fetch={"first": "0.0"},
        fields=["x", "label"],
        collect=["first", "logits"],
    )
    assert torch.equal(before, torch.random.get_rng_state())
    expected = TEST.image @ net[0].weight.detach().numpy().T
    assert np.concatenate(found.collected["test"]["first"]) == pytest.approx(expected, abs=1e-5)
    assert expected.min() < 0
    # The given network is as it was.
    assert dropped.training
    assert net.training
    assert not net[0]._forward_hooks


def test_a_wrong_primary_metric_is_refused_when_the_job_starts(tmp_path):
    with pytest.raises(
        ValueError, match=r"'recal' is no metric .* known are recall, precision\. Did you mean 'recall'"
    ):
        run(tmp_path, [ExampleMetrics], fetch={"prediction_values": "prediction"}, primary="recal")
    with pytest.raises(ValueError, match="licence server"):
        check_primary("score", ask([plugins.RaisesInInit]))
    check_primary("netscore_plus", [], also=["netscore_plus"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"datasets": {}}, "mapping from phases"),
        ({"datasets": {"../up": TEST}}, "is no name"),
        ({"datasets": {"test": Samples(0)}}, "length above 0"),
        ({"workers": 0}, "workers=0"),
        ({"workers": True}, "workers=True"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"fetch": {"a": "layer9"}}, "'layer9', which is no layer"),
        ({"plugins_": [PerformanceMetric(plugins.Counts, ("prediction_values",))]}, "input key 'prediction_values'"),
        ({"plugins_": [PerformanceMetric(plugins.Counts, "logits")]}, "give a tuple of names"),
        ({"plugins_": [plugins.Counts, plugins.Counts]}, "given by .*Counts and by .*Counts"),
        ({"fields": ["image"]}, "fields"),
        ({"inputs": "picture"}, "no field 'picture'; it has 'image', 'label', 'index'"),
    ],
)
def test_a_wrong_job_is_refused(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        run(tmp_path, **{"plugins_": [plugins.Counts], **options})
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_classes_has_no_prediction(tmp_path):
    data = torch.utils.data.TensorDataset(torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"has the shape \(4, 1\); it needs two classes"):
        evaluate(nn.Identity(), {"test": data}, [], tmp_path, collect=["prediction"])
    found = evaluate(nn.Identity(), {"test": data}, [], tmp_path, collect=["logits"])
    assert found.collected["test"]["logits"][0].shape == (4, 1)

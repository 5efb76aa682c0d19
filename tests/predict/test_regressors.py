"""The ensemble's members: what each predicts, by hand; what each may learn from; fine-tuning that leaves it alone."""

import numpy as np
import pytest
import torch

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.encoder import Encoder
from nasviz.predict.ensemble import partition
from nasviz.predict.folds import Fold
from nasviz.predict.metrics import srcc
from nasviz.predict.population import Population
from nasviz.predict.regressors import VARIANTS, FlopsRanker, GNNRegressor, HeadRegressor
from nasviz.predict.tensors import batches


@pytest.fixture(scope="module")
def parts(nb101):
    return partition(nb101)


@pytest.fixture(scope="module")
def training(parts) -> Fold:
    return parts["training"]


@pytest.fixture(scope="module")
def validation(parts) -> Fold:
    return parts["validation 1"]


@pytest.fixture(scope="module")
def target(nb201) -> Fold:
    return Fold.of(nb201.graphs(), nb201.table["accuracy"])


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.random.manual_seed(0)
    return Encoder().eval()


@pytest.fixture(scope="module")
def space(encoder, training) -> ClusterSpace:
    return ClusterSpace(2).fit(training.population.embedding(encoder), training.population.flops)


@pytest.fixture
def regressor(encoder, space):
    return lambda variant: HeadRegressor(variant, encoder, space, flops_unit=1e6)


@pytest.fixture(scope="module")
def kgnn(training, validation) -> GNNRegressor:
    return GNNRegressor().fit(training, validation, epochs=3)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone()


# Heads


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_prediction_is_the_head_with_the_transform_undone(
    regressor, encoder, space, training, validation, target, variant
):
    member = regressor(variant).fit(training, validation, epochs=1)
    population, ours = target.population, training.population
    theirs, flops = ours.embedding(encoder), population.flops
    spread = theirs.std(0)
    h = (population.embedding(encoder) - theirs.mean(0)) / np.maximum(spread, 0.1 * spread.mean())
    h = torch.tensor(h, dtype=torch.float32)
    with torch.no_grad():
        if "FCM" in variant:
            u = torch.tensor(space.memberships(population.embedding(encoder), flops))
            y = (u * torch.stack([member.head.head(j)(h) for j in range(2)], 1)).sum(1)
        else:
            y = member.head(h)
    accuracy, divisor = training.accuracy, 1.0
    if variant.endswith("+T"):  # eq. 5 with F in units of 1e6
        accuracy, divisor = accuracy / (np.log10(ours.flops / 1e6 + 1) + 1), np.log10(flops / 1e6 + 1) + 1
    expected = (y.numpy() * accuracy.std() + accuracy.mean()) * divisor
    np.testing.assert_allclose(member.predict(population), expected, rtol=1e-4)


def test_heads_learn(regressor, training, validation):
    member = regressor("CL").fit(training, validation, epochs=40)
    assert srcc(member.predict(training.population), training.accuracy) > 0.8
    assert member.history_["train_loss"].iloc[-1] < 0.5 * member.history_["train_loss"].iloc[0]


@pytest.mark.parametrize("variant", ["CL", "CL+FCM+T"])
def test_labels_of_validation_choose_the_epoch_and_nothing_else(regressor, training, validation, variant):
    labels = (validation.accuracy, np.zeros(len(validation)), np.ones(len(validation)))
    members = [regressor(variant).fit(training, Fold(validation.population, y), epochs=4) for y in labels]
    for other in members[1:]:
        assert other.history_["train_loss"].equals(members[0].history_["train_loss"])
        assert other.transform.to_dict() == members[0].transform.to_dict()
        np.testing.assert_array_equal(other.scale_, members[0].scale_)
    by_epoch = {member.history_["kept"].argmax(): weights(member.head) for member in members}
    assert len(by_epoch) > 1, "or the test shows nothing"
    for member in members:
        assert torch.equal(weights(member.head), by_epoch[member.history_["kept"].argmax()])


def test_a_unit_that_is_silent_in_training_does_not_shout_elsewhere(regressor, encoder, space, training, validation):
    h = training.population.embedding(encoder).copy()
    h[:, 5] = 0
    silent = Population(training.population.dataset, training.population.flops, {id(encoder): (encoder, h)})
    member = regressor("CL").fit(Fold(silent, training.accuracy), validation, epochs=1)
    other = validation.population.embedding(encoder).copy()
    other[:, 5] = h.std(0).mean()
    awake = Population(validation.population.dataset, validation.population.flops, {id(encoder): (encoder, other)})
    inputs, _ = member._inputs(awake)
    assert np.abs(inputs[:, 5]).max() == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("variant", ["CL+T", "CL+FCM"])
def test_fine_tuning_heads_makes_a_new_regressor(regressor, training, validation, target, variant):
    member = regressor(variant).fit(training, validation, epochs=2)
    before, predicted = weights(member.head), member.predict(target.population)
    few = target.take(range(12))
    tuned = member.fine_tune(few, epochs=20)
    assert torch.equal(weights(member.head), before)
    np.testing.assert_array_equal(member.predict(target.population), predicted)
    assert tuned.encoder is member.encoder and tuned.transform is member.transform and tuned.scale_ is member.scale_

    def error(model):
        return np.abs(model.predict(few.population) - few.accuracy).mean()

    assert error(tuned) < 0.7 * error(member)


def test_an_unknown_variant_is_told(regressor):
    with pytest.raises(ValueError, match="variant='CL[+]X': known variants are CL, CL[+]T, CL[+]FCM, CL[+]FCM[+]T"):
        regressor("CL+X")


# k-GNN


def test_the_k_gnn_predicts_each_network_in_its_place(kgnn, training, target):
    together = kgnn.predict(target.population)
    alone = [kgnn.predict(target.population.take([i]))[0] for i in range(len(target))]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    _, batch = next(iter(batches(target.population.dataset, [4], 1)))
    with torch.no_grad():
        y = kgnn.network(batch).item()
    assert together[4] == pytest.approx(y * training.accuracy.std() + training.accuracy.mean(), rel=1e-5)


def test_the_k_gnn_learns(training, validation):
    member = GNNRegressor().fit(training, validation, epochs=20, batch_size=8, lr=5e-3)
    assert member.history_["loss"].iloc[-1] < 0.8 * member.history_["loss"].iloc[0]
    assert srcc(member.predict(training.population), training.accuracy) > 0.6
    watched = member.history_["validation_srcc"]
    assert watched.iloc[-1] == pytest.approx(srcc(member.predict(validation.population), validation.accuracy))


def test_validation_is_only_watched_by_the_k_gnn(kgnn, training, validation, target):
    other = GNNRegressor().fit(training, target, epochs=3)
    assert torch.equal(weights(kgnn.network), weights(other.network))
    assert kgnn.history_["loss"].equals(other.history_["loss"])
    seeds = [GNNRegressor().fit(training, validation, epochs=1, seed=seed).network for seed in (0, 1)]
    assert not torch.equal(weights(seeds[0]), weights(seeds[1]))


def test_fine_tuning_the_k_gnn_makes_a_new_one(kgnn, target):
    before = weights(kgnn.network)
    few = target.take(range(8))
    tuned = kgnn.fine_tune(few, epochs=8)
    assert torch.equal(weights(kgnn.network), before) and not torch.equal(weights(tuned.network), before)
    assert tuned.transform is kgnn.transform and not tuned.network.training

    def error(model):
        return np.abs(model.predict(few.population) - few.accuracy).mean()

    assert error(tuned) < error(kgnn)


def test_the_k_gnns_checkpoint_knows_its_labels(training, validation, tmp_path):
    path = tmp_path / "kgnn.safetensors"
    first, again = (GNNRegressor().fit(training, validation, epochs=1, checkpoint=path) for _ in range(2))
    assert torch.equal(weights(first.network), weights(again.network))
    shuffled = Fold(training.population, training.accuracy[::-1])
    with pytest.raises(ValueError, match="checkpoint of another training"):
        GNNRegressor().fit(shuffled, validation, epochs=1, checkpoint=path)


@pytest.mark.parametrize("convolution", ["GCN", "GIN"])
def test_other_convolutions_learn_too_and_are_others(kgnn, training, validation, target, convolution):
    member = GNNRegressor(convolution).fit(training, validation, epochs=3, batch_size=8, lr=5e-3)
    assert member.history_["loss"].iloc[-1] < member.history_["loss"].iloc[0]
    few = target.take(range(4))
    assert np.abs(member.predict(few.population) - kgnn.predict(few.population)).max() > 1e-5
    tuned = member.fine_tune(few, epochs=1)
    assert tuned.convolution == convolution and tuned.network.gnn.convolution == convolution
    assert not torch.equal(weights(tuned.network), weights(member.network))


# FLOPs


def test_flops_rank_by_flops(target):
    ranker = FlopsRanker()
    np.testing.assert_allclose(10 ** ranker.predict(target.population), target.population.flops)
    assert ranker.fine_tune(target) is ranker
    nothing = Population(target.population.dataset[:1], np.zeros(1))
    assert ranker.predict(nothing).tolist() == [0]

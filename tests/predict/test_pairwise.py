"""Pairwise classifiers: antisymmetric, ranked as Python would with the same comparator, and blind to what they must
not see."""

from functools import cmp_to_key

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.encoder import Encoder
from nasviz.predict.ensemble import partition
from nasviz.predict.folds import Fold
from nasviz.predict.pairwise import PAIRWISE, PairNetwork, PairwiseRanker


@pytest.fixture(scope="module")
def parts(nb101):
    return partition(nb101)


@pytest.fixture(scope="module")
def target(nb201) -> Fold:
    return Fold.of(nb201.graphs(), nb201.table["accuracy"])


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder().eval()


@pytest.fixture(scope="module")
def space(encoder, parts) -> ClusterSpace:
    population = parts["training"].population
    return ClusterSpace(3, 1.5).fit(population.embedding(encoder), population.flops)


@pytest.fixture(scope="module")
def fitted(encoder, space, parts):
    """Both variants, trained for a while."""
    return {
        name: PairwiseRanker(name, encoder, space).fit(parts["training"], parts["validation 1"], epochs=30)
        for name in PAIRWISE
    }


@pytest.fixture(params=PAIRWISE)
def ranker(request, fitted) -> PairwiseRanker:
    return fitted[request.param]


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def vectors(ranker: PairwiseRanker, fold: Fold) -> torch.Tensor:
    h, u, _ = ranker._tensors(fold)
    with torch.no_grad():
        return ranker.network(h, u)


# The network


def test_the_paper_s_sizes():
    network = PairNetwork(128, 5)
    shapes = [tuple(weight.shape) for weight in network.head.weights]
    assert shapes == [(5, 128, 128)] * 4 + [(5, 128, 16)]
    assert network.compare.network[0].in_features == 32 and network.compare.config["out"] == 1
    assert PairNetwork(128).head.config["hidden"] == 128


def test_memberships_sum_the_heads_vectors(fitted, target):
    ranker = fitted["CL+FCM+Pairwise"]
    h, u, _ = ranker._tensors(target)
    assert u.shape == (24, 3)
    alone = torch.stack([ranker.network.head.head(j)(h) for j in range(3)], 1)
    torch.testing.assert_close(vectors(ranker, target), torch.einsum("nc,nco->no", u, alone).detach())


def test_whoever_asks_the_other_way_round_gets_the_opposite_answer(ranker, target):
    v = vectors(ranker, target)
    a, b = torch.triu_indices(24, 24, 0)
    with torch.no_grad():
        there, back = ranker.network.logits(v[a], v[b]), ranker.network.logits(v[b], v[a])
    assert torch.equal(there, -back) and (there[a == b] == 0).all() and there.abs().max() > 0.1
    compared = ranker.network.comparator(v)(a.numpy(), b.numpy())
    np.testing.assert_allclose(compared, there, atol=1e-5)


# The ranking


def test_the_ranking_is_pythons_sort_with_the_same_comparator(ranker, target):
    compare = ranker.network.comparator(vectors(ranker, target))
    table = compare(*np.indices((24, 24)).reshape(2, -1)).reshape(24, 24)
    wins = (table > 0).sum(1)
    assert sorted(wins) == [*range(24)], "the classifier contradicts itself here, so there are several orders"
    expected = sorted(range(24), key=cmp_to_key(lambda a, b: -table[a, b]))
    score = ranker.predict(target.population)
    assert np.argsort(-score).tolist() == expected
    np.testing.assert_allclose(sorted(score), np.linspace(0, 1, 24))


def test_the_order_of_the_list_does_not_matter(ranker, target):
    rows = np.random.default_rng(0).permutation(24)
    np.testing.assert_array_equal(ranker.predict(target.population.take(rows)), ranker.predict(target.population)[rows])


def test_equal_networks_share_their_place(ranker, target):
    score = ranker.predict(target.population.take([3, 5, 3, 3]))
    assert score[0] == score[2] == score[3] != score[1]
    assert ranker.predict(target.population.take([3])).tolist() == [1]


# Learning


def test_pairs_are_learned(ranker, parts):
    training, validation = parts["training"], parts["validation 1"]
    history = ranker.history_
    assert history["train_loss"].iloc[-1] < 0.7 * history["train_loss"].iloc[0]
    assert history["kept"].sum() == 1 and history["kept"].idxmax() == history["validation_loss"].idxmin()
    assert spearmanr(ranker.predict(training.population), training.accuracy).statistic > 0.8
    i, j = np.triu_indices(3, 1)
    logit = ranker.network.comparator(vectors(ranker, validation))(i, j)
    right = (validation.accuracy[i] > validation.accuracy[j]) * 2 - 1
    expected = np.log1p(np.exp(-right * logit)).mean()
    assert history["validation_loss"].min() == pytest.approx(expected, rel=1e-4)


def test_labels_of_validation_choose_the_epoch_and_nothing_else(encoder, space, parts):
    training, validation = parts["training"], parts["validation 1"]
    labels = ([0.1, 0.5, 0.9], [0.9, 0.5, 0.1])
    members = [
        PairwiseRanker("CL+Pairwise", encoder, space).fit(training, Fold(validation.population, np.array(y)), epochs=4)
        for y in labels
    ]
    assert members[0].history_["train_loss"].equals(members[1].history_["train_loss"])
    kept = [member.history_["kept"].argmax() for member in members]
    assert kept[0] != kept[1], "or the test shows nothing"
    assert not torch.equal(weights(members[0].network), weights(members[1].network))


def test_only_the_order_of_labels_counts(encoder, space, parts):
    training, validation = parts["training"], parts["validation 1"]
    stretched = Fold(training.population, training.accuracy**3)
    one, other = (
        PairwiseRanker("CL+Pairwise", encoder, space).fit(fold, validation, epochs=2) for fold in (training, stretched)
    )
    assert torch.equal(weights(one.network), weights(other.network))
    equal = Fold(training.population, np.full(len(training), 0.5))
    untouched = PairwiseRanker("CL+Pairwise", encoder, space).fit(equal, validation, epochs=1)
    assert torch.equal(weights(untouched.network), weights(PairNetwork(128, seed=0))), "equals are no pairs"


def test_fine_tuning_makes_a_new_ranker(ranker, target):
    before, few = weights(ranker.network), target.take(range(12))
    reversed_ = Fold(few.population, few.accuracy[::-1].copy())
    tuned, again = (ranker.fine_tune(reversed_, epochs=40, seed=3) for _ in range(2))
    assert torch.equal(weights(ranker.network), before)
    assert torch.equal(weights(tuned.network), weights(again.network))
    assert tuned.shift_ is ranker.shift_ and not tuned.network.training
    old, new = (spearmanr(r.predict(few.population), reversed_.accuracy).statistic for r in (ranker, tuned))
    assert new > 0.8 > old


def test_heads_without_networks_keep_their_weights_and_their_say(fitted, target, monkeypatch):
    ranker = fitted["CL+FCM+Pairwise"]
    few = target.take(range(8))
    memberships = np.tile([0.7, 0.2995, 0.0005], (8, 1))
    monkeypatch.setattr(ranker.space, "memberships", lambda h, flops: memberships[: len(h)])
    tuned = ranker.fine_tune(few, epochs=2)
    for before, after in zip(ranker.network.head.parameters(), tuned.network.head.parameters(), strict=True):
        assert torch.equal(before[2], after[2]) and not torch.equal(before[:2], after[:2])
    seen, original = [], PairNetwork.logits
    monkeypatch.setattr(PairNetwork, "logits", lambda self, a, b: seen.append((a, b)) or original(self, a, b))
    ranker.fine_tune(few, epochs=1)
    first = vectors(ranker, few)
    a, _ = seen[0]  # the vectors of the first step, before any weight has moved
    assert all(torch.isclose(row, first, atol=1e-5).all(1).any() for row in a), "the third head's part is added"


def test_an_unknown_variant_is_told(encoder, space):
    with pytest.raises(ValueError, match="variant='CL': known variants are CL[+]Pairwise, CL[+]FCM[+]Pairwise"):
        PairwiseRanker("CL", encoder, space)

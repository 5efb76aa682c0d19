"""Zero-cost proxies: closed forms by hand, properties of each, and a module that stays as it was."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nasviz.graph.cost import total_flops
from nasviz.graph.trace import trace
from nasviz.predict.proxies import PROXIES, orderable, zero_cost_proxies


def images(n=8, shape=(1, 8, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def network(seed=0) -> nn.Module:
    """Convolutions, batch norm, in-place ReLU, dropout, pooling, a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
        )  # fmt: skip


# Closed forms


def test_synflow_of_a_linear_chain_is_layers_times_flow():
    chain = nn.Sequential(nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False))
    a, b, c = (layer.weight.detach().double().abs() for layer in chain)
    flow = (c @ b @ a @ torch.ones(5, dtype=torch.float64)).sum()  # R; each layer's Σ W ∂R/∂W is R (Tanaka, eq. 2)
    score = zero_cost_proxies(chain, images(2, (5,))[0], names=["synflow"])["synflow"]
    assert score == pytest.approx(3 * flow.item(), rel=1e-12)


def test_synflow_leaves_norms_out_and_stays_finite_where_float32_would_not():
    bare = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(60)))
    normed = nn.Sequential(*(part for layer in bare for part in (layer, nn.BatchNorm1d(64))))
    for layer in bare:
        nn.init.constant_(layer.weight, 1.0)
    x = images(3, (64,))[0]
    score = zero_cost_proxies(bare, x, names=["synflow"])["synflow"]
    assert score == pytest.approx(60 * 64.0**61, rel=1e-9) and torch.finfo(torch.float32).max < 64.0**61
    assert zero_cost_proxies(normed, x, names=["synflow"])["synflow"] == score


def test_snip_and_grad_norm_of_one_linear_layer_by_hand():
    layer = nn.Linear(4, 3)
    x, y = images(5, (4,))
    p = torch.softmax(layer(x), 1).detach() - F.one_hot(y, 3)  # ∂L/∂logits, times N
    gradient = p.T @ x / 5
    scores = zero_cost_proxies(layer, x, y, ["snip", "grad_norm"])
    assert scores["snip"] == pytest.approx((layer.weight * gradient).abs().sum().item(), rel=1e-5)
    assert scores["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-5)


def test_fisher_of_one_linear_layer_and_of_a_convolution_by_hand():
    layer = nn.Linear(4, 3)
    x, y = images(5, (4,))
    logits = layer(x).detach()
    delta = (torch.softmax(logits, 1) - F.one_hot(y, 3)) / 5
    assert zero_cost_proxies(layer, x, y, ["fisher"])["fisher"] == pytest.approx(
        ((logits * delta) ** 2).mean(0).sum().item() / 2, rel=1e-5
    )
    # Behind a mean over positions each of the 4 gets a quarter of the gradient: Σ_positions a g is mean(a) · delta.
    conv = nn.Sequential(nn.Conv2d(1, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x, y = images(5, (1, 2, 2))
    logits = conv(x).detach()
    delta = (torch.softmax(logits, 1) - F.one_hot(y, 3)) / 5
    assert zero_cost_proxies(conv, x, y, ["fisher"])["fisher"] == pytest.approx(
        ((logits * delta) ** 2).mean(0).sum().item() / 2, rel=1e-5
    )


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.Hardswish()])
def test_naswot_of_two_images(relu):
    layer = nn.Sequential(nn.Linear(2, 3, bias=False), relu)
    layer[0].weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    x = torch.tensor([[1.0, -2.0], [1.0, 2.0]])  # codes 100 and 111: they agree in one of three
    assert zero_cost_proxies(layer, x, names=["naswot"])["naswot"] == pytest.approx(math.log(3 * 3 - 1 * 1))


def test_naswot_sees_functions_and_refuses_twins():
    class Net(nn.Module):
        def forward(self, x):
            return F.relu(x) + torch.relu(-x) + x.relu()

    x = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert zero_cost_proxies(Net(), x, names=["naswot"])["naswot"] == pytest.approx(math.log(6 * 6 - 3 * 3))
    assert zero_cost_proxies(Net(), x[[0, 0]], names=["naswot"])["naswot"] == -math.inf
    assert math.isnan(zero_cost_proxies(nn.Linear(2, 2), x, names=["naswot"])["naswot"]), "no rectifier, no code"


def test_jacov_of_a_linear_network_and_of_orthogonal_rows():
    # All images have the same Jacobian row: correlations are 1, eigenvalues N and N - 1 zeros.
    x = images(4, (9,))[0]
    k, n = 1e-5, 4
    expected = -(math.log(n + k) + 1 / (n + k) + (n - 1) * (math.log(k) + 1 / k))
    assert zero_cost_proxies(nn.Linear(9, 3), x, names=["jacov"])["jacov"] == pytest.approx(expected, rel=1e-4)

    class Square(nn.Module):
        def forward(self, x):
            return x**2 / 2  # the Jacobian's rows are the images

    rows = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])  # uncorrelated
    score = zero_cost_proxies(Square(), rows, names=["jacov"])["jacov"]
    assert score == pytest.approx(-3 * (math.log(1 + k) + 1 / (1 + k)))
    assert score >= zero_cost_proxies(Square(), images(3, (4,))[0], names=["jacov"])["jacov"], (
        "no batch can be spread more"
    )


def test_flops_and_params_are_those_of_the_graph():
    module, (x, _) = network(), images()
    scores = zero_cost_proxies(module, x, names=["params", "flops"])
    assert list(scores) == ["params", "flops"]
    assert scores["params"] == sum(p.numel() for p in module.parameters())
    assert scores["flops"] == total_flops(trace(module, x[:1]))


def test_on_a_whole_network_the_numbers_are_those_of_plain_passes_and_hooks():
    """As the papers' own code goes about it: gradients by backward, activations by hooks, on a copy."""
    module, (x, y) = network().train(), images()
    module[5].p = 0.0
    twin, seen = copy.deepcopy(module), []
    twin[2].inplace = twin[4].inplace = False
    for layer in twin:
        layer.register_forward_hook(lambda part, inputs, output: seen.append((part, inputs[0], output)))
    output = twin(x)
    kept = [(part, out) for part, _, out in seen if isinstance(part, nn.Conv2d | nn.Linear)]
    loss = F.cross_entropy(output, y)
    of_outputs = torch.autograd.grad(loss, [out for _, out in kept], retain_graph=True)
    loss.backward()
    fisher = 0.0
    for (_, out), gradient in zip(kept, of_outputs, strict=True):
        product = out * gradient
        product = product.sum((2, 3)) if product.ndim == 4 else product
        fisher += 0.5 * product.pow(2).mean(0).sum().item()
    codes = torch.cat([(before > 0).flatten(1) for part, before, _ in seen if isinstance(part, nn.ReLU)], 1).double()
    agree = codes @ codes.T + (1 - codes) @ (1 - codes).T

    bare = nn.Sequential(*(part for part in copy.deepcopy(module) if not isinstance(part, nn.BatchNorm2d))).double()
    for parameter in bare.parameters():
        parameter.data.abs_()
    bare.eval()(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    weights = [part.weight for part in twin if isinstance(part, nn.Conv2d | nn.Linear)]
    flow = [part.weight for part in bare if isinstance(part, nn.Conv2d | nn.Linear)]
    expected = {
        "synflow": sum((w * w.grad).abs().sum().item() for w in flow),
        "fisher": fisher,
        "snip": sum((w * w.grad).abs().sum().item() for w in weights),
        "grad_norm": sum(w.grad.norm().item() for w in weights),
        "naswot": torch.logdet(agree).item(),
    }
    assert zero_cost_proxies(module, x, y, list(expected)) == pytest.approx(expected, rel=1e-5)


# Properties


def test_jacov_does_not_change_with_the_scale_of_the_output_or_the_order_of_the_images():
    module, (x, _) = network().eval(), images()
    module[5].p = 0.0  # dropout draws by position
    before = zero_cost_proxies(module, x, names=["jacov"])["jacov"]
    assert zero_cost_proxies(module, x.flip(0), names=["jacov"])["jacov"] == pytest.approx(before, rel=1e-3)
    module[-1].weight.data *= 100
    assert zero_cost_proxies(module, x, names=["jacov"])["jacov"] == pytest.approx(before, rel=1e-3)


def test_snip_is_the_first_order_effect_of_a_scale():
    """Σ W ∂L/∂W is the derivative of L by a common factor of the weights; SNIP bounds its size."""
    layer = nn.Linear(4, 3, bias=False)
    x, y = images(6, (4,))
    factor = torch.ones((), requires_grad=True)
    F.cross_entropy(x @ (factor * layer.weight).T, y).backward()
    assert zero_cost_proxies(layer, x, y, ["snip"])["snip"] >= abs(factor.grad.item())


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    module, (x, y) = network(), images()
    first, again = zero_cost_proxies(module, x, y, seed=1), zero_cost_proxies(module, x, y, seed=1)
    assert first == again and list(first) == list(PROXIES)
    other = zero_cost_proxies(module, x, y, seed=2)  # other dropout
    assert other["snip"] != first["snip"] and other["synflow"] == first["synflow"]


def test_it_works_without_gradients_and_with_frozen_weights():
    module, (x, y) = network(), images()
    expected = zero_cost_proxies(module, x, y)
    with torch.no_grad():
        assert zero_cost_proxies(module.requires_grad_(False), x, y) == expected


def test_outputs_that_come_in_a_tuple_count_by_the_first():
    class WithAuxiliary(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            return self.body(x), x

    module, (x, y) = network(), images()
    wrapped = zero_cost_proxies(WithAuxiliary(module), x, y, ["snip", "fisher", "jacov", "synflow"])
    assert wrapped == zero_cost_proxies(module, x, y, ["snip", "fisher", "jacov", "synflow"])


def test_a_transformer_on_features_and_on_tokens():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3))
        tokens = nn.Sequential(nn.Embedding(7, 8), body)
        x, ids = torch.randn(4, 5, 8), torch.randint(7, (4, 5))
    names = [name for name in PROXIES if name != "synflow"]
    scores = zero_cost_proxies(body, x, torch.zeros(4, 5, 3), names, loss=F.mse_loss)
    assert all(math.isfinite(value) and value != 0 for value in scores.values())
    assert zero_cost_proxies(tokens, ids, names=["synflow"])["synflow"] > 0
    with pytest.raises(ValueError, match="jacov needs inputs that can be moved a little, got torch.int64"):
        zero_cost_proxies(tokens, ids, names=["jacov"])


# The module stays as it was


def everything_of(module: nn.Module):
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks) for part in
             module.modules()]  # fmt: skip
    grads = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    modes = [part.training for part in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    return copy.deepcopy(module.state_dict()), grads, modes, hooks, flags, [id(p) for p in module.parameters()]


def same(before, after) -> bool:
    state, grads, *rest = before
    other_state, other_grads, *other_rest = after
    return (
        all(torch.equal(value, other_state[name]) for name, value in state.items())
        and all((a is None and b is None) or torch.equal(a, b) for a, b in zip(grads, other_grads, strict=True))
        and rest == other_rest
    )


def test_the_module_the_images_and_the_random_numbers_stay_as_they_were():
    module, (x, y) = network(), images()
    module.train()
    module[1].eval()
    next(module.parameters()).grad = torch.ones(4, 1, 3, 3)
    module[0].weight.requires_grad_(False)
    before, kept, state = everything_of(module), x.clone(), torch.get_rng_state()
    zero_cost_proxies(module, x, y)
    assert same(before, everything_of(module))
    assert torch.equal(x, kept) and not x.requires_grad and x.grad is None
    assert torch.equal(state, torch.get_rng_state())


def test_it_stays_so_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network()

        def forward(self, x):
            self.body[:5](x)
            raise RuntimeError("in the middle")

    module, (x, y) = Fails().eval(), images()
    before, state = everything_of(module), torch.get_rng_state()
    for name in ("snip", "jacov", "naswot", "synflow"):
        with pytest.raises(RuntimeError, match="in the middle"):
            zero_cost_proxies(module, x, y, [name])
    assert same(before, everything_of(module)) and torch.equal(state, torch.get_rng_state())


# What is refused, and what is made of the undefined


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"names": ["zen"]}, "there is no proxy 'zen'; there are synflow"),
        ({"names": ["snip", "naswot"]}, "targets are missing: snip need"),
        ({"inputs": torch.ones(3), "names": ["jacov"]}, "inputs must be one tensor"),
    ],
)
def test_what_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        zero_cost_proxies(**{"module": network(), "inputs": images()[0]} | arguments)


def test_an_output_that_is_no_tensor_is_refused():
    class Dictionary(nn.Module):
        def forward(self, x):
            return {"logits": x}

    with pytest.raises(ValueError, match="returns dict"):
        zero_cost_proxies(Dictionary(), images()[0], names=["jacov"])


def test_an_undefined_proxy_is_nan_and_ranks_last():
    class Nothing(nn.Module):
        def forward(self, x):
            return x * 0

    assert math.isnan(zero_cost_proxies(Nothing(), images()[0], names=["jacov"])["jacov"])
    ranked = orderable([1.0, math.nan, -math.inf, 3.0, math.inf])
    assert np.argsort(ranked).tolist() == [1, 2, 0, 3, 4] and np.isfinite(ranked).all()
    assert len(set(orderable([math.nan, math.nan]))) == 1

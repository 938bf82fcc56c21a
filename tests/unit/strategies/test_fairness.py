"""The fairness strategies' rules on numbers to redo by hand (most from their method sheet)."""

import numpy as np
import pytest
import torch
from flwr.app import MetricRecord
from scipy.optimize import minimize

from fedzda.base import ImageSpec, UserError
from fedzda.clients.hooks.moon import contrast
from fedzda.clients.hooks.prop_fair import proportional
from fedzda.clients.optimizers import SGD
from fedzda.platform.config import SGDConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.local_steps import reach
from fedzda.platform.setting import Setting
from fedzda.strategies.afl import AFL, onto_simplex
from fedzda.strategies.config.fairness import AFLConfig, FedFVConfig
from fedzda.strategies.fed_fv import FedFV, without_conflicts
from fedzda.strategies.fed_mgda import shortest
from fedzda.strategies.fed_nova import normalised
from fedzda.strategies.gifair import ranked
from fedzda.strategies.q_ffl import QFFL, step_coefficients
from fedzda.strategies.term import tilt
from fedzda.strategies.weighing import Cohort, gram, inner


@pytest.mark.parametrize(("q", "expected"), [(0, 0.75), (1, 0.904762), (2, 0.92)])
def test_q_ffl(q, expected):
    """w = 1, eta = 0.1, clients at 0.9 and 0.6 with losses 2 and 0.5."""
    away = np.array([0.1, 0.4])
    losses, half = np.array([2.0, 0.5]), np.array([0.5, 0.5])
    found = step_coefficients(half, losses, away**2, q, 0.1)
    assert 1.0 - found @ away == pytest.approx(expected, abs=1e-6)


def test_q_ffl_with_shares_is_the_gradient_step_of_the_weighted_objective():
    """One client with all the weight: its own step, shortened as q-FedAvg shortens it."""
    found = step_coefficients(
        np.array([1.0, 0.0]), np.array([2.0, 0.5]), np.array([0.01, 0.16]), 1.0, 0.1
    )
    assert found == pytest.approx([20.0 / 21.0, 0.0])


def cohort(round_, clients, updates, losses):
    """Clients whose updates of one array ``w`` are given."""
    return Cohort(
        round=round_,
        clients=clients,
        shares=np.ones(len(clients)),
        losses=np.array(losses),
        metrics=[],
        updates=lambda: ({"w": torch.tensor(u, dtype=torch.float64)} for u in updates),
    )


def q_ffl(local, **keys):
    """A strategy of two clients and two rounds, ready to weigh."""
    raw = {"name": "q", "rounds": 2, "data": {"name": "digits", "clients": 2}}
    config = from_dict(
        {**raw, "model": {"name": "mlp"}, "strategy": {"name": "q-ffl", **keys}, "local": local}
    )
    strategy = QFFL(config.strategy)
    image = ImageSpec((1, 8, 8), 10, (0.0,), (1.0,))
    strategy.bind(Setting(config, 2, image, frozenset(), lambda job, items: [], np.ones(2)))
    return strategy


@pytest.mark.parametrize("decay", [{"poly": 1.0}, {"lr_decay": 0.5}, {}])
def test_q_ffl_takes_the_step_size_of_the_round(decay):
    """Round 2 of 2: both decays leave half of the step size."""
    strategy = q_ffl({"optimizer": {"name": "sgd", "lr": 0.1}, **decay}, q=1.0)
    metrics = MetricRecord()
    strategy.weights(cohort(2, [0, 1], [[0.1], [0.4]], [2.0, 0.5]), metrics)
    rate = 0.05 if decay else 0.1
    wanted = step_coefficients(
        np.full(2, 0.5), np.array([2.0, 0.5]), np.array([0.01, 0.16]), 1.0, rate
    )
    assert metrics["q-ffl-step"] == pytest.approx(wanted.sum())


def test_q_ffl_with_a_lipschitz_constant_does_without_the_clients_step_size(caplog):
    """With a large one the model hardly moves, and the run says so, once."""
    updates, losses = [[0.1, 0.3], [0.4, 0.2]], [2.0, 0.5]
    local, metrics = {"optimizer": {"name": "sgd", "lr": 0.5}}, MetricRecord()
    short = q_ffl(local, q=1.0, lipschitz=1000.0)
    for round_ in (1, 2):
        short.weights(cohort(round_, [0, 1], updates, losses), metrics)
    assert metrics["q-ffl-step"] < 0.02
    (said,) = caplog.messages
    assert "Lower strategy.lipschitz (it counts as 1e+03)" in said
    q_ffl(local, q=1.0, lipschitz=10.0).weights(cohort(1, [0, 1], updates, losses), metrics)
    wanted = step_coefficients(np.full(2, 0.5), np.array(losses), np.array([0.1, 0.2]), 1.0, 0.1)
    assert metrics["q-ffl-step"] == pytest.approx(wanted.sum())
    assert len(caplog.messages) == 1


def test_q_ffl_refuses_adam_without_a_lipschitz_constant():
    """Its step size of 0.001 would stand for a Lipschitz constant of 1,000; q 0 needs none."""
    adam = {"optimizer": {"name": "adam", "lr": 0.001}}
    with pytest.raises(UserError, match=r"'strategy\.lipschitz' is not set") as caught:
        q_ffl(adam, q=0.1)
    assert "the step size of 'adam' (0.001)" in str(caught.value)
    q_ffl(adam, q=0.1, lipschitz=10)
    q_ffl(adam, q=0)


def test_afl_steps():
    """From the uniform mixture with losses 1 to 4; gamma 0.1 leaves the simplex' inside."""
    uniform, losses = np.full(4, 0.25), np.arange(1.0, 5.0)
    assert onto_simplex(uniform + 0.1 * losses) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert onto_simplex(uniform + 0.5 * losses) == pytest.approx([0, 0, 0.25, 0.75])
    raised = uniform * np.exp(0.1 * losses)
    assert raised / raised.sum() == pytest.approx([0.213838, 0.236328, 0.261183, 0.288651], 1e-5)


@pytest.mark.parametrize("level", [0.0, 5000.0])
def test_afl_by_multiplication_depends_on_differences_of_losses_alone(level):
    """exp(5000) overflows. A client that counted nothing counts nothing afterwards."""
    strategy = AFL(AFLConfig(gamma=1.0, ascent="multiplicative", order="update-first"))
    strategy.mixture = np.array([0.5, 0.25, 0.25, 0.0])
    found = strategy.weights(
        cohort(1, [0, 1, 2, 3], [[0.0]] * 4, [level, level + np.log(2), level, level + 9]),
        MetricRecord(),
    )
    assert strategy.mixture == pytest.approx([0.4, 0.4, 0.2, 0.0])
    assert found.clients == pytest.approx([0.4, 0.4, 0.2, 0.0])


def test_projection_onto_the_simplex_is_the_nearest_point():
    rng = np.random.default_rng(0)
    for _ in range(20):
        point = rng.normal(size=6)
        found = onto_simplex(point)
        assert found.sum() == pytest.approx(1.0)
        assert found.min() >= 0
        for _ in range(50):
            other = rng.dirichlet(np.ones(6))
            assert np.square(found - point).sum() <= np.square(other - point).sum() + 1e-12


def test_term():
    losses = np.array([0.5, 1.0, 2.0])
    found = tilt(np.ones(3), losses, 1.0)
    assert found / found.sum() == pytest.approx([0.140244, 0.231224, 0.628532], abs=1e-6)
    assert np.log(np.exp(losses).mean()) == pytest.approx(1.365756, abs=1e-6)
    assert tilt(np.array([7.0, 3.0]), np.array([900.0, 0.0]), 0.0).tolist() == [7.0, 3.0]
    assert np.isfinite(tilt(np.ones(2), np.array([900.0, 0.0]), 10.0)).all()
    lower = tilt(np.ones(3), losses, -1.0)
    assert lower[0] > lower[2]


@pytest.mark.parametrize(
    ("loss", "expected", "huber"),
    [(0.5, 0.287682, 0.287682), (1.0, 0.693147, 0.693147), (1.79, 2.253795, 2.253795),
     (1.81, 0.905, 9.05)],
)  # fmt: skip
def test_prop_fair(loss, expected, huber):
    value = torch.tensor(loss, dtype=torch.float64)
    assert proportional(value, 2.0, 0.2, "linear").item() == pytest.approx(expected, abs=1e-6)
    assert proportional(value, 2.0, 0.2, "huber").item() == pytest.approx(huber, abs=1e-6)


def test_prop_fair_makes_high_losses_steep():
    slopes = []
    for start in (0.5, 1.5):
        loss = torch.tensor(start, requires_grad=True)
        proportional(loss, 2.0, 0.2, "linear").backward()
        slopes.append(loss.grad.item())
    assert slopes == pytest.approx([1 / 1.5, 1 / 0.5])


def test_fed_mgda():
    u = np.array([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5]])
    centre = np.full(3, 1 / 3)
    free = shortest(u @ u.T, centre, 1.0)
    assert free == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert free @ u @ u.T @ free == pytest.approx(0.5)
    near = shortest(u @ u.T, centre, 0.1)
    assert near == pytest.approx([0.383333, 0.383333, 0.233333], abs=1e-6)
    assert near @ u @ u.T @ near == pytest.approx(0.601320, abs=1e-6)
    assert shortest(u @ u.T, centre, 0.0).tolist() == centre.tolist()
    pair = shortest(u[:2] @ u[:2].T, np.array([0.5, 0.5]), 1.0)
    assert pair == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("seed", range(8))
def test_fed_mgda_against_another_solver(seed):
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(2, 12)), int(rng.integers(1, 20))
    u = rng.normal(size=(count, size))
    products, centre = u @ u.T, rng.dirichlet(np.ones(count))
    epsilon = float(rng.uniform(0.05, 1.0))
    found = shortest(products, centre, epsilon)
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    assert np.abs(found - centre).max() <= epsilon + 1e-9
    assert found.min() >= -1e-12
    bounds = [(max(0, c - epsilon), min(1, c + epsilon)) for c in centre]
    other = minimize(
        lambda x: x @ products @ x,
        centre,
        jac=lambda x: 2 * products @ x,
        bounds=bounds,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found @ products @ found <= other.fun + 1e-8


def test_fed_fv_projects_by_rising_loss_and_spares_the_highest():
    """Two opposed updates and a third across; the client with the highest loss keeps its own."""
    g = np.array([[1.0, 0.0], [-1.0, 1.0], [0.0, 1.0]])
    products = g @ g.T
    losses = np.array([0.1, 0.9, 0.5])
    rows = without_conflicts(products, losses, 0.1)
    assert (rows @ g)[0] == pytest.approx([0.5, 0.5])  # (1, 0) without its part along (-1, 1)
    assert (rows @ g)[1] == pytest.approx([-1.0, 1.0])
    assert (rows @ g)[2] == pytest.approx([0.0, 1.0])
    free = without_conflicts(products, losses, 0.0)
    assert (free @ g)[1] == pytest.approx([0.0, 1.0])
    assert without_conflicts(products, losses, 1.0).tolist() == np.eye(3).tolist()


def test_fed_fv_minds_those_absent_clients_alone_that_are_against_it():
    """Algorithm 3: of last round's (-1, 1) and (3, 1) only the first is against the step (1, 0)."""
    strategy = FedFV(FedFVConfig())
    strategy.received = {"w": np.zeros(2, dtype=np.float32)}
    strategy.setting = Setting(None, 3, None, frozenset(), None, None)
    strategy._sent = {
        0: (1, {"w": torch.tensor([-1.0, 1.0])}),
        1: (1, {"w": torch.tensor([3.0, 1.0])}),
    }
    found = strategy.step(cohort(2, [2], [[1.0, 0.0]], [1.0]), [], MetricRecord())
    assert found["w"].tolist() == pytest.approx([-(0.5**0.5), -(0.5**0.5)])  # of length 1


def test_fed_fv_conflicts_are_a_share_of_pairs():
    strategy = FedFV(FedFVConfig(tau=0))
    strategy.received = {"w": np.zeros(1, dtype=np.float32)}
    strategy.setting = Setting(None, 3, None, frozenset(), None, None)
    metrics = MetricRecord()
    strategy.step(cohort(1, [0, 1], [[1.0], [-2.0]], [1.0, 2.0]), [], metrics)
    assert metrics["fed-fv-conflicts"] == 1.0
    strategy.step(cohort(1, [0, 1, 2], [[1.0], [-2.0], [3.0]], [1.0, 2.0, 3.0]), [], metrics)
    assert metrics["fed-fv-conflicts"] == pytest.approx(2 / 3)
    strategy.step(cohort(1, [0], [[1.0]], [1.0]), [], metrics)
    assert metrics["fed-fv-conflicts"] == 0.0


def test_gifair():
    found = ranked(np.array([10.0, 20.0, 30.0]), np.array([0.5, 2.0, 1.0]), 0.1)
    assert found == pytest.approx([9.0, 21.0, 30.0])
    assert ranked(np.array([10.0, 20.0]), np.array([1.0, 1.0]), 0.9).tolist() == [10.0, 20.0]
    assert ranked(np.array([10.0]), np.array([1.0]), 0.9).tolist() == [10.0]


def test_gram_is_that_of_the_flattened_updates():
    updates = [
        {"a": torch.randn(3, 4, dtype=torch.float64), "b": torch.randn(5, dtype=torch.float64)}
        for _ in range(4)
    ]
    flat = np.stack([np.concatenate([u["a"].flatten(), u["b"]]) for u in updates])
    assert gram(updates) == pytest.approx(flat @ flat.T)
    assert inner(updates[0], updates[1]) == pytest.approx(float(flat[0] @ flat[1]))


@pytest.mark.parametrize("nesterov", [False, True])
def test_reach_is_how_far_equal_gradients_carry(nesterov):
    """SGD itself on a constant gradient of 1."""
    config = SGDConfig(lr=0.5, momentum=0.9, nesterov=nesterov)
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SGD([weight], config)
    for steps in range(1, 8):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        assert -weight.item() / 0.5 == pytest.approx(reach(config, steps))
    assert reach(SGDConfig(lr=0.1), 7) == 7


def test_fed_nova_by_hand():
    """Updates 2 and 8 from 1 and 4 steps: both took steps of 2, so 2.5 steps on average make 5."""
    found = normalised(np.array([0.5, 0.5]), np.array([1.0, 4.0]))
    assert found @ np.array([2.0, 8.0]) == pytest.approx(5.0)


def test_moon_term_by_hand():
    own = torch.tensor([[1.0, 0.0]])
    near, far = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    found = contrast(own, near, far, 0.5).item()
    assert found == pytest.approx(np.log(1 + np.exp(-2.0)))
    assert contrast(own, far, near, 0.5).item() == pytest.approx(np.log(1 + np.exp(2.0)))
    own.requires_grad_()
    contrast(own, far, far, 0.5).backward()
    assert own.grad.abs().max() == 0

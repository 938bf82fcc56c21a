"""The accountant against published figures, another implementation, and an exact integral."""

import math

import numpy as np
import pytest

from fedzda.platform.privacy.rdp import ORDERS, epsilon, gaussian, poisson, without_replacement


@pytest.mark.parametrize(
    ("z", "q", "releases", "published"),
    [
        (4.0, 0.01, 10_000, 1.26),  # Abadi et al. 2016, arXiv 1607.00133, section 3.2
        # TensorFlow Privacy, tutorials/README.md: MNIST, batches of 256, 60, 30 and 10 epochs
        (1.12, 256 / 60_000, 60 * 234, 2.92),
        (0.6, 256 / 60_000, 30 * 234, 9.74),
        (1.2, 256 / 60_000, 10 * 234, 1.20),
    ],
)
def test_published_figures(z, q, releases, published):
    """Their conversion, ``rdp - log(delta) / (alpha - 1)``, is a little looser than ours."""
    delta = 1e-5
    theirs = min(releases * poisson(z, q, a) - math.log(delta) / (a - 1) for a in ORDERS)
    assert theirs == pytest.approx(published, abs=0.01)
    ours = epsilon(lambda alpha: poisson(z, q, alpha), releases, delta)
    assert 0.7 * published < ours < published


@pytest.mark.parametrize(
    ("z", "q", "releases", "delta", "reference"),
    [  # dp-accounting 0.6.0, where the best order is an integer: elsewhere it rounds upwards
        (4.0, 0.01, 10_000, 1e-5, 1.0354900660),
        (8.0, 0.5, 30, 1e-6, 1.6514390402),
        (1.0, 1.0, 10, 1e-5, 19.0535975316),
        (0.4, 1.0, 3, 1e-3, 23.9640305514),
    ],
)
def test_another_implementation_of_poisson_sampling(z, q, releases, delta, reference):
    found = epsilon(lambda alpha: poisson(z, q, alpha), releases, delta)
    assert found == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize(
    ("z", "sample", "releases", "reference", "looser"),
    [  # dp-accounting 0.6.0 out of 1,000; it has a tighter bound where the noise is large
        (1.0, 10, 100, 1.482525669, 1.0),
        (2.0, 100, 30, 2.794817074, 1.15),
        (4.0, 10, 100, 0.190900789, 1.6),
    ],
)
def test_another_implementation_of_samples_of_a_fixed_size(z, sample, releases, reference, looser):
    found = epsilon(lambda alpha: without_replacement(z, sample / 1000, alpha), releases, 1e-5)
    assert reference * (1 - 1e-6) <= found <= reference * looser + 1e-6


@pytest.mark.parametrize(
    ("z", "q", "alpha", "exact"),
    [  # mpmath.quad with 30 digits
        (1.1, 0.01, 1.5, 9.55452852571e-5),
        (1.1, 0.01, 4.7, 3.17788071822e-4),
        (0.3, 0.2, 1.4, 2.85312306275),
        (0.5, 0.05, 1.9, 0.0999428869024),
    ],
)
def test_fractional_orders(z, q, alpha, exact):
    assert poisson(z, q, alpha) == pytest.approx(exact, rel=1e-10)


def test_integer_orders_have_a_closed_form():
    """Mironov, Talwar, Zhang 2019, equation (3): a binomial sum."""
    z, q = 1.1, 0.3
    for alpha in (2, 8, 32):
        powers = [
            math.log(math.comb(alpha, k))
            + (alpha - k) * math.log(1 - q)
            + k * math.log(q)
            + (k * k - k) / (2 * z * z)
            for k in range(alpha + 1)
        ]
        closed = float(np.logaddexp.reduce(powers)) / (alpha - 1)
        assert poisson(z, q, alpha) == pytest.approx(closed, rel=1e-12)


def test_sampling_never_harms_and_everybody_is_no_sample():
    for alpha in (1.1, 2, 5.5, 64, 1024):
        assert poisson(1.0, 1.0, alpha) == gaussian(1.0, alpha)
        for q in (0.01, 0.5, 1.0):
            assert poisson(1.0, q, alpha) <= gaussian(1.0, alpha) * (1 + 1e-12)
            assert without_replacement(1.0, q, alpha) <= gaussian(1.0, alpha)


def test_no_release_costs_nothing_and_more_cost_more():
    def one(alpha):
        return gaussian(1.0, alpha)

    found = [epsilon(one, releases, 1e-5) for releases in (0, 1, 2, 10)]
    assert found[0] == 0
    assert found == sorted(found)
    assert epsilon(one, 1, 1e-3) < epsilon(one, 1, 1e-6)


def test_next_to_no_noise_is_told_at_once():
    """A grid of steps of a twentieth of it over the largest order would have billions of points."""
    assert poisson(1e-7, 0.1, 1024) == gaussian(1e-7, 1024)
    assert gaussian(0.01, 1.1) * 0.99 < poisson(0.01, 0.1, 1.1) < gaussian(0.01, 1.1)

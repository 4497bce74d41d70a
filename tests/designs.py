"""Populations of an attribute, confounders, mediators and an outcome whose effects are known, for estimators that see only rows."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cfair.effects.doubly_robust import one_step
from cfair.effects.folds import CrossFitting
from cfair.effects.learners import learners_for
from cfair.effects.observations import Observations, observations
from cfair.effects.records import TERMS

__all__ = ["BINARY", "CURVED", "DESIGNS", "LINEAR", "THREE", "Coverage", "Design", "coverage", "terms_from"]

Floats = NDArray[np.float64]
NODES, QUADRATURE = np.polynomial.legendre.leggauss(200)  # Gauss and Legendre, on [-1, 1]


@dataclass(frozen=True)
class Design:
    """A population.

    Args:
        sample: (n, generator) -> the rows of n people.
        truth: direction ("forward" or "reverse") -> term -> its value.
    """

    sample: Callable[[int, np.random.Generator], Observations]
    truth: Mapping[str, Mapping[str, float]]


def terms_from(mean: Callable[[int, int, object], float]) -> dict[str, dict[str, float]]:
    """Direction -> term -> its value, from (a, b, c) -> E[y_{a, W_b} | c], with c 0, 1 or "all"; written out term by term."""

    def one_way(s: int, e: int) -> dict[str, float]:
        seen = {a: mean(a, a, a) for a in (0, 1)}
        return {
            "tv": seen[e] - seen[s],
            "te": mean(e, e, "all") - mean(s, s, "all"),
            "ett": mean(e, e, s) - seen[s],
            "nde": mean(e, s, "all") - mean(s, s, "all"),
            "nie": mean(e, s, "all") - mean(e, e, "all"),
            "ctf_de": mean(e, s, s) - seen[s],
            "ctf_ie": mean(e, s, s) - mean(e, e, s),
            "ctf_se": mean(e, e, s) - seen[e],
            "exp_se_from": seen[s] - mean(s, s, "all"),
            "exp_se_to": seen[e] - mean(e, e, "all"),
        }

    return {"forward": one_way(0, 1), "reverse": one_way(1, 0)}


# --- real outcome, everything linear: z ~ U(-1, 1), logit P(x | z) = .1 + 1.5 z, so in (.19, .84); w1, w2 gaussian, linear in x and z, so
# that logit P(x | z, w) is linear, and in (.1, .9) for 99 % of the people; y linear within each level of x, with another slope of w1 each.

SHIFT, SLOPE, SIZES = np.array([0.3, -0.2]), np.array([0.6, 0.3]), np.array([1.0, 0.8])


def _linear_propensity(z: Floats) -> Floats:
    return np.asarray(expit(0.1 + 1.5 * z))


def _linear_outcome(x: Floats | float, z: Floats, w1: Floats, w2: Floats) -> Floats:
    return 0.5 + 0.7 * x + 1.0 * z + (0.8 + 0.6 * x) * w1 - 0.5 * w2 - 0.4 * x * z


def _linear_sample(n: int, generator: np.random.Generator) -> Observations:
    z = generator.uniform(-1, 1, n)
    x = (generator.random(n) < _linear_propensity(z)).astype(float)
    w = x[:, None] * SHIFT + z[:, None] * SLOPE + generator.standard_normal((n, 2)) * SIZES
    y = _linear_outcome(x, z, w[:, 0], w[:, 1]) + generator.standard_normal(n)
    return observations(x.astype(int), z, w, y)


def _linear_mean(a: int, b: int, c: object) -> float:
    """E[y_{a, W_b} | c]: linear in w, so W_b may be replaced by its mean; over z by quadrature."""
    share = {"all": np.ones_like(NODES), 1: _linear_propensity(NODES), 0: 1 - _linear_propensity(NODES)}[c]
    w1, w2 = (b * SHIFT[k] + SLOPE[k] * NODES for k in (0, 1))
    return float(np.average(_linear_outcome(float(a), NODES, w1, w2), weights=QUADRATURE * share))


LINEAR = Design(_linear_sample, terms_from(_linear_mean))

# --- binary outcome: z of three levels, two binary mediators that x and z move on the logit scale without interaction, so that every
# nuisance is exactly logistic: those given z because z is saturated, P(x | z, w), in (.11, .89), because its log odds are linear in w and
# free in z.

Z_SHARES = np.array([0.3, 0.45, 0.25])


def _binary_propensity(z: NDArray[np.int64]) -> Floats:
    return np.array([0.17, 0.5, 0.83])[z]


def _binary_mediators(x: Floats | float, z: NDArray[np.int64]) -> tuple[Floats, Floats]:
    first = expit(-0.4 + 0.7 * x + np.array([-0.5, 0.0, 0.6])[z])
    return first, np.asarray(expit(0.3 - 0.6 * x + np.array([0.4, 0.0, -0.4])[z]))


def _binary_outcome(x: Floats | float, z: NDArray[np.int64], w1: Floats | float, w2: Floats | float) -> Floats:
    return np.asarray(expit(-0.8 + 0.6 * x + np.array([-0.6, 0.0, 0.8])[z] + (0.9 - 0.5 * x) * w1 + 0.7 * w2))


def _binary_rows(n: int, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    z = generator.choice(3, n, p=Z_SHARES)
    x = (generator.random(n) < _binary_propensity(z)).astype(np.int64)
    w = np.stack([generator.random(n) < p for p in _binary_mediators(x.astype(float), z)], axis=1).astype(float)
    y = (generator.random(n) < _binary_outcome(x.astype(float), z, w[:, 0], w[:, 1])).astype(float)
    return x, z, w, y


def _binary_sample(n: int, generator: np.random.Generator) -> Observations:
    x, z, w, y = _binary_rows(n, generator)
    return observations(x, np.eye(3)[z][:, 1:], w, y)


def _binary_mean(a: int, b: int, c: object) -> float:
    """E[y_{a, W_b} | c], by enumeration."""
    z = np.arange(3)
    share = Z_SHARES * {"all": np.ones(3), 1: _binary_propensity(z), 0: 1 - _binary_propensity(z)}[c]
    p1, p2 = _binary_mediators(float(b), z)
    given_z = sum(
        np.where(w1, p1, 1 - p1) * np.where(w2, p2, 1 - p2) * _binary_outcome(float(a), z, float(w1), float(w2))
        for w1, w2 in product((0, 1), repeat=2)
    )
    return float(np.average(np.asarray(given_z), weights=share))


BINARY = Design(_binary_sample, terms_from(_binary_mean))

# --- three levels of the attribute: the linear design, save that people of a third level, with other confounders, are among "all".

OFFSETS = np.array([[0.0, 0.0], [0.2, 0.8], [-0.3, -0.9]])  # multinomial logits of x0, x1 and the third level: constant, slope of z


def _three_shares(z: Floats) -> Floats:
    scores = np.exp(OFFSETS[:, 0] + z[:, None] * OFFSETS[:, 1])
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _three_sample(n: int, generator: np.random.Generator) -> Observations:
    z = generator.uniform(-1, 1, n)
    level = (generator.random(n)[:, None] > _three_shares(z).cumsum(axis=1)).sum(axis=1)
    x = np.where(level == 2, 0.5, level).astype(float)
    w = x[:, None] * SHIFT + z[:, None] * SLOPE + generator.standard_normal((n, 2)) * SIZES
    y = _linear_outcome(x, z, w[:, 0], w[:, 1]) + np.where(level == 2, 5.0, 0.0) + generator.standard_normal(n)
    return observations(np.where(level == 2, -1, level), z, w, y)


def _three_mean(a: int, b: int, c: object) -> float:
    share = np.ones_like(NODES) if c == "all" else _three_shares(NODES)[:, int(str(c))]
    w1, w2 = (b * SHIFT[k] + SLOPE[k] * NODES for k in (0, 1))
    return float(np.average(_linear_outcome(float(a), NODES, w1, w2), weights=QUADRATURE * share))


THREE = Design(_three_sample, terms_from(_three_mean))

# --- nothing linear: two confounders, a mediator, curves and interactions everywhere; for learners of any shape.


def _curved_propensity(z1: Floats, z2: Floats) -> Floats:
    return np.asarray(expit(0.2 + 1.0 * np.sin(2 * z1) - 0.8 * z1 * z2))


def _curved_mediator(x: Floats | float, z1: Floats, z2: Floats) -> Floats:
    return 0.5 * x + 0.6 * z1**2 + 0.4 * z2 * x


def _curved_outcome(x: Floats | float, z1: Floats, z2: Floats, w: Floats, spread: float = 0.0) -> Floats:
    """With w's square; ``spread`` is the variance of w around what is given, to take the mean over it."""
    return 0.4 * x + np.cos(2 * z1) + z1 * z2 + (0.7 + 0.3 * x) * w + 0.3 * (w**2 + spread) - 0.3 * x * z2


def _curved_sample(n: int, generator: np.random.Generator) -> Observations:
    z1, z2 = generator.uniform(-1, 1, (2, n))
    x = (generator.random(n) < _curved_propensity(z1, z2)).astype(float)
    w = _curved_mediator(x, z1, z2) + generator.standard_normal(n)
    y = _curved_outcome(x, z1, z2, w) + generator.standard_normal(n)
    return observations(x.astype(int), np.stack([z1, z2], axis=1), w, y)


def _curved_mean(a: int, b: int, c: object) -> float:
    z1, z2 = np.meshgrid(NODES, NODES)
    one = _curved_propensity(z1, z2)
    share = {"all": np.ones_like(one), 1: one, 0: 1 - one}[c]
    expected = _curved_outcome(float(a), z1, z2, _curved_mediator(float(b), z1, z2), 1.0)
    return float(np.average(expected, weights=share * np.outer(QUADRATURE, QUADRATURE)))


CURVED = Design(_curved_sample, terms_from(_curved_mean))


DESIGNS = {"linear": LINEAR, "binary": BINARY, "three": THREE, "curved": CURVED}


@dataclass(frozen=True)
class Coverage:
    """What a design's data sets say of the estimator.

    Args:
        share: (direction, term) -> the share of 95 % intervals that hold the truth.
        z: (direction, term) -> the mean error in its own standard errors of a mean.
        ratio: (direction, term) -> the mean standard error over the estimates' standard deviation.
    """

    share: Mapping[tuple[str, str], float]
    z: Mapping[tuple[str, str], float]
    ratio: Mapping[tuple[str, str], float]


def coverage(design: Design, how: CrossFitting, *, sets: int, n: int, seed: int = 0) -> Coverage:
    """From so many data sets of n people."""
    keys = [(way, term) for way in ("forward", "reverse") for term in TERMS]
    errors, standard = np.empty((sets, len(keys))), np.empty((sets, len(keys)))
    for each, generator in enumerate(np.random.default_rng(seed).spawn(sets)):
        found = one_step(design.sample(n, generator), how)
        effects = [{"forward": found.forward, "reverse": found.reverse}[way][term] for way, term in keys]
        errors[each] = [effect.value - design.truth[way][term] for effect, (way, term) in zip(effects, keys, strict=True)]
        standard[each] = [effect.standard_error for effect in effects]
    spread = errors.std(axis=0, ddof=1)
    figures = (
        (np.abs(errors) <= 1.959964 * standard).mean(axis=0),
        errors.mean(axis=0) / (spread / np.sqrt(sets)),
        standard.mean(axis=0) / spread,
    )
    return Coverage(*(dict(zip(keys, (float(value) for value in each), strict=True)) for each in figures))


def main(design: str, learners: str, sets: str, n: str) -> None:
    """``python tests/designs.py curved boosted 400 10000``: the coverage of every term, a line each."""
    how = CrossFitting(learners=learners_for(learners, design == "binary"))
    found = coverage(DESIGNS[design], how, sets=int(sets), n=int(n))
    for way, term in found.share:
        key = (way, term)
        figures = f"covered {found.share[key]:.4f}  mean error / its se {found.z[key]:6.2f}  se / sd {found.ratio[key]:.3f}"
        sys.stdout.write(f"{way:8s}{term:12s} truth {DESIGNS[design].truth[way][term]:8.4f}  {figures}\n")
    sys.stdout.write(f"{sets} data sets of {n}: covered {min(found.share.values()):.4f} to {max(found.share.values()):.4f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

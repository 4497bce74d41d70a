"""Each person's latent in the law school model, 17,433 rows: seconds and quality of cfair, Pyro AutoNormal and NumPyro NUTS.

All infer knowledge from all observed columns under the paper's priors. The reference integrates the latent out on a grid and
importance-samples the parameters; it shares no code with cfair. "error" is the root mean square over people of the difference in
E[K], in posterior sds; "sd ratio" the mean ratio of sd[K]. Seconds are compared only with a peer of no better quality.

A full posterior is E[K] and sd[K] of everyone and draws of the 30 parameters, worth ESS independent ones by the number for which they
are worth least: NUTS's bulk effective sample size (Vehtari et al. 2021), of K's and parameters as it samples both, and Kish's of the
weights of cfair's draws of the parameters, as it reports it; its K's are integrated out. Every method may use every core.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import law_school
import numpy as np
import numpyro
import pyro
import torch
from jax import Array
from law_school import Data, Floats, Moments, Peak
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import ClippedAdam
from table import show, versions

from cfair import Columns, ModelSpec, learn, load_spec, posterior, read_table
from cfair.data import split
from cfair.inference.chains import bulk_ess

MODEL = Path(__file__).parent.parent / "models" / "law_school" / "dag.yaml"
RATE, DECAY = 0.05, 0.1  # AutoNormal's first learning rate, and the share of it that is left at the end
ESS = 400.0  # effective draws at which NUTS is timed: what R-hat wants (Vehtari et al. 2021)
DRAWS = 474  # of cfair's, weighted, that are worth ESS
LOOSE = 0.005  # posterior sds by which a rival's error may be smaller and still count as no better


@dataclass(frozen=True)
class Result:
    """What a method took, and each person's E[K] and sd[K], (n,)."""

    seconds: float
    mean: Floats
    sd: Floats
    note: str = ""
    extrapolated: bool = False  # the seconds are those of more draws than the moments are from
    full: float | None = None  # seconds of a full posterior
    parameters: float | None = None  # seconds of draws of the parameters worth ESS, whatever the K's are worth


@dataclass(frozen=True)
class Quality:
    """How far a result is from the reference."""

    correlation: float
    error: float
    sd_ratio: float

    @property
    def off(self) -> float:
        """The relative error of the sd."""
        return abs(np.log(self.sd_ratio))


def by_cfair(spec: ModelSpec, train: Columns, *, repeats: int) -> Result:
    """``learn`` and ``posterior``, the median of some runs after a first; parameters at their most probable values."""
    learn(spec, train)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        moments = posterior(learn(spec, train), train, given=spec.observed)
        seconds.append(time.perf_counter() - start)
    return Result(float(np.median(seconds)), moments.mean["knowledge"].numpy(), moments.sd["knowledge"].numpy())


def by_cfair_with_draws(spec: ModelSpec, train: Columns, *, repeats: int) -> Result:
    """The same, and weighted draws of the parameters; seconds are those of ESS effective draws."""
    seconds, ess = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        scm = learn(spec, train, uncertainty="laplace", parameter_draws=DRAWS)
        moments = posterior(scm, train, given=spec.observed)
        seconds.append(time.perf_counter() - start)
        assert scm.uncertainty is not None
        ess.append(min(scm.uncertainty.ess.values()))
    taken = float(np.median(seconds)) * max(ESS / min(ess), 1.0)  # never less than what was measured
    note = f"smallest ESS {min(ess):.0f} in {DRAWS} draws"
    return Result(taken, moments.mean["knowledge"].numpy(), moments.sd["knowledge"].numpy(), note, full=taken)


def by_autonormal(spec: ModelSpec, train: Columns, *, steps: int) -> Result:
    """Mean-field SVI on cfair's own Pyro model, a site per parameter; E[K] turned as the reference is."""
    scm = learn(spec, train)

    def model() -> None:
        scm.model(train, parameters="sampled")

    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    guide = AutoNormal(model)
    svi = SVI(model, guide, ClippedAdam({"lr": RATE, "lrd": DECAY ** (1 / steps)}), Trace_ELBO())
    start = time.perf_counter()
    for _ in range(steps):
        svi.step()
    seconds = time.perf_counter() - start
    middle, above = (guide.quantiles([q])["knowledge"][0].detach().numpy() for q in (0.5, 0.8413447460685429))
    sign = np.sign(np.corrcoef(middle, train["lsat"].numpy())[0, 1])
    return Result(seconds, sign * middle, above - middle, f"{steps:,} steps")


def by_nuts(rows: Data, at: Peak, *, iterations: int) -> Result:
    """NUTS with parameters whitened at their peak and each K by its conditional normal: as kind a geometry as can be given by hand.

    What finding the peak takes is not counted. Seconds are those of ESS effective draws of the least well sampled number.
    """

    def model() -> None:
        phi = numpyro.sample("phi", numpyro.distributions.Normal().expand([30]).to_event(1))
        z = numpyro.sample("z", numpyro.distributions.Normal().expand([len(rows.ugpa)]).to_event(1))
        theta, k, sd = _unwhitened(at, rows, phi, z)
        flat = (z**2).sum() / 2 + (phi**2).sum() / 2  # takes the two densities out again
        numpyro.factor("model", law_school.log_prior(theta) + (law_school.log_joint(theta, rows, k) + jnp.log(sd)).sum() + flat)

    half = iterations // 2
    warm, each, draws = _sampled(model, half)
    k = np.stack([np.asarray(_unwhitened(at, rows, phi, z)[1]) for phi, z in zip(draws["phi"], draws["z"], strict=True)])
    watched = np.concatenate([np.asarray(draws["phi"]), k[:, :: len(k.T) // 100]], 1)
    ess = float(np.min(effective_sample_size(watched[None])))
    thetas = torch.from_numpy(at.theta + np.asarray(draws["phi"], copy=True) @ at.root.T)
    own = min(bulk_ess(chain.unsqueeze(0)) for chain in thetas.unbind(1))
    note = f"smallest ESS {ess:.0f}, of parameters {own:.0f}, in {half} draws of {each:.3f} s, taken to {ESS:.0f}"
    taken, of_parameters = (warm + each * half * ESS / worth for worth in (min(ess, own), own))
    return Result(taken, k.mean(0), k.std(0), note, extrapolated=True, full=taken, parameters=of_parameters)


def _sampled(model: Callable[[], None], half: int) -> tuple[float, float, dict[str, Array]]:
    """Seconds of ``half`` iterations of warm-up with compilation, seconds of each draw after it, and ``half`` draws."""
    start = time.perf_counter()
    mcmc = MCMC(NUTS(model), num_warmup=half, num_samples=half, progress_bar=False)
    mcmc.warmup(jax.random.key(0))
    warm = time.perf_counter() - start
    mcmc.run(jax.random.key(1))  # compiles
    start = time.perf_counter()
    mcmc.post_warmup_state = mcmc.last_state
    mcmc.run(jax.random.key(2))
    return warm, (time.perf_counter() - start) / half, mcmc.get_samples()


def _unwhitened(at: Peak, rows: Data, phi: Array, z: Array) -> tuple[Array, Array, Array]:
    """θ, K and the sd by which z was stretched."""
    theta = at.theta + at.root @ phi
    center, sd = law_school.normal_given(theta, rows)
    return theta, center + sd * z, sd


def quality(result: Result, truth: Moments) -> Quality:
    """Of a result, against the reference."""
    error = np.sqrt(np.mean(((result.mean - truth.mean) / truth.sd) ** 2))
    return Quality(float(np.corrcoef(result.mean, truth.mean)[0, 1]), float(error), float(np.mean(result.sd / truth.sd)))


def main() -> None:
    """Measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2_500, help="of AutoNormal; near its plateau at the default")
    parser.add_argument("--iterations", type=int, default=200, help="of NUTS, half of them warm-up")
    parser.add_argument("--repeats", type=int, default=5, help="runs of cfair, of which the median counts")
    arguments = parser.parse_args()
    spec = load_spec(MODEL)
    train, _ = split(read_table(spec.data, spec), spec, test_share=0.2, seed=0)
    rows = law_school.data({node: column.numpy() for node, column in train.items()})
    at = law_school.peak(rows)
    methods: dict[str, Callable[[], Result]] = {
        "cfair, learn and posterior": lambda: by_cfair(spec, train, repeats=arguments.repeats),
        "cfair with draws of parameters": lambda: by_cfair_with_draws(spec, train, repeats=arguments.repeats),
        "pyro_autonormal": lambda: by_autonormal(spec, train, steps=arguments.steps),
        "numpyro_nuts": lambda: by_nuts(rows, at, iterations=arguments.iterations),
    }
    _show({name: method() for name, method in methods.items()}, law_school.reference(rows, at))


def _show(results: Mapping[str, Result], truth: Moments) -> None:
    qualities = {name: quality(result, truth) for name, result in results.items()}
    (own, drawn, *peers), ratios = results, {}
    for peer in peers:
        mine, other = qualities[own], qualities[peer]
        if mine.error <= other.error + LOOSE and mine.off <= other.off + LOOSE:
            ratios[f"{peer}_seconds"] = round(results[peer].seconds / results[own].seconds, 1)
            ratios |= {} if results[peer].extrapolated else {f"{peer}_error": round(other.error / mine.error, 1)}
            if (theirs := results[peer].full) is not None:
                ratios[f"{peer}_full_posterior_seconds"] = round(theirs / results[drawn].seconds, 1)
            if (of_parameters := results[peer].parameters) is not None:
                ratios[f"{peer}_parameters_seconds"] = round(of_parameters / results[drawn].seconds, 1)
    rows = [
        (name, f"{each.seconds:.2f}", f"{q.correlation:.4f}", f"{q.error:.4f}", f"{q.sd_ratio:.3f}", each.note)
        for (name, each), q in zip(results.items(), qualities.values(), strict=True)
    ]
    seconds = {name: round(each.seconds, 3) for name, each in results.items()}
    full = {name: round(each.full, 3) for name, each in results.items() if each.full is not None}
    found = {name: vars(each) for name, each in qualities.items()}
    packages = versions("cfair", "torch", "pyro-ppl", "numpyro", "jax")
    result = {
        "ratios": ratios,
        "seconds": seconds,
        "full_posterior_seconds": full,
        "quality": found,
        "reference_ess": round(truth.ess),
        "versions": packages,
    }
    show(("method", "seconds", "correlation", "error", "sd ratio", ""), rows, result)


if __name__ == "__main__":
    main()

"""A person's own uniform numbers: a function of the seed and of that person's evidence, whoever else is in the table."""

from hashlib import blake2b

import torch
from torch import Tensor

from cfair.interfaces import Columns, Values
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["PersonalUniforms", "fingerprint", "occurrences", "table_fingerprint"]

BITS = 52  # of a person's shift, as many as a float64 in [0, 1) tells apart


class PersonalUniforms:
    """One Latin hypercube of draws, shifted modulo 1 by a hash of each person's evidence (Cranley & Patterson 1976).

    Each draw of each person is uniform; the draws of one person fall one into each of ``draws`` equal strata, at every
    dimension (McKay, Beckman & Conover 1979); block size and row order change nothing.

    Args:
        scm: has one dimension per number of noise of each node.
        evidence: node -> (n,).
        n: how many people.
        draws: how many per person.
        seed: of the lattice and of the hash.
        occurrence: what else tells people apart, (n,), int64; 0 changes nothing.
    """

    def __init__(self, scm: SCM, evidence: Values, *, n: int, draws: int, seed: int, occurrence: Tensor | None = None) -> None:
        self._sizes = {node: mechanism.noise_size for node, mechanism in scm.mechanisms.items()}
        hidden = (*scm.spec.latents, *scm.spec.observed)  # a missing value is drawn, too; what comes later changes no earlier permutation
        self._sizes |= {_level_of(node): 1 for node in hidden if scm.spec.nodes[node].discrete}
        generator = torch.Generator().manual_seed(seed)
        strata = {node: [torch.randperm(draws, generator=generator) for _ in range(size)] for node, size in self._sizes.items()}
        self._lattice = {node: torch.stack(permutations, -1).to(torch.float64) / draws for node, permutations in strata.items()}
        own = torch.zeros((), dtype=torch.int64) if occurrence is None else _mix(occurrence)
        self._key = _mix(fingerprint(evidence) + _name_hash(f"seed {seed}") + own).expand(n)

    def value(self, latent: str) -> Tensor:
        """Uniform numbers in (0, 1) for the value of a latent or a missing one, (draws, n); noise that it leaves open has others."""
        return self(_level_of(latent) if _level_of(latent) in self._sizes else latent)

    def __call__(self, node: str) -> Tensor:
        """Uniform numbers in (0, 1) for the noise of ``node``: (draws, n), or (draws, n, levels)."""
        shift = torch.stack([self.shift(f"{node} {j}") for j in range(self._sizes[node])], -1)  # (n, size)
        uniform = (self._lattice[node].unsqueeze(1) + shift).remainder(1.0).clamp(2.0**-54, 1 - 2.0**-53)  # noise at 0 and 1 is infinite
        return uniform if self._sizes[node] > 1 else uniform.squeeze(-1)

    def shift(self, name: str) -> Tensor:
        """One number in (0, 1) of each person, (n,), uniform over people and independent of those by other names."""
        return (_shifted(_mix(self._key + _name_hash(name)), 64 - BITS).to(torch.float64) + 0.5) * 2.0**-BITS


def fingerprint(values: Values) -> Tensor:
    """A 64-bit hash of each row, shape (n,), int64, whatever the order of the columns."""
    total = torch.zeros((), dtype=torch.int64)
    for node, column in values.items():
        bits = (column + 0.0).view(torch.int64)  # + 0.0: both zeros are one value
        total = total + _mix(_mix(bits) + _name_hash(node))
    return _mix(total)


def table_fingerprint(spec: ModelSpec, columns: Columns) -> str:
    """A hash of a table's rows and weights, in whatever order, which two tables of the same people share."""
    held = {node: columns.coded[node] for node in spec.observed if node in columns}
    return f"{int(fingerprint({**held, **({} if columns.weights is None else {'': columns.weights})}).sum()):x}"


def occurrences(values: Values) -> Tensor:
    """How many equal rows stand before each, shape (n,), int64: what tells people apart whose evidence is the same."""
    kinds = torch.unique(fingerprint(values), return_inverse=True)[1]
    order = torch.argsort(kinds, stable=True)
    sizes = torch.bincount(kinds)
    starts = sizes.cumsum(0) - sizes
    return torch.empty_like(kinds).scatter(0, order, torch.arange(len(kinds)) - starts[kinds[order]])


def _level_of(latent: str) -> str:
    return f"{latent}[level]"  # no node is called so


def _name_hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def _mix(bits: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014), on wrapping 64-bit integers."""
    bits = (bits ^ _shifted(bits, 30)) * -0x40A7B892E31B1A47
    bits = (bits ^ _shifted(bits, 27)) * -0x6B2FB644ECCEEE15
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Logical shift to the right."""
    return (bits >> places) & ((1 << (64 - places)) - 1)

"""The values that flow between the rooms, and the sockets that leaves fill.

Dimensions, in this order wherever they occur: ``draws`` (posterior draws per person), ``n`` (people), ``k`` (levels, or features).
Every tensor is float64 and carries no gradient. A level of a discrete node is its index in the spec's order: 0.0, 1.0, ...
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from cfair.errors import DataError
from cfair.families import Kind
from cfair.weights import check_weights, evened

__all__ = [
    "Chosen",
    "Coding",
    "Columns",
    "ExactPosterior",
    "Facts",
    "Measured",
    "Mechanism",
    "Metric",
    "Moments",
    "Outlined",
    "Predictor",
    "SelfTaught",
    "Values",
    "World",
    "Worlds",
]

Values = Mapping[str, Tensor]  # node -> its values, any shape that broadcasts to (draws, n)


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading a table found, for the report.

    Args:
        name: the built-in table's name, the file's name, or "DataFrame".
        rows: rows in the table as given.
        sha256: of the file's bytes, or of the values of a DataFrame.
        dropped: rows left out for missing values.
        rounded: node -> rows whose fractional count was rounded.
        unused: columns that the spec does not name, and that do not hold the weights.
        weights: the column that holds the people's weights, if one was named.
        weightless: rows of weight 0, which count for nothing.
        missing: node -> rows kept though they have no entry there, to be integrated out.
    """

    name: str
    rows: int
    sha256: str
    dropped: int = 0
    rounded: Mapping[str, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    weights: str | None = None
    weightless: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)


class Coding(Protocol):
    """How a table wrote a column."""

    def write(self, values: NDArray[np.float64]) -> object:
        """Coded values, shape (n,), as the table would write them, an array in the column's own type."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Columns(Mapping[str, Tensor]):
    """A table of n people coded as the spec declares: node -> (n,).

    A column in which somebody has no entry is read through ``coded`` and ``missing`` together; asked for by its name it is refused, so
    that no reader takes it for a whole one.

    Args:
        coded: node -> (n,), float64; NaN where there is no entry.
        rows: position of each person in the table as given, 0-based, shape (n,), int64.
        facts: what reading the table found.
        weights: how many people like them each person stands for, finite and not negative, shape (n,), float64; None: one each.
        missing: node in which somebody has no entry -> who has none, shape (n,), bool.
        codings: column -> how the table wrote it, in the table's order; empty where the people come from no table.
    """

    coded: Values
    rows: Tensor
    facts: Facts
    weights: Tensor | None = None
    missing: Values = field(default_factory=dict)
    codings: Mapping[str, Coding] = field(default_factory=dict)

    def __getitem__(self, node: str) -> Tensor:
        """The column of a node, without holes.

        Raises:
            DataError: somebody has no entry in it.
        """
        if node in self.missing:
            problem = f"{int(self.missing[node].sum())} of {self.n} values are missing, and they are needed here"
            raise DataError(f"{self.facts.name}, column '{node}'", problem, "fill them in, or leave these rows out (missing='drop')")
        return self.coded[node]

    def __contains__(self, node: object) -> bool:
        return node in self.coded

    def __iter__(self) -> Iterator[str]:
        return iter(self.coded)

    def __len__(self) -> int:
        """How many nodes, as of any mapping; ``n`` is how many people."""
        return len(self.coded)

    @property
    def n(self) -> int:
        """How many people."""
        return len(self.rows)

    def known(self, node: str) -> Tensor:
        """The entries that a column has, shape (m,) with m at most n."""
        return self.coded[node][~self.missing[node]] if node in self.missing else self.coded[node]

    def take(self, people: Tensor | slice) -> "Columns":
        """The columns of some people only, given by position, shape (m,), int64; a slice copies nothing."""
        weights = None if self.weights is None else self.weights[people]
        holes = {node: mask[people] for node, mask in self.missing.items()}
        holes = {node: mask for node, mask in holes.items() if mask.any()}
        return Columns(
            {node: column[people] for node, column in self.coded.items()}, self.rows[people], self.facts, weights, holes, self.codings
        )

    def counted(self) -> "Columns":
        """The people of weight above 0, their weights in the unit in which these have mean 1; everyone where there are no weights.

        Whatever estimates from a table does so from this part of it: people of weight 0 stay in the table and count for nothing.

        Raises:
            QueryError: nobody has a weight above 0, or a weight is negative or not finite.
        """
        if self.weights is None:
            return self
        check_weights(self.weights, self.n)
        positions = self.weights.nonzero().squeeze(-1)
        part = self.take(positions) if len(positions) < self.n else self
        return replace(part, weights=evened(self.weights[positions]))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine of an inference.

    Args:
        engine: its name.
        why: it was chosen.
        approximate: whether it fails calibration on this kind of model, or was never calibrated on it.
    """

    engine: str
    why: str
    approximate: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The latents' posterior given each person's evidence: exact by quadrature, or by importance sampling.

    Args:
        mean: latent -> E[U | evidence], shape (n,); of a latent with levels, of their positions 0, 1, ...
        sd: latent -> sd[U | evidence], shape (n,).
        probabilities: latent with levels -> P(U = level | evidence), shape (n, levels).
        k_hat: latent integrated out by importance sampling -> the weights' tail shape, shape (n,): above 0.7 do not trust the row.
    """

    mean: Values
    sd: Values
    probabilities: Values = field(default_factory=dict)
    k_hat: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What happened to n people, with the exogenous noise that made it happen.

    Args:
        values: node -> (draws, n), an expanded view where all draws agree.
        noise: node -> (draws, n), or (draws, n, k) where it has k numbers; computed when first read, shared by all worlds of these people.
        given: the evidence that the world was abducted from; empty when simulated.
        moments: the latents' posterior given that evidence; None when simulated.
        label: "factual", or what was done, as ``race=Black,sex=female``.
        shape: (draws, n).
    """

    values: Values
    noise: Values
    shape: tuple[int, int]
    given: tuple[str, ...] = ()
    moments: Moments | None = None
    label: str = "factual"


Worlds: TypeAlias = World | Iterable[World]  # people, whole or in blocks


@runtime_checkable
class Mechanism(Protocol):
    """How a node gets its value from its parents and its noise. Implementations are torch modules.

    The law that makes counterfactuals right: ``value(abduct(x, parents, uniform), parents) == x``.
    Noise is independent of the parents; ``noise(uniform)`` of a uniform number in (0, 1) has its prior.
    """

    kind: Kind
    noise_size: int  # numbers of noise per person and draw: 1, or more as a last dimension (one per level under Gumbel-max)

    def distribution(self, parents: Values) -> Distribution:
        """The node's distribution given its parents, for Pyro and for likelihoods."""
        ...

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior; ``uniform`` in (0, 1) has the shape of the noise."""
        ...

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The node's value."""
        ...

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise that made ``value``, drawn by ``uniform`` where several did."""
        ...

    def priors(self) -> Mapping[str, Distribution]:
        """Parameter -> its prior, of its shape, on the unconstrained scale on which it is learned.

        Each parameter ``p`` has a buffer ``p_free`` that tells which of its entries are learned.
        """
        ...

    def start(self, value: Tensor) -> None:
        """Set the free parameters where learning begins, from the node's own values (n,)."""
        ...

    def raw(self) -> Mapping[str, object]:
        """The parameters in the node's and its parents' own units, as under ``parameters:`` in dag.yaml."""
        ...


@runtime_checkable
class SelfTaught(Protocol):
    """A mechanism that learns itself, in closed form or by its own gradients; it has no torch parameters to be learned otherwise."""

    known: bool  # whether dag.yaml fixes all of it

    def learn(self, value: Tensor, parents: Values, *, node: str, seed: int, weights: Tensor | None = None) -> None:
        """Set what is not known from the node's own values (n,) and its parents'.

        Args:
            value: the node's own values, shape (n,).
            parents: name -> (n,).
            node: its name, for messages.
            seed: of whatever is drawn at random, from a generator of its own.
            weights: of the rows, shape (n,), 0 or above; all alike where not given.
        """
        ...


@runtime_checkable
class ExactPosterior(Protocol):
    """A closed-form mechanism whose posterior, given the rows that it learned from, can be drawn from exactly."""

    known: bool  # whether dag.yaml fixes all of it

    def posterior_draws(
        self, value: Tensor, parents: Values, *, count: int, source: Generator, weights: Tensor | None = None
    ) -> Mapping[str, Tensor]:
        """Parameter or buffer -> independent draws (count, *its shape), of the arguments of ``learn``."""
        ...


class Measured(NamedTuple):
    """An average over people and what each contributes to its uncertainty.

    ``influence`` has shape (n,) and mean 0, and is 0 where a person's weight is; ``people`` counts those of weight above 0. The standard
    error is √(Σ influence² / (people·(people − 1))), and differences of measures subtract influences.
    """

    value: float
    influence: Tensor
    people: int


class Metric(Protocol):
    """A number about predictions of an outcome, both of shape (n,), of people with weights, (n,) too; None: all weigh the same.

    Of an outcome with several levels, predictions are probabilities of shape (n, levels).
    """

    def __call__(self, y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
        """The measure and its influence function."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A prediction that reads only what it says it sees."""

    sees: tuple[str, ...]  # what enters the head
    needs: tuple[str, ...]  # columns that a row must have at prediction time
    fitted: nn.Module  # all that was learned, as its state_dict

    @property
    def invariant_in(self) -> Literal["declared", "own"] | None:
        """The SCM in which its same-noise gap is exactly 0, if any."""
        ...

    @property
    def function_of_row(self) -> bool:
        """Whether it reads columns only, so that same-noise and re-abducted predictions agree."""
        ...

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Learn from abducted people, whole or in blocks walked as often as needed, their outcomes and, if they have any, their weights.

        Outcomes and weights have shape (n,), over all blocks in order.
        """
        ...

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n) in a world that shares its noise with the factual one; (draws, n, classes) of an outcome with several."""
        ...

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Rows in (node -> (n,), holding ``needs``), predictions (n,) out, its own inference inside: the map that would be deployed.

        Of an outcome with several levels, their probabilities (n, classes).
        """
        ...


@runtime_checkable
class Outlined(Protocol):
    """A predictor of whose deployed map something is known between the rows that it is asked about."""

    @property
    def span(self) -> tuple[float, float]:
        """Two numbers between which every prediction lies; infinite where there are none."""
        ...

    @property
    def monotone(self) -> bool:
        """Whether, all else given, a prediction moves one way only as a column that is a number grows."""
        ...

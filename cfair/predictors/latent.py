"""Level 2: predictors on the non-descendants and the latents that no protected attribute caused (Kusner et al. 2017, section 4.1)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from cfair.access import guard, needs, sees
from cfair.errors import LeakageError, QueryError
from cfair.heads.base import Head
from cfair.inference import completed, expectation, expectation_of_incomplete, fingerprint, patterns, posterior, posterior_of_rows
from cfair.inference.patterns import Pattern, together
from cfair.interfaces import Columns, Moments, Values, World, Worlds
from cfair.metrics import indicators
from cfair.predictors.features import Batches, each_block, features, head_of, in_every_draw, observed_features
from cfair.predictors.incomplete import DRAWS, SEED
from cfair.scm import SCM
from cfair.weights import check_weights

__all__ = ["FOLDS", "Latent", "LatentDraws", "LatentPosteriorMean"]

FOLDS = 5  # of the validation inside the training rows that chooses between the two variants


class _OnLatents(ABC):
    """A head on level 1's columns and on latents, as each variant reads them.

    Args:
        scm: infers the latents; frozen with the predictor.
        head: a name in HEADS, or "auto" by the outcome's kind.
        features: some of what may be seen; all if None.

    Raises:
        LeakageError: ``features`` has a node that this predictor must not see.
    """

    name: ClassVar[str]
    invariant_in: ClassVar[Literal["declared", "own"] | None] = "declared"
    function_of_row: ClassVar[bool] = False

    def __init__(self, scm: SCM, *, head: str = "auto", features: Sequence[str] | None = None) -> None:
        self.scm = scm
        self.sees = sees(scm.spec, self.name) if features is None else guard(scm.spec, self.name, features)
        self.needs = needs(scm.spec, self.name)
        self.fitted = head_of(scm.spec, head, self.sees)

    @property
    def classes(self) -> tuple[str, ...]:
        """The levels of which it gives probabilities; none where a prediction is one number."""
        return self.scm.spec.classes

    @property
    def span(self) -> tuple[float, float]:
        """As of its head."""
        return self.fitted.span

    @property
    def monotone(self) -> bool:
        """Not known: a row's latents need not move one way."""
        return False

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None, keep: Tensor | None = None) -> Self:
        """Learn the head from blocks of abducted people, their outcomes and perhaps weights, (n,); only from those to ``keep``, (n,)."""
        self.fitted.fit(Batches(worlds, outcome, self.seen, weights=weights, keep=keep))
        return self

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n[, classes]); the latents do not move between worlds of the same people."""
        return in_every_draw(self.fitted.predict(self.seen(world)), world)

    @property
    def head(self) -> Head:
        """What makes predictions of what it sees."""
        return self.fitted

    @abstractmethod
    def seen(self, world: World) -> Tensor:
        """What the head reads of a world, shape (draws or 1, n, k)."""

    @abstractmethod
    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions (n[, classes]) of rows, each row's latents inferred from it."""

    @abstractmethod
    def deploy_incomplete(self, columns: Columns) -> Tensor:
        """Predictions (n[, classes]) of rows of which some lack values, these integrated out."""


class LatentPosteriorMean(_OnLatents):
    """The plug-in: the head is fitted on, and reads, each person's posterior mean of the latents, their levels' probabilities."""

    name = "latent_posterior_mean"

    def seen(self, world: World) -> Tensor:
        """Level 1's columns and the posterior means, shape (1, n, k)."""
        _check_evidence(self.scm, world)
        assert world.moments is not None
        observed = {node: world.values[node][:1] for node in self.sees if node not in world.moments.mean}
        return self._plugged(observed, world.moments, (1, world.shape[1]))

    def deploy(self, columns: Values, n: int) -> Tensor:
        """g(E[U | row]), shape (n[, classes])."""
        return self.fitted.predict(self._plugged(columns, posterior_of_rows(self.scm, columns, n), (n,)))

    def deploy_incomplete(self, columns: Columns) -> Tensor:
        """g(E[U | what the row has]), shape (n[, classes]), and so with a level 1 column that it lacks."""
        return self.fitted.predict(self._plugged(columns.coded, posterior(self.scm, columns), (columns.n,)))

    def _plugged(self, observed: Values, moments: Moments, shape: tuple[int, ...]) -> Tensor:
        """Features with each latent's expectation in its place, shape (*shape, k)."""
        return features(self.scm.spec, self.sees, {**observed, **moments.mean}, shape, probabilities=moments.probabilities)


class LatentDraws(_OnLatents):
    """Algorithm 1 of Kusner et al. (2017): the head is fitted on every (draw, person) pair, and its mean over the posterior deployed.

    With a linear head this attenuates the slope by the reliability of the latent.
    """

    name = "latent_draws"

    def seen(self, world: World) -> Tensor:
        """Level 1's columns and the latents' draws, shape (draws, n, k)."""
        _check_evidence(self.scm, world)
        return observed_features(self.scm.spec, self.sees, world)

    def deploy(self, columns: Values, n: int) -> Tensor:
        """E[g(U) | row], shape (n[, classes]), by quadrature: no draw enters."""
        own = {node: columns[node] for node in self.needs}
        return expectation(self.scm, own, self._prediction, n=n, outputs=len(self.classes))

    def deploy_incomplete(self, columns: Columns) -> Tensor:
        """E[g(U) | what the row has], shape (n[, classes]), and so with a level 1 column that it lacks: a count by draws."""
        if any(node in columns.missing and self.scm.spec.nodes[node].kind == "count" for node in self.sees):
            return together([(kind.people, self._by_draws(columns, kind)) for kind in patterns(columns, self.needs)], columns.n)
        return expectation_of_incomplete(self.scm, columns, self._prediction, reads=self.sees, outputs=len(self.classes))

    def _by_draws(self, columns: Columns, kind: Pattern) -> Tensor:
        """The mean over draws of rows that lack the same, shape (m[, classes])."""
        rows = {node: columns.coded[node][kind.people] for node in self.needs if node not in kind.missing}
        shape = (DRAWS, len(kind.people))
        values = completed(self.scm, rows, shape[1], draws=DRAWS, seed=SEED)
        return self.fitted.predict(features(self.scm.spec, self.sees, {node: values[node] for node in self.sees}, shape)).mean(0)

    def _prediction(self, values: Values) -> Tensor:
        """Predictions at points of the latents, shape (Q, m[, classes])."""
        shape = max((value.shape for value in values.values()), key=len)  # (Q, m) where a latent has its quadrature points
        return self.fitted.predict(features(self.scm.spec, self.sees, values, shape))


class Latent:
    """The better of the two variants, chosen by five-fold validation inside the training rows; both losses are kept.

    Args and errors as of the variants.
    """

    name: ClassVar[str] = "latent"
    invariant_in: ClassVar[Literal["declared", "own"] | None] = "declared"
    function_of_row: ClassVar[bool] = False

    def __init__(self, scm: SCM, *, head: str = "auto", features: Sequence[str] | None = None) -> None:
        self._variants = (LatentPosteriorMean(scm, head=head, features=features), LatentDraws(scm, head=head, features=features))
        self.sees, self.needs = self._variants[0].sees, self._variants[0].needs
        self.fitted = nn.ModuleList(variant.fitted for variant in self._variants)
        self._losses = torch.zeros(len(self._variants), dtype=torch.float64)
        self.fitted.register_buffer("losses", self._losses)

    @property
    def classes(self) -> tuple[str, ...]:
        """The levels of which it gives probabilities; none where a prediction is one number."""
        return self._variants[0].classes

    @property
    def losses(self) -> dict[str, float]:
        """Variant -> mean squared error on the people left out, weighted where they are, over five folds of the training rows.

        Of an outcome with several levels, squared errors are added up over these.
        """
        return {variant.name: float(loss) for variant, loss in zip(self._variants, self._losses, strict=True)}

    @property
    def chosen(self) -> LatentPosteriorMean | LatentDraws:
        """The variant with the smaller loss."""
        return self._variants[int(self._losses.argmin())]

    @property
    def span(self) -> tuple[float, float]:
        """As of the chosen variant's head."""
        return self.chosen.span

    @property
    def monotone(self) -> bool:
        """As of the chosen variant."""
        return self.chosen.monotone

    @property
    def head(self) -> Head:
        """The chosen variant's."""
        return self.chosen.head

    def seen(self, world: World) -> Tensor:
        """What the chosen variant's head reads of a world, shape (draws or 1, n, k)."""
        return self.chosen.seen(world)

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Validate both variants, then fit each on everyone."""
        counts = torch.ones_like(outcome) if weights is None else weights
        check_weights(counts, len(outcome))
        fold = _folds(self.needs, worlds, outcome, counts)
        for j, variant in enumerate(self._variants):
            self._losses[j] = _validated(variant, worlds, outcome, counts, fold)
            variant.fit(worlds, outcome, weights=weights)
        return self

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n[, classes]) of the chosen variant."""
        return self.chosen.predict(world)

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions (n[, classes]) of the chosen variant."""
        return self.chosen.deploy(columns, n)

    def deploy_incomplete(self, columns: Columns) -> Tensor:
        """Predictions (n[, classes]) of the chosen variant."""
        return self.chosen.deploy_incomplete(columns)


def _folds(nodes: Sequence[str], worlds: Worlds, outcome: Tensor, weights: Tensor) -> Tensor:
    """Each person's fold, shape (n,): people ranked by a hash of their row, so that the order of rows changes nothing.

    People of weight 0 are ranked last, where they change nobody else's fold.
    """
    evidence = {node: torch.cat([world.values[node][0] for world in each_block(worlds)]) for node in nodes}
    people = sum(world.shape[1] for world in each_block(worlds))
    if people != len(outcome):
        raise QueryError(
            "outcome", f"{len(outcome)} outcomes for {people} people", "give one outcome per person, in the order of the worlds"
        )
    by_hash = fingerprint({**evidence, "": outcome}).argsort()
    counted_first = by_hash[(weights[by_hash] == 0).to(torch.int8).argsort(stable=True)]
    return counted_first.argsort() % FOLDS


def _validated(variant: _OnLatents, worlds: Worlds, outcome: Tensor, weights: Tensor, fold: Tensor) -> Tensor:
    """Weighted mean squared error, shape (), of predictions for people left out of the fit; of an outcome with levels, the Brier score."""
    seen = indicators(outcome, len(variant.classes)) if variant.classes else outcome
    total = torch.zeros((), dtype=torch.float64)
    for left_out in range(FOLDS):
        variant.fit(worlds, outcome, weights=weights, keep=fold != left_out)
        predicted = torch.cat([variant.predict(world).mean(0) for world in each_block(worlds)])
        squares = (predicted - seen).square().reshape(len(outcome), -1).sum(-1)
        total = total + (weights * squares)[fold == left_out].sum()
    return total / weights.sum()


def _check_evidence(scm: SCM, world: World) -> None:
    """A latent must have been inferred without the outcome and its descendants."""
    if world.moments is None:
        raise QueryError("world", "it was simulated, so nothing was inferred of its latents", "abduct it from a table")
    for node in world.given:
        if node not in scm.spec.evidence:
            raise LeakageError(
                "world",
                f"'{node}' is in the evidence from which the latents were inferred: the outcome would be seen through them",
                "abduct with the default evidence, without given=",
            )

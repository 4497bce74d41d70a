"""Which effects follow from the distribution of observed nodes alone, and what hides the others. Imports no torch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from cfair.effects.records import TERMS, Json
from cfair.effects.roles import Roles, roles_of
from cfair.graph import Graph, ancestors, d_separated, descendants
from cfair.spec import ModelSpec, few_indicators

__all__ = ["ADJUSTED", "MEDIATED", "NotIdentified", "not_identified", "without_map"]

ADJUSTED = ("te", "ett", "ctf_se", "exp_se_from", "exp_se_to")  # by adjustment for the confounders
MEDIATED = ("nde", "nie", "ctf_de", "ctf_ie")  # by the mediation formula; what is in neither always is

Means = Literal["model", "unasked", "prior", "nothing"]

_BY: dict[Means, str] = {
    "model": "identified by the parametric model only",
    "unasked": "rows do not tell it; by the parametric model only, which was not asked (source scm)",
    "prior": "not identified by the parametric model either: it rests on priors and on the mechanisms' shapes",
    "nothing": "not to be had",
}


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """A term that observed nodes alone do not tell.

    Args:
        term: in ``TERMS``.
        latents: what hides it.
        why: in one clause.
        means: whether the parametric model tells it nevertheless, or would if it were asked; only its priors do, or nothing does.
    """

    term: str
    latents: tuple[str, ...]
    why: str
    means: Means

    @property
    def sentence(self) -> str:
        """All of it in words."""
        return f"{self.why}: {_BY[self.means]}"

    def to_json(self) -> dict[str, Json]:
        """Its entry in ``not_identified``."""
        return {
            "term": self.term,
            "latents": list(self.latents),
            "why": self.sentence,
            "identified_by_parametric_model": self.means in ("model", "unasked"),
        }


def not_identified(spec: ModelSpec, attribute: str, target: str, *, fixed: bool = False) -> tuple[NotIdentified, ...]:
    """The terms that observed nodes do not tell without the mechanisms' shapes, in the order of ``TERMS``.

    TV always is told. TE, ETT, Ctf-SE and Exp-SE are where the confounders block every back-door path from the attribute to the
    target: d-separation once the attribute's outgoing edges are cut. NDE, NIE, Ctf-DE and Ctf-IE need besides that nobody but the
    confounders is a common cause of mediators and target, or of the attribute and a mediator, and that no mediator is latent.

    Args:
        spec: the declared model.
        attribute: what is set.
        target: what is asked for.
        fixed: whether every parameter is, so that the model tells whatever is asked.

    Source: Pearl (2001), Direct and indirect effects, Theorem 4; Plečko & Bareinboim (2024), Causal fairness analysis, section 4.
    """
    roles = roles_of(spec, attribute, target)
    if target not in descendants(spec.graph, attribute):
        return ()  # it is the same in all worlds
    adjusted = _confounded(spec, roles)
    mediated = adjusted or _mediation_hidden(spec, roles)
    found = dict.fromkeys(ADJUSTED, adjusted) | dict.fromkeys(MEDIATED, mediated)
    hidden = {term: found[term] for term in TERMS if term in found}
    return tuple(NotIdentified(term, why[0], why[1], _told(spec, why[0], fixed)) for term, why in hidden.items() if why is not None)


def without_map() -> tuple[NotIdentified, ...]:
    """All terms but TV, of a prediction of which only the values are known: no model tells what it would be of other rows."""
    why = "the predictions come without the map that makes them, so that the model cannot tell them of other rows"
    return tuple(NotIdentified(term, (), why, "nothing") for term in TERMS if term in ADJUSTED + MEDIATED)


Hidden = tuple[tuple[str, ...], str]  # the latents, and why they hide the effect


def _confounded(spec: ModelSpec, roles: Roles) -> Hidden | None:
    """What hides the total effect, if something does."""
    return _open(spec, roles, _cut(spec.graph, [roles.attribute]), (roles.attribute, roles.target))


def _mediation_hidden(spec: ModelSpec, roles: Roles) -> Hidden | None:
    """What hides the part of mediators, if something does."""
    if roles.latent_mediators:
        names = _listed(roles.latent_mediators)
        return roles.latent_mediators, f"{names} {'is a' if len(roles.latent_mediators) == 1 else 'are'} latent mediator of the effect"
    after, before = _cut(spec.graph, [roles.attribute, *roles.mediators]), _cut(spec.graph, [roles.attribute])
    for mediator in roles.mediators:
        hidden = _open(spec, roles, after, (mediator, roles.target)) or _open(spec, roles, before, (roles.attribute, mediator))
        if hidden is not None:
            return hidden
    return _open(spec, roles, after, (roles.attribute, roles.target))


def _open(spec: ModelSpec, roles: Roles, graph: Graph, ends: tuple[str, str]) -> Hidden | None:
    """The latents by which two nodes stay dependent given the confounders, if they do."""
    if d_separated(graph, *ends, roles.confounders):
        return None
    first, second = ends
    if common := roles.between(first, second):
        return common, f"{_listed(common)} {'is a' if len(common) == 1 else 'are'} hidden common cause of '{first}' and '{second}'"
    blocked = [latent for latent in spec.latents if d_separated(graph, first, second, [*roles.confounders, latent])]
    above = ancestors(graph, [first, second, *roles.confounders])
    latents = tuple(blocked) or tuple(latent for latent in spec.latents if latent in above)
    return latents, f"through {_listed(latents)}, '{first}' and '{second}' depend on one another, whatever observed nodes are held"


def _told(spec: ModelSpec, latents: Collection[str], fixed: bool) -> Means:
    """Whether the mechanisms' shapes tell what the latents hide."""
    return "model" if fixed or not set(latents) & set(few_indicators(spec)) else "prior"


def _cut(graph: Graph, nodes: Sequence[str]) -> Graph:
    """The graph without the edges out of ``nodes``."""
    left = graph.copy()
    left.remove_edges_from(list(graph.out_edges(nodes)))
    return left


def _listed(names: Sequence[str]) -> str:
    """``'a'``, ``'a' and 'b'``."""
    quoted = [f"'{name}'" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))

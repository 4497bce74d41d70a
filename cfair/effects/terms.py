"""The ten terms as sums and differences of a few means, so that their identities hold whatever the means are."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar

from torch import Tensor

from cfair.effects.records import TERMS

__all__ = ["FORMULAS", "MEANS", "MeanName", "terms"]

MeanName: TypeAlias = Literal["seen_start", "seen_end", "start", "end", "end_given_start", "direct", "direct_given_start"]
T = TypeVar("T", Tensor, float)

MEANS: Mapping[MeanName, str] = {  # with x0 the start, x1 the end, W the mediators
    "seen_start": "E[y | x0]",
    "seen_end": "E[y | x1]",
    "start": "E[y_{x0}]",
    "end": "E[y_{x1}]",
    "end_given_start": "E[y_{x1} | x0]",
    "direct": "E[y_{x1, W_{x0}}]",
    "direct_given_start": "E[y_{x1, W_{x0}} | x0]",
}

FORMULAS: Mapping[str, tuple[MeanName, MeanName]] = {  # the first mean minus the second; E[y_{x0} | x0] is E[y | x0]
    "tv": ("seen_end", "seen_start"),
    "te": ("end", "start"),
    "ett": ("end_given_start", "seen_start"),
    "nde": ("direct", "start"),
    "nie": ("direct", "end"),
    "ctf_de": ("direct_given_start", "seen_start"),
    "ctf_ie": ("direct_given_start", "end_given_start"),
    "ctf_se": ("end_given_start", "seen_end"),
    "exp_se_from": ("seen_start", "start"),
    "exp_se_to": ("seen_end", "end"),
}


def terms(means: Mapping[MeanName, T]) -> dict[str, T]:
    """Every term of which both means are there, in the order of ``TERMS``.

    TV = E[y|x1] − E[y|x0];  TE = E[y_{x1}] − E[y_{x0}];  ETT = E[y_{x1}|x0] − E[y|x0];  Exp-SE_x = E[y|x] − E[y_x];
    NDE = E[y_{x1,W_{x0}}] − E[y_{x0}];  NIE = E[y_{x1,W_{x0}}] − E[y_{x1}];  Ctf-DE = E[y_{x1,W_{x0}}|x0] − E[y|x0];
    Ctf-IE = E[y_{x1,W_{x0}}|x0] − E[y_{x1}|x0];  Ctf-SE = E[y_{x1}|x0] − E[y|x1]. So TV = TE + Exp-SE_{x1} − Exp-SE_{x0}
    = Ctf-DE − Ctf-IE − Ctf-SE, TE = NDE − NIE, and ETT = Ctf-DE − Ctf-IE, to rounding.

    Args:
        means: numbers, or tensors of one shape: values, or people's influences on them.

    Source: Plečko & Bareinboim (2024), Causal fairness analysis, Definitions 4.1 to 4.5.
    """
    formulas = {term: FORMULAS[term] for term in TERMS}
    return {term: means[plus] - means[minus] for term, (plus, minus) in formulas.items() if plus in means and minus in means}

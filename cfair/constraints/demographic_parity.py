"""Demographic parity: every group is selected equally often."""

from cfair.constraints.base import Constraint
from cfair.constraints.tallies import selection_rate

__all__ = ["demographic_parity"]

demographic_parity = Constraint("demographic_parity", {"people": selection_rate})
"""P(ŷ = 1 | g) equal for all groups g. Difference: max_g P(ŷ=1|g) − min_g P(ŷ=1|g); ratio: min_g P(ŷ=1|g) / max_g P(ŷ=1|g).

The ratio below 0.8 is what the four-fifths rule of the US Uniform Guidelines on Employee Selection Procedures (1978), section 4D, flags.

Source: Calders, Kamiran & Pechenizkiy (2009), Building classifiers with independency constraints, for two groups; the largest
difference over any number of them as in Agarwal et al. (2018), A reductions approach to fair classification, Definition 1.
"""

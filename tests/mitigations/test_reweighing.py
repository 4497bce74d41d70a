"""Reweighing against its formula, by hand."""

import pytest
import torch

from cfair.constraints import CONSTRAINTS
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows
from cfair.mitigations.reweighing import reweighed


def people(n: int = 600, groups: int = 3) -> Rows:
    source = torch.Generator().manual_seed(0)
    group = torch.randint(groups, (n,), generator=source)
    x = torch.randn(n, 2, generator=source, dtype=torch.float64) + group[:, None] * torch.tensor([1.0, 0.0])
    y = torch.bernoulli((x.sum(1) - 1).sigmoid(), generator=source)
    return Rows(x, y, group, groups, torch.rand(n, generator=source, dtype=torch.float64) + 0.5)


def test_weights_of_ten_people_are_those_of_the_paper_by_hand() -> None:
    """Of 10 people 5 are in group 1, 6 have outcome 1; of group 1 four: 0.5·0.6/0.4 = 0.75, 0.5·0.6/0.2 = 1.5, 0.5·0.4/0.1 = 2, ..."""
    group = torch.tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    outcome = torch.tensor([1, 1, 1, 1, 0, 1, 1, 0, 0, 0]).double()
    expected = torch.tensor([0.75] * 4 + [2.0] + [1.5] * 2 + [2 / 3] * 3, dtype=torch.float64)
    torch.testing.assert_close(reweighed(outcome, group, torch.ones(10, dtype=torch.float64)), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("levels", [2, 4])
def test_outcome_and_group_are_independent_and_their_shares_are_kept(levels: int) -> None:
    source = torch.Generator().manual_seed(1)
    group, outcome = torch.randint(3, (500,), generator=source), torch.randint(levels, (500,), generator=source)
    before = torch.rand(500, generator=source, dtype=torch.float64)
    after = reweighed(outcome.double(), group, before)
    joint, joint_before = (
        torch.zeros(3, levels, dtype=torch.float64).index_put_((group, outcome), w, accumulate=True) for w in (after, before)
    )
    torch.testing.assert_close(joint, joint.sum(1, keepdim=True) * joint.sum(0) / joint.sum())
    torch.testing.assert_close(joint.sum(0), joint_before.sum(0))
    torch.testing.assert_close(joint.sum(1), joint_before.sum(1))


def test_the_head_is_that_of_the_reweighed_rows() -> None:
    rows = people()
    asked = Asked(constraints=(CONSTRAINTS["demographic_parity"],))
    weights = rows.weights.clone()
    for g in range(3):
        for y in (0.0, 1.0):
            cell = (rows.group == g) & (rows.outcome == y)
            of_group, of_level = rows.weights[rows.group == g].sum(), rows.weights[rows.outcome == y].sum()
            weights[cell] *= of_group * of_level / (rows.weights[cell].sum() * rows.weights.sum())
    expected = Logistic(2).fit([(rows.features, rows.outcome, weights)])
    head = MITIGATIONS["reweighing"].train(rows, asked).head
    torch.testing.assert_close(head.predict(rows.features), expected.predict(rows.features), rtol=1e-12, atol=1e-12)


def test_no_strength_leaves_the_head_without_constraints() -> None:
    rows = people()
    head = MITIGATIONS["reweighing"].train(rows, Asked(constraints=(CONSTRAINTS["demographic_parity"],), strength=0.0)).head
    assert torch.equal(head.predict(rows.features), Logistic(2).fit([(rows.features, rows.outcome, rows.weights)]).predict(rows.features))

"""Torch's threads while cfair works."""

import pytest
import torch

from cfair.threads import threads, with_threads


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


def test_one_thread_works_unless_more_are_asked_for() -> None:
    seen = with_threads(torch.get_num_threads)
    assert seen() == 1
    with threads(2):
        assert seen() == 2
    assert seen() == 1


def test_torchs_own_setting_comes_back_even_after_an_error() -> None:
    @with_threads
    def failing() -> None:
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        failing()
    assert torch.get_num_threads() == 2

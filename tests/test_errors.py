"""What a message says."""

import pickle

import pytest

from cfair.errors import CfairError, DataError, FitError, LeakageError, QueryError, SpecError, StoreError, nearest


@pytest.mark.parametrize("kind", [SpecError, DataError, QueryError, LeakageError, FitError, StoreError])
def test_every_error_says_where_what_and_how_to_mend_it_in_one_line(kind: type[CfairError]) -> None:
    error = kind("dag.yaml, line 3", "'x' is not a node", "name it 'y'")
    assert str(error) == "dag.yaml, line 3: 'x' is not a node. Name it 'y'"
    assert (error.where, error.problem, error.mend) == ("dag.yaml, line 3", "'x' is not a node", "name it 'y'")


def test_a_leak_is_a_question_that_cannot_be_answered() -> None:
    assert issubclass(LeakageError, QueryError)


def test_errors_cross_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(DataError("a.csv", "no rows", "add some")))
    assert (error.where, error.problem, error.mend) == ("a.csv", "no rows", "add some")


def test_the_mend_for_a_misspelling_is_the_nearest_word_or_all_of_them() -> None:
    assert nearest("lsta", ["lsat", "ugpa"]) == "did you mean 'lsat'?"
    assert nearest("zzz", ["lsat", "ugpa"]) == "use one of: lsat, ugpa"
    assert nearest("zzz", []) == "use one of: (none)"

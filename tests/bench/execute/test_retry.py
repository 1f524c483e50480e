"""The rules of retries, without a cluster."""

from dataclasses import dataclass

import pytest

from uqdm.bench.execute.retry import LOADS, LOSSES, TIMEOUTS, Action, Failure, LoadFailed, TimeLimitExceeded, WorkerLost

TRY_AGAIN, TRY_ELSEWHERE, SPLIT, FAIL, FAIL_ALIKE = Action
LOST = WorkerLost("node3", "its process died")
LATE = TimeLimitExceeded("node3", 60.0)
UNLOADED = LoadFailed("node3", "no such library")


@dataclass(frozen=True)
class SomeJob:
    """The part of a job that the rules read."""

    n_items: int
    loads: tuple[str, ...] = ("jpeg", "quality=50")
    label: str = "jpeg:quality=50 images 0 to 49"
    item: str = "image"


@pytest.mark.parametrize(
    ("failure", "n_items", "actions"),
    [
        (LOST, 50, [TRY_AGAIN] * (LOSSES - 1) + [SPLIT]),
        (LOST, 1, [TRY_AGAIN] * (LOSSES - 1) + [FAIL]),
        (LATE, 50, [SPLIT]),
        (LATE, 1, [TRY_AGAIN] * (TIMEOUTS - 1) + [FAIL]),
        (UNLOADED, 50, [TRY_ELSEWHERE] * (LOADS - 1) + [FAIL_ALIKE]),
        (UNLOADED, 1, [TRY_ELSEWHERE] * (LOADS - 1) + [FAIL_ALIKE]),
    ],
)
def test_the_actions_after_each_failure(failure: Failure, n_items: int, actions: list[Action]) -> None:
    found = [failure.decide(SomeJob(n_items), count + 1) for count in range(len(actions))]  # type: ignore[arg-type]
    assert [decision.action for decision in found] == actions
    assert [bool(decision.reason) for decision in found] == [action in (FAIL, FAIL_ALIKE) for action in actions]
    assert all("node3" in decision.message for decision in found)

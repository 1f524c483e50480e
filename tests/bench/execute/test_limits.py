"""Resources of workers: one core, and a GPU only if there is one and their codec uses it."""

import pytest

from uqdm.bench.execute.limits import ActorResources, WorkerLimits


def test_workers_have_a_gpu_only_for_codecs_that_use_one_where_there_is_one() -> None:
    limits = WorkerLimits(gpus_per_actor=0.25, cpus_per_actor=2)
    assert limits.actor_resources(4, uses_gpu=False) == ActorResources(1, 0)
    assert limits.actor_resources(4, uses_gpu=True) == ActorResources(2, 0.25)
    assert limits.actor_resources(0, uses_gpu=True) == ActorResources(1, 0)


@pytest.mark.parametrize(
    ("resources", "node", "count"),
    [
        (ActorResources(1), {"CPU": 8, "GPU": 2}, 8),
        (ActorResources(3), {"CPU": 8}, 2),
        (ActorResources(1), {}, 0),
        (ActorResources(1, 1), {"CPU": 8, "GPU": 2}, 2),
        (ActorResources(1, 0.4), {"CPU": 8, "GPU": 2}, 4),  # twice on each, and not five times on two
        (ActorResources(1, 1 / 3), {"CPU": 8, "GPU": 1}, 3),
        (ActorResources(1, 2), {"CPU": 8, "GPU": 5}, 2),
        (ActorResources(4, 0.5), {"CPU": 6, "GPU": 2}, 1),  # cores run out first
        (ActorResources(1, 1), {"CPU": 8}, 0),
    ],
)
def test_how_many_actors_fit_on_a_node(resources: ActorResources, node: dict[str, float], count: int) -> None:
    assert resources.fit(node) == count


@pytest.mark.parametrize(
    "wrong",
    [{"time_limit_s": 0.0}, {"gpus_per_actor": 0.0}, {"gpus_per_actor": 1.5}, {"cpus_per_actor": 0}, {"readers": 0}],
)
def test_impossible_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above 0|part of one|at least 1"):
        WorkerLimits(**wrong)  # type: ignore[arg-type]

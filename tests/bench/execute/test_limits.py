"""What workers are given: a core and no GPU, unless their codec computes on one and there is one."""

import pytest

from uqdm.bench.execute.limits import Post, WorkerLimits


def test_only_codecs_that_compute_on_gpus_are_given_one_and_only_where_there_is_one() -> None:
    limits = WorkerLimits(gpus_per_actor=0.25, cpus_per_actor=2)
    assert limits.post(4, uses_gpu=False) == Post(1, 0)
    assert limits.post(4, uses_gpu=True) == Post(2, 0.25)
    assert limits.post(0, uses_gpu=True) == Post(1, 0)


@pytest.mark.parametrize(
    ("post", "node", "fit"),
    [
        (Post(1), {"CPU": 8, "GPU": 2}, 8),
        (Post(3), {"CPU": 8}, 2),
        (Post(1), {}, 0),
        (Post(1, 1), {"CPU": 8, "GPU": 2}, 2),
        (Post(1, 0.4), {"CPU": 8, "GPU": 2}, 4),  # twice on each, and not five times on two
        (Post(1, 1 / 3), {"CPU": 8, "GPU": 1}, 3),
        (Post(1, 2), {"CPU": 8, "GPU": 5}, 2),
        (Post(4, 0.5), {"CPU": 6, "GPU": 2}, 1),  # cores run out first
        (Post(1, 1), {"CPU": 8}, 0),
    ],
)
def test_posts_on_a_node(post: Post, node: dict[str, float], fit: int) -> None:
    assert post.room(node) == fit


@pytest.mark.parametrize(
    "wrong",
    [{"time_limit_s": 0.0}, {"gpus_per_actor": 0.0}, {"gpus_per_actor": 1.5}, {"cpus_per_actor": 0}, {"readers": 0}],
)
def test_impossible_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above 0|part of one|at least 1"):
        WorkerLimits(**wrong)  # type: ignore[arg-type]

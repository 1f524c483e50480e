"""Running the network restores torch settings of the process, also with several threads."""

import threading

import torch

from uqdm.progressive.predictor import float32_arithmetic


def test_tf32_stays_off_while_any_thread_is_inside_and_is_restored_after_the_last():
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with float32_arithmetic():
            inside.set()
            leave.wait(10)
            seen.append(torch.backends.cuda.matmul.allow_tf32)

    try:
        thread = threading.Thread(target=other)
        with float32_arithmetic():
            thread.start()
            assert inside.wait(10)
        assert not torch.backends.cuda.matmul.allow_tf32  # the other thread is still inside
        leave.set()
        thread.join(10)
        assert seen == [False]
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before

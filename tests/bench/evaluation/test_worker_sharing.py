"""Which codecs share workers."""

from uqdm.bench.evaluation.worker_sharing import sharing_workers
from uqdm.bench.run.codec_settings import CodecSetting


def test_plain_codecs_share_workers_and_others_have_their_own() -> None:
    jpeg, png = CodecSetting("jpeg"), CodecSetting("png")
    model, on_gpu = CodecSetting("model", holds_model=True), CodecSetting("gpu", uses_gpu=True)
    assert sharing_workers([model, jpeg, on_gpu, png]) == [[jpeg, png], [model], [on_gpu]]
    assert sharing_workers([on_gpu]) == [[on_gpu]]
    assert sharing_workers(list[CodecSetting]()) == []

"""Guards labels of codec requests: what is allowed, what is refused before work, and that nothing is measured anew."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_run import evaluate_here, score_here
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.curves import curves
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import (
    CodecSetting,
    Request,
    format_request,
    parse_request,
    requests_from_mapping,
    resolve,
)
from uqdm.bench.run.json_files import read_labels, read_manifest
from uqdm.bench.run.labels import LONGEST_LABEL, check_labels
from uqdm.bench.run.layout import rows_path
from uqdm.bench.run.summary_reader import read_summary
from uqdm.codec import Codec, Parameter, ParameterError, register_codec

pytestmark = pytest.mark.usefixtures("toys")


def resolved(*texts: str) -> dict[str, list[CodecSetting]]:
    return resolve(map(parse_request, texts))


@pytest.mark.parametrize(
    "text", ["jpeg:label=ours", "jpeg:quality=50,label=ours (v2)", "jpeg:quality=1..9:2,label=a b"]
)
def test_a_label_survives_reading_and_writing(text: str) -> None:
    request = parse_request(text)
    assert request.label
    assert "label" not in (request.parameters or {})
    assert format_request(request) == text


def test_configuration_and_command_line_mean_the_same() -> None:
    by_mapping = requests_from_mapping({"jpeg": [{"quality": 50, "label": "ours"}], "png": {"label": "P"}})
    assert by_mapping == [Request("jpeg", {"quality": 50}, "ours"), Request("png", None, "P")]
    assert resolve(by_mapping) == resolved("jpeg:quality=50,label=ours", "png:label=P")


def test_a_label_alone_names_the_settings_of_the_sweep() -> None:
    found = resolved("toy-raw:label=ours")["toy-raw"]
    assert [(one.setting, one.label) for one in found] == [("drop=0", "ours"), ("drop=4", "ours")]


@pytest.mark.parametrize(
    "label", ["", " ours", "ours ", "two  spaces", "a\nb", "a\x1b[1m", "a,b", "a=b", "x" * 41, 5, None]
)
def test_a_label_that_is_not_allowed_is_refused_by_name(label: object) -> None:
    assert LONGEST_LABEL == 40
    with pytest.raises(ParameterError, match="codec png: label="):
        requests_from_mapping({"png": {"label": label}})


@pytest.mark.parametrize(
    "texts",
    [
        ("jpeg:label=x", "webp:label=x"),  # two codecs
        ("toy-model:drop=1,label=x", "toy-model:drop=2,label=x"),  # two files of every image
        tuple(
            f"program:encode={name} {{input}} {{output}},decode=cp {{input}} {{output}},label=x"
            for name in ("cp", "mv")
        ),
        ("avif:quality=1..3,label=x", "avif:quality=1..3,speed=9,label=x"),  # two families
        ("jpeg2000-progressive:label=x",),  # its sweep has two files of every image
    ],
)
def test_a_label_for_two_curves_is_refused_with_both(texts: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError, match=r"label 'x' is given to two curves, .* and .*; give each curve its own"):
        resolved(*texts)


def test_models_of_one_rate_each_may_share_a_label_and_are_one_curve() -> None:
    settings = ["model=/a/low.pth.tar,quality=0", "model=/a/high.pth.tar,quality=0"]
    check_labels({"learned": [CodecSetting("learned", {}, setting, label="x") for setting in settings]})
    for others in ({"progressive": True}, {"setting": "model=/a/high.pth.tar,quality=1"}):
        two = [CodecSetting("learned", {}, settings[0], label="x")]
        two.append(replace(CodecSetting("learned", {}, settings[1], label="x"), **others))
        with pytest.raises(ParameterError, match="label 'x' is given to two curves"):
            check_labels({"learned": two})


@pytest.mark.parametrize("label", ["jpeg", "jpeg fast"])
def test_a_label_that_reads_like_another_codec_of_the_run_is_refused(label: str) -> None:
    with pytest.raises(ParameterError, match="reads like a curve of the codec 'jpeg'"):
        resolved(f"webp:label={label}", "jpeg")
    assert resolved(f"webp:label={label}", "jpeg:label=J")


def test_one_setting_with_two_labels_is_refused() -> None:
    with pytest.raises(ParameterError, match="'quality=50' is requested twice, without a label and 'x'"):
        resolved("jpeg", "jpeg:quality=50,label=x")


@pytest.mark.parametrize(
    "name", ["jxl", "webp", "bpg", "bpg-tuned", "avif", "jpeg-tuned", "jpeg2000-tuned", "toy-model"]
)
def test_the_sweep_of_a_codec_may_have_one_label(name: str) -> None:
    assert {one.label for one in resolved(f"{name}:label=x")[name]} == {"x"}


def test_no_codec_has_a_parameter_of_that_name() -> None:
    class Labelled(Codec):
        name = "labelled"
        parameters = (Parameter("label", str, ""),)

        version = ""

        def encode(self, images):  # type: ignore[no-untyped-def]
            return []

        def decode(self, streams):  # type: ignore[no-untyped-def]
            return []

    with pytest.raises(TypeError, match="a parameter is named 'label', which names curves; rename"):
        register_codec(Labelled)


@pytest.fixture
def images() -> MemoryImages:
    return MemoryImages(unmarked_images(3))


def test_a_label_names_the_curves_of_a_summary(images: MemoryImages, tmp_path: Path) -> None:
    evaluate_here(tmp_path, images, "toy-model:label=ours", "toy-raw:drop=4,label=theirs", "toy-raw:drop=2")
    score_here(tmp_path, images)
    summarize_run(tmp_path)
    summary = read_summary(tmp_path)
    assert set(summary.label[summary.codec == "toy-model"]) == {"ours"}
    assert summary.label[summary.setting == "drop=2"].isna().all()
    assert {curve.label for curve in curves(summary)} == {"ours floor", "ours middle", "theirs", "toy-raw"}
    assert read_labels(tmp_path) == {("toy-model", "drop=0"): "ours", ("toy-raw", "drop=4"): "theirs"}


def test_another_label_measures_nothing_anew(images: MemoryImages, tmp_path: Path) -> None:
    evaluate_here(tmp_path, images, "toy-raw:drop=4")
    before = measured(tmp_path)
    shards = read_manifest(tmp_path, "toy-raw")["settings"][0]["shards"]
    log = io.StringIO()
    evaluate(images, resolved("toy-raw:drop=4,label=ours"), tmp_path, progress=RunProgress(log))
    assert "3 of 3 images x settings are done already" in log.getvalue()
    after = read_manifest(tmp_path, "toy-raw")["settings"][0]
    assert (after["label"], after["shards"]) == ("ours", shards)
    assert measured(tmp_path) == before


def measured(run_dir: Path) -> list[dict[str, object]]:
    """The rows with their times, which differ each time that an image is coded."""
    columns = ["image_id", "setting", "stream_sha256", "psnr_db", "encode_ms", "decode_ms"]
    return pq.read_table(rows_path(run_dir, "toy-raw"), columns=columns).to_pylist()


def test_settings_of_a_codec_inside_a_codec_share_a_label() -> None:
    """They are points of one curve; two codecs inside are two curves."""
    qualities = [f"interpolate:codec=bpg:quality={quality},lam=0.5,label=ours" for quality in (20, 30, 40)]
    other = "interpolate:codec=jpeg:quality=50,lam=0.5,label=ours"
    settings = [CodecSetting("interpolate", setting=text.partition(":")[2], label="ours") for text in qualities]
    check_labels({"interpolate": settings})
    foreign = CodecSetting("interpolate", setting=other.partition(":")[2], label="ours")
    with pytest.raises(ParameterError, match="label 'ours' is given to two curves"):
        check_labels({"interpolate": [*settings, foreign]})

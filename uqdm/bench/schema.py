"""The columns of a benchmark's results: the one place where they are defined, but for what a metric declares itself.

``ROWS`` is a row for each image, setting, point and reconstruction. ``SUMMARY`` is a row for each setting, point
and reconstruction over a data set. ``STREAMS`` keeps the coded files themselves.
:mod:`uqdm.bench.metrics` appends the columns of metrics that are not named here.
"""

from __future__ import annotations

import pyarrow as pa

ROW_FORMAT = 3
"""Version of the rows and of how they are measured. It is part of a shard's name: raise it when either changes."""

STATUS_OK = "ok"
STATUS_FAILED = "failed"  # the codec raised, or the round trip was wrong; `error` says how
STATUS_SKIPPED = "skipped"  # the codec cannot run here; `error` says why and how to get it; no image columns
STATUS_REFERENCE = "reference"  # a row of the summary that no codec made: what a metric gives for originals alone

NOT_SCORED = "not scored yet"
"""What ``unscored`` says in a row that an evaluation left and no scoring has filled."""


def _field(name: str, kind: pa.DataType, comment: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"comment": comment})


ROWS = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field(
            "fingerprint", pa.string(), "count and content hash of the data set, '128-0123456789abcdef'", nullable=False
        ),
        _field("image_index", pa.int32(), "position of the image in the data set, from 0"),
        _field("image_id", pa.string(), "name of the image inside its data set"),
        _field("height", pa.int32(), "pixels"),
        _field("width", pa.int32(), "pixels"),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("codec_version", pa.string(), "library and version, or model and its hash; null if skipped"),
        _field(
            "setting", pa.string(), "canonical text of the codec's parameters; empty if it has none", nullable=False
        ),
        _field("point", pa.string(), "where the stream is cut: 'full', or a step of a progressive stream"),
        _field("point_index", pa.int32(), "position of the point in its stream, from 0"),
        _field("reconstruction", pa.string(), "how the picture is made from the bytes: 'decoded', 'denoise', ..."),
        _field("seed", pa.int64(), "seed of the stream's randomness; null where there is none"),
        _field("file_bits", pa.int64(), "8 x bytes of the shortest prefix of the file that decodes to the point"),
        _field("container_bits", pa.int64(), "bits of the file of one black pixel at this setting; null if untold"),
        _field(
            "ideal_bits", pa.float64(), "information content up to the point, by the model; null where there is none"
        ),
        _field("bpp", pa.float64(), "file_bits / (height x width), bits per pixel"),
        _field("mse", pa.float64(), "mean squared error over pixels and channels, values 0 to 255"),
        _field("psnr_db", pa.float64(), "10 log10(255^2 / mse), dB; +inf where the picture is exact"),
        _field("unscored", pa.string(), "which metrics are null, and why: 'ms_ssim: ...; lpips: ...'; null if none is"),
        _field("picture_sha256", pa.string(), "SHA-256 of the picture: height, width, pixels; what was scored"),
        _field("encode_ms", pa.float64(), "time to encode the whole stream, an image's share of its batch"),
        _field("decode_ms", pa.float64(), "time from the stream to this picture, milliseconds"),
        _field("roundtrip_checked", pa.bool_(), "the picture was decoded from the stored bytes alone, by a new call"),
        _field("status", pa.string(), "'ok', 'failed' or 'skipped'", nullable=False),
        _field("error", pa.string(), "reason of a failed or skipped row"),
    ]
)

STREAMS = pa.schema(
    [
        _field("image_index", pa.int32(), "as in the rows", nullable=False),
        _field("image_id", pa.string(), "as in the rows", nullable=False),
        _field("codec", pa.string(), "as in the rows", nullable=False),
        _field("setting", pa.string(), "as in the rows", nullable=False),
        _field("suffix", pa.string(), "file name suffix of such a stream, '.jpg'", nullable=False),
        _field("stream", pa.binary(), "the whole file", nullable=False),
    ]
)

SUMMARY = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set", nullable=False),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("codec_version", pa.string(), "library and version, or model and its hash"),
        _field("setting", pa.string(), "canonical text of the codec's parameters", nullable=False),
        _field("point", pa.string(), "where the stream is cut"),
        _field("point_index", pa.int32(), "position of the point in its stream"),
        _field("reconstruction", pa.string(), "how the picture is made from the bytes"),
        _field("n", pa.int64(), "images with status ok", nullable=False),
        _field("failed", pa.int64(), "images with status failed", nullable=False),
        _field("exact", pa.int64(), "images reproduced exactly (mse 0), left out of psnr_db", nullable=False),
        _field("bpp", pa.float64(), "mean over images of bits per pixel of the file"),
        _field("bpp_low", pa.float64(), "lower end of the 95 % bootstrap interval of bpp"),
        _field("bpp_high", pa.float64(), "upper end of the 95 % bootstrap interval of bpp"),
        _field("ideal_bpp", pa.float64(), "mean over images of ideal bits per pixel; null where there is none"),
        _field("psnr_db", pa.float64(), "mean over inexact images of the image's PSNR, dB; +inf if all are exact"),
        _field("psnr_db_low", pa.float64(), "lower end of the 95 % bootstrap interval of psnr_db"),
        _field("psnr_db_high", pa.float64(), "upper end of the 95 % bootstrap interval of psnr_db"),
        _field("mse", pa.float64(), "mean over all images of the image's MSE, exact ones included"),
        _field("fid_n", pa.int64(), "images that the metrics of sets (fid, kid, ...) were computed on"),
        _field("fid_extractor", pa.string(), "first 16 digits of the SHA-256 of the feature extractor's weights"),
        _field("fid_resize", pa.string(), "how pictures are brought to the extractor's size"),
        _field("fid_warning", pa.string(), "why fid is not to be trusted at this fid_n; null if it is"),
        _field("unscored", pa.string(), "which metrics are null, and why: 'fid: ...; lpips: ...'; null if none is"),
        _field("encode_ms", pa.float64(), "mean over images, milliseconds"),
        _field("decode_ms", pa.float64(), "mean over images, milliseconds"),
        _field(
            "status",
            pa.string(),
            "'ok', 'failed' (every image failed), 'skipped', or 'reference' (originals alone)",
            nullable=False,
        ),
        _field("error", pa.string(), "first reason among failed images, or why the codec was skipped"),
    ]
)

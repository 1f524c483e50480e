"""The columns of a benchmark's results. Only metrics define further columns, their own.

``ROWS`` has a row for each image, setting, point and reconstruction. ``SUMMARY`` has a row for each setting, point
and reconstruction over a data set. ``BD`` has a row for each curve and metric of a run, compared with an anchor,
and ``BD_OF_IMAGES`` a row for each image of these.
``COMPARISON`` has a row for each pair of pictures and metric of two runs. ``PLANE`` has a row for each realistic
picture of a point, compared with a faithful one. ``ROBUSTNESS`` has a row for each setting and kind of damage, and one
for each setting and other process. ``STREAMS`` has the coded files themselves, ``RECONSTRUCTIONS`` the pictures that
were decoded from them, ``ORIGINALS`` originals.
:mod:`uqdm.bench.metrics` adds the columns of metrics that are not named here, and the columns that describe the
pictures of set metrics.
"""

from __future__ import annotations

import pyarrow as pa

ROW_FORMAT = 9
"""Version of the rows and of the other files of a run: raise it when any of these changes. Rows of older formats can be
read: missing columns are null (``original_changes`` before format 8), and ``unscored``, which was text before format 7,
becomes a map."""

SHARD_FORMAT = 6
"""Version of the measurement of images and of its columns: the first row format whose stored shards are still used.
It is part of a shard's name: set it to ROW_FORMAT when rows of the same images would change."""

ADDED_COLUMNS = (
    "original_changes",
    "payload_bits",
    "side_bits",
    "black_pixel_bits",
    "target",
    "found_setting",
    "found_point",
    "target_tries",
    "target_error",
    "timing_repeats",
    "encode_ms_min",
    "encode_ms_median",
    "decode_ms_min",
    "decode_ms_median",
)
"""Columns that row formats after SHARD_FORMAT added: stored shards may lack them, and a shard's name does not depend on
them. Clear it when SHARD_FORMAT is raised."""

FIRST_WITH_IDENTITY = 6
"""The first format whose files have an identity (:mod:`uqdm.bench.file_identity`) and whose streams have a hash."""

MACS_CONVENTION = (
    "multiply-accumulates of the convolutions, linear layers and attention products in the decode_calls network calls, "
    "all tiles together, divided by height x width; 0 without a network, null if the codec does not report it"
)
PEAK_MEMORY_CONVENTION = (
    "high-water mark of the worker's resident memory, without shared memory, plus that of the GPU memory that it "
    "allocated, while it measured the shard of this image (since the start of the worker, if the system cannot reset "
    "the mark); programs that a codec starts are not included"
)
THREADS_CONVENTION = (
    "threads that the codec used at once while it encoded and decoded the shard of this image, measured: the time in "
    "which its threads ran, or were ready to and had no core, over wall time; of programs, and of threads that end "
    "within a call, only processor time counts; before row format 8 the threads that the worker allowed"
)
_CALLS = (
    "a batch of tiles of one image counts once, and results that depend only on a seed are stored and not counted; 0 "
    "without a network, null if the codec does not report it"
)

REPEATED_TIMES = ("encode_ms_min", "encode_ms_median", "decode_ms_min", "decode_ms_median")
"""Columns of times that are measured again in rounds (:mod:`uqdm.bench.evaluation.timing_rounds`)."""

MEASURED = ("encode_ms", "decode_ms", *REPEATED_TIMES, "threads", "peak_memory_bytes")
"""Columns in which the rows of two identical runs on one machine differ."""

STATUS_OK = "ok"
STATUS_FAILED = "failed"  # the codec raised, or the round trip was wrong; `error` has the reason
STATUS_SKIPPED = "skipped"  # the codec cannot run here; `error` has reason and remedy; no image columns
STATUS_REFERENCE = "reference"  # a row of the summary without a codec: a metric of originals alone

RATE_FILE = "file"
RATE_IDEAL = "ideal"
"""Values of the column ``rate_kind``."""

UNSCORED = pa.map_(pa.string(), pa.string())
"""Type of the column ``unscored``: from the name of a metric to the reason why the row lacks it."""

ALL_METRICS = "*"
"""The key in ``unscored`` of a reason that applies to all metrics."""

NOT_SCORED = {ALL_METRICS: "not scored yet"}
"""The value of ``unscored`` in a row that has been evaluated and not scored yet."""


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
        _field("original_sha256", pa.string(), "SHA-256 of the original, as of a picture; null if it was not read"),
        _field(
            "original_changes",
            pa.string(),
            "what makes the original differ from the picture in its file, such as 'alpha composited on white', several "
            "joined by '; '; empty if nothing does; null if it is not known",
        ),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("codec_version", pa.string(), "library and version, or model and its hash; null if skipped or invalid"),
        _field(
            "setting",
            pa.string(),
            "canonical text of the codec's parameters; empty if it has none; after an '@' the target that every image "
            "has a setting of its own for",
            nullable=False,
        ),
        _field(
            "target",
            pa.string(),
            "what the setting was searched for, 'bpp=0.5', or 'mean_bpp=0.5' for the mean over the images; several "
            "joined by '; '; null without a target, and before row format 9",
        ),
        _field(
            "found_setting",
            pa.string(),
            "parameters that the search found, 'quality=37'; empty if the points of one file answer; null without a "
            "target or if it is not reached, and before row format 9",
        ),
        _field(
            "found_point",
            pa.string(),
            "the place where the file of this image is cut if the point is 'target'; else null; null before row format "
            "9",
        ),
        _field(
            "target_tries",
            pa.int32(),
            "settings that the search measured, for this image or for the mean; 1 if the points of one file answer; "
            "null without a target, and before row format 9",
        ),
        _field(
            "target_error",
            pa.float64(),
            "how far off the target is: found / target - 1 for a rate, found - target in the metric's unit otherwise; "
            "null without a target or if it is not reached, and before row format 9",
        ),
        _field(
            "point",
            pa.string(),
            "the place where the stream is cut: 'full', a step of a progressive stream, or 'target': found_point",
        ),
        _field("point_index", pa.int32(), "position of the point in its stream, from 0"),
        _field("reconstruction", pa.string(), "how the picture is decoded from the bytes: 'decoded', 'denoise', ..."),
        _field("seed", pa.int64(), "seed of the stream's randomness; null if there is none"),
        _field(
            "rate_kind",
            pa.string(),
            "kind of the rate: 'file', or 'ideal' for an ideal codec, which makes no file: file_bits, its parts, "
            "black_pixel_bits, bpp, encode_ms, decode_ms and roundtrip_checked are then null; null if skipped",
        ),
        _field("file_bits", pa.int64(), "8 x bytes of the shortest prefix of the file that decodes to the point"),
        _field(
            "payload_bits",
            pa.int64(),
            "of file_bits: what the entropy coder wrote, in whole bytes; null if the codec cannot tell, and before row "
            "format 9",
        ),
        _field(
            "side_bits",
            pa.int64(),
            "of file_bits: what decoding the payload needs besides it: lengths and places of its parts, tables, "
            "parameters of coding tools, check values; null where payload_bits is",
        ),
        _field(
            "container_bits",
            pa.int64(),
            "of file_bits: the rest, such as signature, version, size, flags, names; payload_bits + side_bits + "
            "container_bits = file_bits; null where payload_bits is",
        ),
        _field(
            "black_pixel_bits",
            pa.int64(),
            "bits of the file of one black pixel at this setting; null if unknown; before row format 9 its name was "
            "container_bits",
        ),
        _field("ideal_bits", pa.float64(), "information content up to the point, by the model; null if there is none"),
        _field("bpp", pa.float64(), "file_bits / (height x width), bits per pixel"),
        _field("mse", pa.float64(), "mean squared error over pixels and channels, values 0 to 255"),
        _field("psnr_db", pa.float64(), "10 log10(255^2 / mse), dB; +inf where the picture is exact"),
        _field(
            "unscored",
            UNSCORED,
            "reasons for null metrics, by name of the metric; '*' is all metrics; null if none is null",
        ),
        _field(
            "picture_sha256", pa.string(), "SHA-256 of the picture that metrics are computed on: height, width, pixels"
        ),
        _field("stream_sha256", pa.string(), "SHA-256 of the whole coded file, or record; null if there is none"),
        _field(
            "encode_ms", pa.float64(), "milliseconds to encode the whole stream, warm; the image's share of its batch"
        ),
        _field("decode_ms", pa.float64(), "milliseconds from the stream to this picture, warm; one image alone"),
        _field(
            "timing_repeats",
            pa.int32(),
            "rounds in which times were measured again, codecs interleaved, by one worker alone; this and the next "
            "four are null if there were none, and before row format 9",
        ),
        _field("encode_ms_min", pa.float64(), "least encode_ms of these rounds"),
        _field("encode_ms_median", pa.float64(), "median encode_ms of these rounds"),
        _field("decode_ms_min", pa.float64(), "least decode_ms of these rounds"),
        _field("decode_ms_median", pa.float64(), "median decode_ms of these rounds"),
        _field("batch_size", pa.int32(), "images in one call of the codec; the last call may have fewer"),
        _field("device", pa.string(), "device of encoder and decoder: 'cpu', or 'cuda:' with the name of the GPU"),
        _field("threads", pa.int32(), THREADS_CONVENTION),
        _field("encode_calls", pa.int32(), f"network calls to encode the whole stream; {_CALLS}"),
        _field("decode_calls", pa.int32(), f"network calls from the stream to this picture; {_CALLS}"),
        _field("macs_per_pixel", pa.float64(), MACS_CONVENTION),
        _field("peak_memory_bytes", pa.int64(), PEAK_MEMORY_CONVENTION),
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
        _field("suffix", pa.string(), "file name suffix of such a stream, '.jpg'; '.ideal-record'", nullable=False),
        _field(
            "stream", pa.binary(), "the whole file; for an ideal codec its record, which is not a file", nullable=False
        ),
        _field("n_bytes", pa.int64(), "length of the stream when it was measured", nullable=False),
        _field("stream_sha256", pa.string(), "SHA-256 of the stream, as in the rows", nullable=False),
    ]
)

RECONSTRUCTIONS = pa.schema(
    [
        _field("image_index", pa.int32(), "as in the rows", nullable=False),
        _field("image_id", pa.string(), "as in the rows", nullable=False),
        _field("codec", pa.string(), "as in the rows", nullable=False),
        _field("setting", pa.string(), "as in the rows", nullable=False),
        _field("point_index", pa.int32(), "as in the rows", nullable=False),
        _field("point", pa.string(), "as in the rows", nullable=False),
        _field("reconstruction", pa.string(), "as in the rows", nullable=False),
        _field("picture_sha256", pa.string(), "as in the rows", nullable=False),
        _field("png", pa.binary(), "the decoded picture as a whole PNG file, lossless", nullable=False),
    ]
)

ORIGINALS = pa.schema(
    [
        _field("image_index", pa.int32(), "as in the rows", nullable=False),
        _field("image_id", pa.string(), "as in the rows", nullable=False),
        _field("picture_sha256", pa.string(), "original_sha256 of the rows", nullable=False),
        _field("png", pa.binary(), "the original as a whole PNG file, lossless", nullable=False),
    ]
)

RATE_RATIO_SHARES = (25, 50, 75)
"""Places in the common interval of quality at which ``BD`` compares rates, in percent of the way from its lower end."""

BD = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set", nullable=False),
        _field("metric", pa.string(), "column of the rows or the summary that measures quality", nullable=False),
        _field("direction", pa.string(), "which values of the metric are better: 'higher' or 'lower'", nullable=False),
        _field("anchor", pa.string(), "label of the curve that the other is compared with", nullable=False),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("curve", pa.string(), "label of its curve", nullable=False),
        _field("bd_rate_percent", pa.float64(), "mean difference in rate at equal quality; negative: fewer bits"),
        _field(
            "bd_rate_low",
            pa.float64(),
            "lower end of its 95 % bootstrap interval; null for metrics of sets",
        ),
        _field("bd_rate_high", pa.float64(), "upper end of that interval"),
        _field("bd_quality", pa.float64(), "mean difference at equal rate, curve minus anchor, in the metric's unit"),
        _field("bd_quality_low", pa.float64(), "lower end of its 95 % bootstrap interval; null for metrics of sets"),
        _field("bd_quality_high", pa.float64(), "upper end of that interval"),
        _field(
            "bd_rate_spread_low",
            pa.float64(),
            "least bd_rate_percent by straight lines, PCHIP and Akima interpolation: what the points leave open",
        ),
        _field("bd_rate_spread_high", pa.float64(), "greatest of these"),
        _field("bd_quality_spread_low", pa.float64(), "least bd_quality by these interpolations"),
        _field("bd_quality_spread_high", pa.float64(), "greatest of these"),
        _field("overlap_low", pa.float64(), "lower end of the metric's interval that bd_rate is a mean over"),
        _field("overlap_high", pa.float64(), "upper end of that interval"),
        _field("overlap_share", pa.float64(), "share of the codec's curve that this interval covers"),
        _field("anchor_overlap_share", pa.float64(), "share of the anchor's curve that this interval covers"),
        _field("rate_overlap_low", pa.float64(), "lower end of the bpp interval that bd_quality is a mean over"),
        _field("rate_overlap_high", pa.float64(), "upper end of that interval, bpp"),
        _field("rate_overlap_share", pa.float64(), "share of the codec's curve that this interval covers, in log rate"),
        _field(
            "anchor_rate_overlap_share",
            pa.float64(),
            "share of the anchor's curve that this interval covers, in log rate",
        ),
        _field(
            "noise_floor",
            pa.float64(),
            "value of a metric of sets that better points are left out at; null if there is none",
        ),
        _field(
            "points",
            pa.int32(),
            "points of the codec's curve that are used: with bits of the image, a finite value, worse than noise_floor",
        ),
        _field("anchor_points", pa.int32(), "points of the anchor's curve that are used"),
        _field("n", pa.int64(), "images that both curves are means over"),
        _field(
            "image_bd_rate_n",
            pa.int64(),
            "of these, images with a BD-rate of their own; this and what follows is null for metrics of sets",
        ),
        _field("image_bd_rate_q1", pa.float64(), "lower quartile of the BD-rates of single images, percent"),
        _field("image_bd_rate_median", pa.float64(), "their median, percent"),
        _field("image_bd_rate_q3", pa.float64(), "their upper quartile, percent"),
        _field("influential_image", pa.string(), "name of the image without which bd_rate_percent changes most"),
        _field("bd_rate_without", pa.float64(), "bd_rate_percent without that image; null if there is none"),
        _field(
            "influence_share",
            pa.float64(),
            "square of that change over the sum of the squares for all images, 0 to 1: its share of the variance",
        ),
        _field("warning", pa.string(), "says which image carries the result, and why; null if none does"),
        *(
            field
            for share in RATE_RATIO_SHARES
            for field in (
                _field(
                    f"rate_ratio_{share}",
                    pa.float64(),
                    f"geometric mean over images of the rate over the anchor's rate, at the quality {share} % of "
                    "the way from overlap_low to overlap_high",
                ),
                _field(f"rate_ratio_{share}_low", pa.float64(), "lower end of its 95 % bootstrap interval"),
                _field(f"rate_ratio_{share}_high", pa.float64(), "upper end of that interval"),
                _field(f"rate_ratio_{share}_n", pa.int64(), "images whose curves both reach that quality"),
            )
        ),
        _field("method", pa.string(), "interpolation of the curves", nullable=False),
        _field("reason", pa.string(), "reason why a figure or its interval is null"),
        _field("note", pa.string(), "spread of figures that depend on the interpolation, over 1.5 points of BD-rate"),
    ]
)

BD_OF_IMAGES = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("metric", pa.string(), "as in bd.csv", nullable=False),
        _field("anchor", pa.string(), "as in bd.csv", nullable=False),
        _field("curve", pa.string(), "as in bd.csv", nullable=False),
        _field("image_index", pa.int32(), "as in the rows", nullable=False),
        _field("image_id", pa.string(), "as in the rows", nullable=False),
        _field("bd_rate_percent", pa.float64(), "BD-rate of the image alone, by its own two curves"),
        _field("bd_rate_without", pa.float64(), "BD-rate of the set without the image; null if there is none"),
        _field("reason", pa.string(), "reason why bd_rate_percent is null"),
    ]
)

COMPARISON = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set in A", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set, the same in both", nullable=False),
        _field("metric", pa.string(), "column of the rows, or of the summary for metrics of sets", nullable=False),
        _field("direction", pa.string(), "which values of the metric are better: 'higher' or 'lower'", nullable=False),
        *(
            _field(f"{name}_{side}", pa.string(), f"as in the rows of {side.upper()}", nullable=False)
            for side in ("a", "b")
            for name in ("codec", "setting", "point", "reconstruction")
        ),
        _field("n", pa.int64(), "images that are ok and have a value in both", nullable=False),
        _field("infinite", pa.int64(), "of these, images with an infinite value, left out of means and test"),
        _field("mean_a", pa.float64(), "mean over the other images in A"),
        _field("mean_b", pa.float64(), "mean over the same images in B"),
        _field("difference", pa.float64(), "mean over these images of B minus A"),
        _field("difference_low", pa.float64(), "lower end of its 95 % bootstrap interval"),
        _field("difference_high", pa.float64(), "upper end of its 95 % bootstrap interval"),
        _field("wilcoxon_p", pa.float64(), "two-sided p of Wilcoxon's signed-rank test; null if no image differs"),
        _field("effect", pa.float64(), "matched-pairs rank-biserial correlation, -1 to 1; positive if B is higher"),
        _field("better", pa.int64(), "images on which B is better, infinite values included"),
        _field("worse", pa.int64(), "images on which B is worse"),
        _field("equal", pa.int64(), "images on which both are equal to the last bit"),
        _field("same_pictures", pa.int64(), "images whose two pictures are equal in every pixel"),
        _field("reason", pa.string(), "reason why a figure is null"),
    ]
)

PLANE = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set", nullable=False),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("setting", pa.string(), "as in the rows", nullable=False),
        _field("point", pa.string(), "as in the rows", nullable=False),
        _field("reconstruction", pa.string(), "the realistic picture: drawn, or followed by a flow", nullable=False),
        _field(
            "mmse",
            pa.string(),
            "the faithful picture: a reconstruction of the same point, or the label of the curve at the same rate",
            nullable=False,
        ),
        _field(
            "basis",
            pa.string(),
            "'stream': both pictures are of the same bits; 'rate': the faithful one is a curve's at the same mean rate",
            nullable=False,
        ),
        _field("rate_kind", pa.string(), "'file' or 'ideal', of the realistic picture", nullable=False),
        _field("rate_bpp", pa.float64(), "its mean rate over the n images"),
        _field(
            "rate_gap", pa.float64(), "ratio of the rates of the curve's points on either side; null for one stream"
        ),
        _field("n", pa.int64(), "images that have both pictures"),
        _field("mse", pa.float64(), "mean squared error of the realistic picture over these images"),
        _field("mse_mmse", pa.float64(), "mean squared error of the faithful picture over these images"),
        _field("ratio", pa.float64(), "mse over twice mse_mmse"),
        _field("ratio_low", pa.float64(), "lower end of its 95 % bootstrap interval"),
        _field("ratio_high", pa.float64(), "upper end of that interval"),
        _field(
            "verdict",
            pa.string(),
            "on 'at most twice the least squared error': 'holds' if ratio_high is at most 1, 'fails' if ratio_low is "
            "over 1, else 'cannot be told'; null between the ends of a line, and where nothing is left to draw",
        ),
        _field("below", pa.int64(), "images whose own ratio is under 1; null at the same rate, as the next two"),
        _field("above", pa.int64(), "images whose own ratio is over 1"),
        _field("wilcoxon_p", pa.float64(), "two-sided p of Wilcoxon's signed-rank test of mse and twice mse_mmse"),
        _field("gain_over", pa.string(), "the picture of the same point that gain_db is relative to; null without one"),
        _field("gain_db", pa.float64(), "10 log10 of its mse over mse, dB; positive: this picture is nearer"),
        _field("gain_db_low", pa.float64(), "lower end of its 95 % bootstrap interval"),
        _field("gain_db_high", pa.float64(), "upper end of that interval"),
        _field("lam", pa.float64(), "weight of the realistic end in a mixture of both; null for other pictures"),
        _field(
            "line_ratio",
            pa.float64(),
            "mse of a mixture over m + lam^2 (s - m), m and s those of the ends: 1 if the faithful end is the "
            "conditional mean; null without both ends and at an end",
        ),
        _field("line_ratio_low", pa.float64(), "lower end of its 95 % bootstrap interval"),
        _field("line_ratio_high", pa.float64(), "upper end of that interval"),
        _field("reason", pa.string(), "reason why a figure, an interval or a verdict is null"),
    ]
)

ROBUSTNESS = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set", nullable=False),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("codec_version", pa.string(), "version of the codec that decoded", nullable=False),
        _field("setting", pa.string(), "canonical text of the codec's parameters", nullable=False),
        _field(
            "check",
            pa.string(),
            "'damage': damaged files are decoded as whole files; 'elsewhere': whole files are decoded in a process "
            "that computes in another way",
            nullable=False,
        ),
        _field(
            "case",
            pa.string(),
            "the kind of damage: 'cut', 'flip', 'overwrite', 'splice', 'random', 'extend'; or the way of the process",
            nullable=False,
        ),
        _field("files", pa.int64(), "undamaged files of the codec", nullable=False),
        _field(
            "n",
            pa.int64(),
            "damaged files; or pictures that were compared: every picture of each file, and where several files are "
            "decoded at once also the picture of each whole file",
            nullable=False,
        ),
        _field("refused", pa.int64(), "of n: decoding raised an error", nullable=False),
        _field(
            "earlier",
            pa.int64(),
            "of n: the picture of a shorter prefix of the undamaged file that ends at one of its points; null where "
            "check is 'elsewhere'",
        ),
        _field("same", pa.int64(), "of n: the picture of the undamaged file", nullable=False),
        _field("wrong", pa.int64(), "of n: another picture, without an error", nullable=False),
        _field("crashed", pa.int64(), "of n: the process ended", nullable=False),
        _field("hung", pa.int64(), "of n: no answer within file_time_limit_s", nullable=False),
        _field("out_of_memory", pa.int64(), "of n: more resident memory than memory_limit_gib", nullable=False),
        _field(
            "varying",
            pa.int64(),
            "of n: another picture, of a kind that the codec declares as varying between machines; null for damage",
        ),
        _field(
            "largest_difference",
            pa.int64(),
            "largest difference of a value (0 to 255) in varying and wrong pictures; null if there are none, and for "
            "damage",
        ),
        _field(
            "store_refused",
            pa.int64(),
            "of n: damaged files that the length and SHA-256 in a run's store detect; null where check is 'elsewhere'",
        ),
        _field("seed", pa.int64(), "seed of the damage", nullable=False),
        _field("file_time_limit_s", pa.float64(), "time limit of a file, seconds", nullable=False),
        _field("memory_limit_gib", pa.float64(), "memory limit of the decoding process, GiB", nullable=False),
    ]
)

SUMMARY = pa.schema(
    [
        _field("dataset", pa.string(), "name of the data set", nullable=False),
        _field("fingerprint", pa.string(), "count and content hash of the data set", nullable=False),
        _field("codec", pa.string(), "registered name of the codec", nullable=False),
        _field("codec_version", pa.string(), "library and version, or model and its hash"),
        _field("setting", pa.string(), "canonical text of the codec's parameters", nullable=False),
        _field("target", pa.string(), "what the setting was searched for, as in the rows; null without a target"),
        _field("target_tries", pa.float64(), "mean over images of the settings that the search measured"),
        _field(
            "target_error",
            pa.float64(),
            "mean over images of the size of target_error in the rows: how far off the target is, either way",
        ),
        _field("label", pa.string(), "label of the codec's request, which names its curves; null without one"),
        _field("point", pa.string(), "the place where the stream is cut"),
        _field("point_index", pa.int32(), "position of the point in its stream"),
        _field("reconstruction", pa.string(), "how the picture is decoded from the bytes"),
        _field("n", pa.int64(), "images with status ok", nullable=False),
        _field("failed", pa.int64(), "images with status failed", nullable=False),
        _field("exact", pa.int64(), "images reproduced exactly (mse 0), left out of psnr_db", nullable=False),
        _field("rate_kind", pa.string(), "'file', or 'ideal': no files, bpp is null and ideal_bpp is the rate"),
        _field("bpp", pa.float64(), "mean over images of bits per pixel of the file; null if there is none"),
        _field("bpp_low", pa.float64(), "lower end of the 95 % bootstrap interval of bpp"),
        _field("bpp_high", pa.float64(), "upper end of the 95 % bootstrap interval of bpp"),
        _field("ideal_bpp", pa.float64(), "mean over images of ideal bits per pixel; null if there is none"),
        _field("ideal_bpp_low", pa.float64(), "lower end of the 95 % bootstrap interval of ideal_bpp"),
        _field("ideal_bpp_high", pa.float64(), "upper end of the 95 % bootstrap interval of ideal_bpp"),
        _field("psnr_db", pa.float64(), "mean over inexact images of the image's PSNR, dB; +inf if all are exact"),
        _field("psnr_db_low", pa.float64(), "lower end of the 95 % bootstrap interval of psnr_db"),
        _field("psnr_db_high", pa.float64(), "upper end of the 95 % bootstrap interval of psnr_db"),
        _field("mse", pa.float64(), "mean over all images of the image's MSE, exact ones included"),
        _field("unscored", UNSCORED, "reasons for null metrics, by name of the metric; null if none is null"),
        _field("encode_ms", pa.float64(), "mean over images, milliseconds"),
        _field("decode_ms", pa.float64(), "mean over images, milliseconds"),
        _field("timing_repeats", pa.int64(), "rounds in which times were measured again; null if there were none"),
        *(
            _field(name, pa.float64(), f"mean of {name} over the images that were timed in rounds; null if none was")
            for name in REPEATED_TIMES
        ),
        _field("batch_size", pa.float64(), "mean over images of the images in one call of the codec"),
        _field("device", pa.string(), "devices of encoder and decoder; several joined by '; '"),
        _field("threads", pa.float64(), f"mean over images of the {THREADS_CONVENTION}"),
        _field("encode_calls", pa.float64(), "mean over images of network calls to encode the whole stream"),
        _field("decode_calls", pa.float64(), "mean over images of network calls from the stream to the picture"),
        _field("macs_per_pixel", pa.float64(), f"mean over images of {MACS_CONVENTION}"),
        _field("peak_memory_bytes", pa.int64(), f"largest over images of the {PEAK_MEMORY_CONVENTION}"),
        _field(
            "status",
            pa.string(),
            "'ok', 'failed' (every image failed), 'skipped', or 'reference' (originals alone)",
            nullable=False,
        ),
        _field("error", pa.string(), "first reason among failed images, or the reason why the codec was skipped"),
    ]
)

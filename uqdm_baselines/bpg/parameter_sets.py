"""Video and sequence parameter sets: read from an encoder, and made anew for a decoder, as .bpg leaves them out.

Fields are those of H.265, 7.3.2.1 and 7.3.2.2; the values of those that a .bpg file does not keep are fixed by the
BPG specification, section 3.2, ``hevc_data``.
"""

from __future__ import annotations

from uqdm_baselines.bpg.bits import BitReader, BitWriter
from uqdm_baselines.bpg.header import PixelFormat
from uqdm_baselines.bpg.nal import SPS, VPS, make_unit, payload
from uqdm_baselines.bpg.tools import (
    CodingTools,
    put_block_sizes,
    put_extension,
    put_pcm,
    take_block_sizes,
    take_extension,
    take_pcm,
)

_PROFILE = 4  # format range extensions: with a lower one a decoder skips their fields in the picture parameter set
_LEVEL = 186  # 30 x level 6.2


def write_parameter_sets(tools: CodingTools, height: int, width: int, pixel_format: PixelFormat) -> list[bytes]:
    """NAL units of the two parameter sets of a picture of one frame, whose coded size is ``height`` x ``width``."""
    return [make_unit(VPS, _video_set()), make_unit(SPS, _sequence_set(tools, height, width, pixel_format))]


def _video_set() -> bytes:
    writer = BitWriter()
    writer.put(0, 4)  # vps_video_parameter_set_id
    writer.put(0b11, 2)  # base layer internal, and available
    writer.put(0, 6)  # one layer
    writer.put(0, 3)  # one sub-layer
    writer.put(1, 1)  # temporal id nesting
    writer.put(0xFFFF, 16)  # reserved
    _put_profile(writer)
    _put_buffering(writer)
    writer.put(0, 6)  # vps_max_layer_id
    writer.put_ue(0)  # one layer set
    writer.put(0, 1)  # no timing
    writer.put(0, 1)  # no extension
    return _ended(writer)


def _sequence_set(tools: CodingTools, height: int, width: int, pixel_format: PixelFormat) -> bytes:
    writer = BitWriter()
    writer.put(0, 4)  # of video parameter set 0
    writer.put(0, 3)  # one sub-layer
    writer.put(1, 1)  # temporal id nesting
    _put_profile(writer)
    writer.put_ue(0)  # sps_seq_parameter_set_id
    writer.put_ue(pixel_format)  # chroma_format_idc has the same numbers
    if pixel_format == PixelFormat.YUV444:
        writer.put(0, 1)  # no separate colour planes
    writer.put_ue(width)
    writer.put_ue(height)
    writer.put(0, 1)  # no conformance window
    writer.put_ue(0)  # eight bits of luma
    writer.put_ue(0)  # and chroma
    writer.put_ue(4)  # eight bits of picture order count
    _put_buffering(writer)
    put_block_sizes(writer, tools)
    writer.put_ue(tools.transform_depth_intra)  # of inter blocks, of which there are none
    writer.put_ue(tools.transform_depth_intra)
    writer.put(0, 1)  # no scaling lists
    writer.put(1, 1)  # asymmetric partitions
    writer.put(tools.sample_adaptive_offset, 1)
    put_pcm(writer, tools.pcm)
    writer.put_ue(0)  # no short-term reference picture sets
    writer.put(0, 1)  # no long-term references
    writer.put(1, 1)  # temporal motion vector prediction
    writer.put(tools.strong_intra_smoothing, 1)
    writer.put(0, 1)  # no usability information
    put_extension(writer, tools.range_extension)
    return _ended(writer)


def _put_profile(writer: BitWriter) -> None:
    """profile_tier_level of one sub-layer."""
    writer.put(_PROFILE, 8)  # profile space 0, main tier
    writer.put(1 << 31 - _PROFILE, 32)  # compatible with itself
    writer.put(0b1001, 4)  # progressive frames
    writer.put(0, 44)  # none of the profile's constraints
    writer.put(_LEVEL, 8)


def _put_buffering(writer: BitWriter) -> None:
    """The decoded picture buffer of a single frame."""
    writer.put(1, 1)
    writer.put_ue(0)  # one picture
    writer.put_ue(0)  # no reordering
    writer.put_ue(0)  # no bound of latency


def _ended(writer: BitWriter) -> bytes:
    writer.put(1, 1)  # the stop bit
    return writer.aligned()


def read_sequence_set(unit: bytes) -> tuple[CodingTools, int, int]:
    """The coding tools in an encoder's sequence parameter set, and the coded height and width.

    Raises ValueError if the set has anything that a .bpg file cannot keep: such a file would decode wrongly.
    """
    reader = BitReader(payload(unit))
    _expect("one sub-layer of set 0", reader.take(7), 0)
    reader.take(1 + 96)  # temporal id nesting, profile and level
    _expect("sps_seq_parameter_set_id", reader.take_ue(), 0)
    if reader.take_ue() == PixelFormat.YUV444:
        _expect("separate_colour_plane_flag", reader.take(1), 0)
    width, height = reader.take_ue(), reader.take_ue()
    _expect("conformance_window_flag", reader.take(1), 0)
    _expect("bit depths", (reader.take_ue(), reader.take_ue()), (0, 0))
    _expect("log2_max_pic_order_cnt_lsb_minus4", reader.take_ue(), 4)
    _expect("sub_layer_ordering_info_present_flag", reader.take(1), 1)
    for _ in range(3):
        reader.take_ue()  # the decoded picture buffer
    return _tools(reader), height, width


def _tools(reader: BitReader) -> CodingTools:
    sizes = take_block_sizes(reader)
    inter_depth, intra_depth = reader.take_ue(), reader.take_ue()
    _expect("max_transform_hierarchy_depth_inter", inter_depth, intra_depth)
    _expect("scaling_list_enabled_flag", reader.take(1), 0)
    _expect("amp_enabled_flag", reader.take(1), 1)
    offset, pcm = reader.take(1), take_pcm(reader)
    _expect("num_short_term_ref_pic_sets", reader.take_ue(), 0)
    _expect("long_term_ref_pics_present_flag", reader.take(1), 0)
    _expect("sps_temporal_mvp_enabled_flag", reader.take(1), 1)
    smoothing = reader.take(1)
    if reader.take(1):
        _skip_usability(reader)
    return CodingTools(*sizes, intra_depth, offset, pcm, smoothing, take_extension(reader))


def _skip_usability(reader: BitReader) -> None:
    """Reads past vui_parameters (H.265, E.2.1), none of which a still picture needs."""
    _expect("aspect_ratio_info_present_flag", reader.take(1), 0)
    if reader.take(1):  # overscan
        reader.take(1)
    if reader.take(1):  # video signal
        reader.take(4)
        if reader.take(1):  # colour description
            reader.take(24)
    if reader.take(1):  # chroma location
        reader.take_ue(), reader.take_ue()
    reader.take(3)
    _expect("default_display_window_flag", reader.take(1), 0)
    if reader.take(1):  # timing
        reader.take(64)
        if reader.take(1):
            reader.take_ue()
        _expect("vui_hrd_parameters_present_flag", reader.take(1), 0)
    if reader.take(1):  # bitstream restrictions
        reader.take(3)
        for _ in range(5):
            reader.take_ue()


def _expect(name: str, value: object, wanted: object) -> None:
    if value != wanted:
        raise ValueError(f"the HEVC encoder set {name} to {value}; a .bpg file can only hold {wanted}")

"""The coding tools of the HEVC picture: what a .bpg file keeps of its sequence parameter set."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from uqdm.codec import StreamError
from uqdm_baselines.bpg.bits import BitReader, BitWriter, read_ue7, write_ue7

_MAX_HEADER_BYTES = 64  # several times what all fields together can take


@dataclass(frozen=True)
class PulseCode:
    """Block sizes and sample depths of blocks that are stored without prediction or transform."""

    luma_bits_minus1: int
    chroma_bits_minus1: int
    log2_min_block_minus3: int
    log2_block_range: int
    unfiltered: int


@dataclass(frozen=True)
class RangeExtension:
    """Flags of the range extension, in their order in the stream (H.265, 7.3.2.2.2)."""

    transform_skip_rotation: int = 0
    transform_skip_context: int = 0
    implicit_rdpcm: int = 0
    explicit_rdpcm: int = 0
    extended_precision: int = 0
    intra_smoothing_disabled: int = 0
    high_precision_offsets: int = 0
    persistent_rice_adaptation: int = 0
    cabac_bypass_alignment: int = 0


@dataclass(frozen=True)
class CodingTools:
    """Block sizes as logarithms to the base 2, and switches; names and order are those of ``hevc_header``."""

    log2_min_coding_block: int
    log2_coding_block_range: int
    log2_min_transform_block: int
    log2_transform_block_range: int
    transform_depth_intra: int
    sample_adaptive_offset: int
    pcm: PulseCode | None
    strong_intra_smoothing: int
    range_extension: RangeExtension | None

    @property
    def block(self) -> int:
        """Side of the smallest coding block: coded sizes are multiples of it."""
        return 1 << self.log2_min_coding_block

    @property
    def log2_tree_block(self) -> int:
        """Logarithm of the side of the largest coding block."""
        return self.log2_min_coding_block + self.log2_coding_block_range

    def coded_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the coded picture."""
        return -(-height // self.block) * self.block, -(-width // self.block) * self.block


def put_block_sizes(writer: BitWriter, tools: CodingTools) -> None:
    """Appends the sizes of coding and transform blocks, as both a parameter set and a .bpg file have them."""
    writer.put_ue(tools.log2_min_coding_block - 3)
    writer.put_ue(tools.log2_coding_block_range)
    writer.put_ue(tools.log2_min_transform_block - 2)
    writer.put_ue(tools.log2_transform_block_range)


def take_block_sizes(reader: BitReader) -> tuple[int, int, int, int]:
    """Reads what :func:`put_block_sizes` writes."""
    return reader.take_ue() + 3, reader.take_ue(), reader.take_ue() + 2, reader.take_ue()


def put_pcm(writer: BitWriter, pcm: PulseCode | None) -> None:
    """Appends pcm_enabled_flag with what depends on it."""
    writer.put(pcm is not None, 1)
    if pcm is not None:
        writer.put(pcm.luma_bits_minus1, 4)
        writer.put(pcm.chroma_bits_minus1, 4)
        writer.put_ue(pcm.log2_min_block_minus3)
        writer.put_ue(pcm.log2_block_range)
        writer.put(pcm.unfiltered, 1)


def take_pcm(reader: BitReader) -> PulseCode | None:
    """Reads what :func:`put_pcm` writes."""
    if not reader.take(1):
        return None
    return PulseCode(reader.take(4), reader.take(4), reader.take_ue(), reader.take_ue(), reader.take(1))


def put_extension(writer: BitWriter, extension: RangeExtension | None) -> None:
    """Appends sps_extension_present_flag with what depends on it."""
    writer.put(extension is not None, 1)
    if extension is not None:
        writer.put(1 << 7, 8)  # the range extension, and none of the seven others
        for flag in astuple(extension):
            writer.put(flag, 1)


def take_extension(reader: BitReader) -> RangeExtension | None:
    """Reads what :func:`put_extension` writes; raises StreamError for another extension than that of the range."""
    if not reader.take(1):
        return None
    has_range, others = reader.take(1), reader.take(7)
    if others:
        raise StreamError("the HEVC picture uses an extension that BPG does not allow")
    return RangeExtension(*(reader.take(1) for _ in fields(RangeExtension))) if has_range else None


def write_tools(tools: CodingTools) -> bytes:
    """``hevc_header`` of a .bpg file, its length included."""
    writer = BitWriter()
    put_block_sizes(writer, tools)
    writer.put_ue(tools.transform_depth_intra)
    writer.put(tools.sample_adaptive_offset, 1)
    put_pcm(writer, tools.pcm)
    writer.put(tools.strong_intra_smoothing, 1)
    put_extension(writer, tools.range_extension)
    body = writer.aligned()
    return write_ue7(len(body)) + body


def read_tools(picture: bytes) -> tuple[CodingTools, bytes]:
    """The coding tools that open the picture of a .bpg file, and the HEVC data behind them.

    Raises StreamError where they are cut short, against HEVC's bounds, or beyond FFmpeg's decoder.
    """
    length, position = read_ue7(picture, 0)
    if length > min(len(picture) - position, _MAX_HEADER_BYTES):
        raise StreamError(f"the HEVC header is said to have {length} bytes, the picture has {len(picture)}")
    reader = BitReader(picture[position : position + length])
    tools = CodingTools(
        *take_block_sizes(reader),
        transform_depth_intra=reader.take_ue(),
        sample_adaptive_offset=reader.take(1),
        pcm=take_pcm(reader),
        strong_intra_smoothing=reader.take(1),
        range_extension=take_extension(reader),
    )
    _check_sizes(tools)
    _check_extension(tools.range_extension)
    return tools, picture[position + length :]


def _check_sizes(tools: CodingTools) -> None:
    """Raises StreamError unless the block sizes keep the bounds of H.265, 7.4.3.2.1."""
    tree, transform = tools.log2_tree_block, tools.log2_min_transform_block + tools.log2_transform_block_range
    sound = (
        4 <= tree <= 6
        and tools.log2_min_transform_block < tools.log2_min_coding_block
        and transform <= min(tree, 5)
        and tools.transform_depth_intra <= tree - tools.log2_min_transform_block
    )
    if not sound:
        raise StreamError("the HEVC header is damaged: its block sizes do not fit together")
    if tools.pcm is not None:
        least = tools.pcm.log2_min_block_minus3 + 3
        if not (
            max(tools.pcm.luma_bits_minus1, tools.pcm.chroma_bits_minus1) < 8
            and tools.log2_min_coding_block <= least <= least + tools.pcm.log2_block_range <= min(tree, 5)
        ):
            raise StreamError("the HEVC header is damaged: its PCM block sizes do not fit together")


def _check_extension(extension: RangeExtension | None) -> None:
    if extension is None:
        return
    if extension.implicit_rdpcm:
        remedy = "decode it with bpgdec (implementation=libbpg)"
        raise StreamError(f"uses implicit RDPCM (bpgenc -lossless), which FFmpeg decodes to wrong pixels; {remedy}")
    forbidden = ("explicit_rdpcm", "extended_precision", "high_precision_offsets", "cabac_bypass_alignment")
    used = [name for name in forbidden if getattr(extension, name)]
    if used:
        raise StreamError(f"uses {', '.join(used)}, which BPG does not allow")


def check_payload(tools: CodingTools, height: int, width: int, n_bytes: int) -> None:
    """Raises StreamError if ``n_bytes`` of HEVC data are too few for the picture, before memory is claimed for it.

    Every coding block holds at least one bit that no model can shorten: the index of its prediction mode is coded in
    bypass (H.265, 9.3.4.2), and in an intra picture no block goes without. A block covers one tree block at most.
    """
    greatest = 8 * n_bytes << 2 * tools.log2_tree_block
    if height * width > greatest:
        raise StreamError(
            f"its header asks for {height} x {width} pixels, more than {n_bytes} bytes of HEVC data can hold"
        )

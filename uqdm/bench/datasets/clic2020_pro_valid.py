"""The data set ``clic2020-pro-valid``: the professional validation images of CLIC 2020, 41 of up to 2048 pixels a side.

``clic2020-pro-valid:PATH`` names the folder of the unpacked archive. Each file must have the name, and its image the
number of pixels, of the release; hashes of the images are not published.

Source: Challenge on Learned Image Compression, https://clic.compression.cc/2021/tasks/.
"""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.datasets._base import Origin
from uqdm.bench.datasets._published_folder import PublishedFolder, Size, wrong_sizes

# By name, the number of pixels, as the Cool-Chic project lists them with its results. Their sum, 91,451,931, agrees
# with the challenge's page: 0.3 bits for each pixel of the validation images are 3,429,448 bytes.
PIXELS = {
    "alberto-montalesi-176097": 2_791_424,
    "alejandro-escamilla-6": 2_742_272,
    "ales-krivec-15949": 2_433_024,
    "alexander-shustov-73": 2_787_328,
    "allef-vinicius-109434": 2_795_520,
    "amy-zhang-15940": 1_493_280,
    "andrew-ruiz-376": 2_787_328,
    "benjamin-sloth-lindgreen-705": 2_795_520,
    "casey-fyfe-999": 2_785_280,
    "clem-onojeghuo-33741": 2_795_520,
    "daniel-robert-405": 1_266_000,
    "davide-ragusa-716": 2_512_940,
    "dogancan-ozturan-395": 2_774_400,
    "felix-russell-saw-140699": 2_040_500,
    "gian-reto-tarnutzer-45212": 2_805_760,
    "jared-erondu-21325": 2_795_520,
    "jason-briscoe-149782": 2_795_520,
    "jeremy-cai-1174": 2_361_920,
    "juskteez-vu-1041": 1_975_125,
    "kazuend-28556": 2_795_520,
    "lobostudio-hamburg-75377": 2_795_520,
    "martin-wessely-211": 614_400,
    "martyn-seddon-220": 2_795_520,
    "michael-durana-82941": 2_795_520,
    "mullermarc-184": 893_976,
    "nomao-saeki-33553": 2_797_568,
    "paul-itkin-46101": 579_840,
    "philipp-reiner-207": 1_296_000,
    "philippe-wuyts-45997": 2_462_082,
    "roberto-nickson-48063": 2_795_520,
    "schicka-307": 196_608,
    "sergey-zolkin-1045": 2_795_520,
    "sergey-zolkin-21232": 1_585_176,
    "stefan-kunze-26931": 2_799_616,
    "thong-vo-428": 998_560,
    "todd-quackenbush-222": 316_080,
    "todd-quackenbush-27493": 2_115_584,
    "veeterzy-82537": 2_797_568,
    "vita-vilcina-3055": 2_261_952,
    "wojciech-szaturski-3611": 2_634_100,
    "zugr-108": 2_795_520,
}


class Clic2020ProValid(PublishedFolder):
    """The 41 images."""

    kind = "clic2020-pro-valid"
    origin = Origin("clic2020-pro-valid", "the 41 professional validation images of CLIC 2020", "")
    n_images = len(PIXELS)
    file_names = tuple(f"{name}.png" for name in PIXELS)
    folders = ("clic2020-pro-valid", "professional_valid_2020")
    fetch = (
        "Fetch https://data.vision.ee.ethz.ch/cvl/clic/professional_valid_2020.zip (its MD5 is "
        "7111ee240435911db04dbc5f40d50272) and unpack it into a folder named clic2020-pro-valid."
    )

    def size_fault(self, sizes: Mapping[str, Size]) -> str:
        """Compares the number of pixels of each image."""
        is_right = {name: height * width == PIXELS[name] for name, (height, width) in sizes.items()}
        first = next((name for name, right in is_right.items() if not right), None)
        return "" if first is None else wrong_sizes(sizes, is_right, f"{PIXELS[first]:,} in all")

"""The typefaces of the generator: which installed files serve Korean and Latin rows, and which are kept for the held-out split."""

import functools
import pathlib

from fontTools.ttLib import TTCollection, TTFont
from PIL import ImageFont

ROOT = pathlib.Path("/usr/share/fonts")
# (file pattern, weight in sampling). Hand-written and poster faces are rare on printed forms.
KOREAN = [
    ("*/nanum/NanumGothic*.ttf", 6),
    ("*/nanum/NanumMyeongjo*.ttf", 5),
    ("*/nanum/NanumBarun*.ttf", 4),
    ("*/nanum/NanumSquare*.ttf", 4),
    ("*/nanum/NanumPen.ttf", 0.3),
    ("*/noto/NotoSansCJK-*.ttc", 5),
    ("*/noto/NotoSerifCJK-*.ttc", 4),
    ("*/baekmuk/[bdg]*.ttf", 8),
    ("*/baekmuk/hline.ttf", 1),
    ("*/unfonts-core/UnBatang*.ttf", 4),
    ("*/unfonts-core/UnDotum*.ttf", 4),
    ("*/unfonts-core/UnGraphic*.ttf", 3),
    ("*/unfonts-core/UnDinaru*.ttf", 2),
    ("*/unfonts-core/UnGungseo.ttf", 2),
    ("*/unfonts-core/UnPilgi*.ttf", 1),
    ("*/unfonts-extra/UnShinmun.ttf", 2),
    ("*/unfonts-extra/UnTaza.ttf", 1),
    ("*/unfonts-extra/UnVada.ttf", 1),
    ("*/unfonts-extra/UnPen*.ttf", 0.5),
    ("*/unfonts-extra/UnYetgul.ttf", 1),
    ("*/unfonts-extra/UnJamo*.ttf", 0.5),
    ("*/alee/*.ttf", 0.5),
    ("*/lexi/LexiGulim.ttf", 3),
    ("*/lexi/LexiSaebomR.ttf", 2),
    ("*/naver-d2coding/*.ttc", 3),
    ("*/woowa-bm/BMHANNAAir*.ttf", 1),
    ("*/woowa-bm/BMHANNAPro.ttf", 0.5),
    ("*/woowa-bm/BMDOHYEON*.ttf", 0.7),
    ("*/woowa-bm/BMJUA*.ttf", 0.7),
]
LATIN = [
    ("*/liberation*/Liberation*.ttf", 6),
    ("*/dejavu/DejaVu*.ttf", 5),
    ("*/freefont/Free*.ttf", 5),
    ("*/roboto/unhinted/**/Roboto*.ttf", 3),
    ("*/roboto-slab/*.ttf", 2),
    ("*/open-sans/*.ttf", 3),
    ("*/lato/Lato-*.ttf", 3),
    ("*/crosextra/*.ttf", 4),
    ("*/Inter*/**/*.otf", 1),
    ("*/inter/*.otf", 2),
    ("*/cantarell/*.otf", 1),
    ("*/cabin/*.otf", 1),
    ("*/courier-prime/*.ttf", 2),
    ("*/ebgaramond/*.otf", 1),
    ("*/linux-libertine/LinLibertine_R*.otf", 2),
    ("*/tex-gyre/texgyre*.otf", 3),
    ("*/urw-base35/Nimbus*.otf", 3),
    ("*/urw-base35/C059*.otf", 1),
    ("*/urw-base35/P052*.otf", 1),
    ("*/go/*.ttf", 1),
    ("*/Gentium*/*.ttf", 1),
    ("*/gentium-basic/*.ttf", 1),
    ("*/charis/*.ttf", 1),
    ("*/b612/*.ttf", 1),
    ("*/clear-sans/*.ttf", 1),
    ("*/hack/*.ttf", 1),
    ("*/jetbrains-mono/*.ttf", 1),
    ("*/inconsolata/*.otf", 1),
    ("*/vollkorn/*.otf", 1),
    ("*/croscore/*.ttf", 3),
    ("*/comic-neue/*.otf", 0.5),
    ("*/manrope/*.otf", 1),
    ("*/karla/*.ttf", 1),
    ("*/play/*.ttf", 1),
    ("*/noto/NotoSans-*.ttf", 3),
    ("*/noto/NotoSerif-*.ttf", 2),
    ("*/noto/NotoMono-*.ttf", 1),
]
HELD_OUT = (
    "NanumSquareRound",
    "UnGraphic",
    "LexiSaebom",
    "BMJUA",
    "Caladea",
    "Lato-",
    "RobotoSlab",
    "texgyreheros",
    "NotoSerif-",
    "ClearSans",
)
SKIP = (
    "Symbol",
    "Condensed",
    "Thin",
    "Hairline",
    "ExtraLight",
    "UltraLight",
    "Mathtt",
    "YetHangul",
    "Nakseo",
    "Math",
    "Black",
    "texgyrechorus",
    "Dingbats",
    "D050000L",
    "Z003",
    "Bangwool",
)


@functools.lru_cache(maxsize=None)
def coverage(path):
    """Set of code points that the file can draw; some files map signs such as ㎎ to an empty glyph, which prints nothing."""
    font = TTCollection(path, lazy=True).fonts[0] if path.endswith("c") else TTFont(path, lazy=True)
    cmap = font.getBestCmap()
    if "glyf" not in font:
        return frozenset(cmap)
    places = font["loca"].locations
    index = font.getGlyphID
    return frozenset(code for code, name in cmap.items() if places[index(name)] < places[index(name) + 1] or chr(code).isspace())


@functools.lru_cache(maxsize=None)
def catalogue(language, held_out):
    """([paths], [weights]) of the split."""
    paths, weights = [], []
    needed = {0xAC00, 0xC815, 0xB77D} if language == "ko" else set(range(33, 127))
    for pattern, weight in KOREAN if language == "ko" else LATIN:
        found = [
            str(p)
            for p in sorted(ROOT.glob(pattern))
            if not any(s in p.name for s in SKIP) and any(h in p.name for h in HELD_OUT) == held_out
        ]
        found = [p for p in found if needed <= coverage(p)]
        for path in found:
            paths.append(path)
            weights.append(weight / len(found) * (0.4 if "Italic" in path or "Oblique" in path else 1.0))
    return paths, weights


@functools.lru_cache(maxsize=600)
def load(path, size):
    """The face at a pixel size; the second face of a collection is the Korean one for Noto CJK."""
    index = 1 if "CJK" in path else 0
    return ImageFont.truetype(path, size, index=index, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=200000)
def advance(path, size, char):
    return load(path, size).getlength(char)

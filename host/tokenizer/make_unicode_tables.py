#!/usr/bin/env python3
"""Writes unicode_tables.cpp from what the reference library does with every code point.

The reference (`tokenizers` on PyPI) mixes several Unicode versions: its punctuation comes from one crate, its normal
forms from another, its word characters from a third. Asking the library itself is the only way to the same answers.

Usage: make_unicode_tables.py > unicode_tables.cpp   (needs `pip install tokenizers`, takes half a minute)
"""
import unicodedata

from tokenizers import normalizers, pre_tokenizers
import tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def pieces(pre_tokenizer, text):
    return [p for p, _ in pre_tokenizer.pre_tokenize_str(text)]


def removed_by(normalizer):
    return [c for c in CODE_POINTS if normalizer.normalize_str("a" + chr(c) + "a") == "aa"]


def isolated_by(pre_tokenizer):
    return [c for c in CODE_POINTS if len(pieces(pre_tokenizer, "a" + chr(c) + "a")) == 3]


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def lower_runs():
    """Runs (first, last, step, delta) of code points whose lower case lies at one distance."""
    lower = normalizers.Lowercase()
    single = {}
    for c in CODE_POINTS:
        mapped = lower.normalize_str(chr(c))
        if mapped != chr(c) and len(mapped) == 1:
            single[c] = ord(mapped) - c
    runs = []
    for c, delta in single.items():
        if runs:
            first, last, step, d = runs[-1]
            if d == delta and (c - last == step or (first == last and c - last <= 2)):
                runs[-1] = [first, c, c - last, d]
                continue
        runs.append([c, c, 1, delta])
    return runs


def script_runs():
    """Runs (first, last, class) under which UnicodeScripts keeps characters together; class 0 joins with anything."""
    splitter = pre_tokenizers.UnicodeScripts()

    def joins(a, b):
        return len(pieces(splitter, a + b)) == 1

    latin, greek = "a", "\u03b1"
    representatives, runs = [], []
    for c in CODE_POINTS:
        char = chr(c)
        if c == 0x20 or (joins(latin, char) and joins(greek, char)):
            continue
        if runs and runs[-1][1] == c - 1 and joins(representatives[runs[-1][2] - 1], char):
            runs[-1][1] = c
            continue
        for index, representative in enumerate(representatives):
            if joins(representative, char):
                break
        else:
            index = len(representatives)
            representatives.append(char)
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == index + 1:
            runs[-1][1] = c
        else:
            runs.append([c, c, index + 1])
    return runs


def unknown_to_normal_forms():
    """Code points that decompose or reorder in Python's Unicode, but that the reference passes through as they are.

    Those that Python's Unicode does not assign either are listed too, so that a newer utf8proc changes nothing.
    """
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    points = []
    for c in CODE_POINTS:
        char = chr(c)
        probe = "\u0315" + char + "\u0334"
        if (unicodedata.category(char) == "Cn" or nfkd.normalize_str(char) != unicodedata.normalize("NFKD", char)
                or nfd.normalize_str(probe) != unicodedata.normalize("NFD", probe)):
            points.append(c)
    return points


def table(name, comment, type_name, rows):
    print(f"// {comment}\nconst {type_name} k{name}Rows[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(hex(v) if i < 2 else str(v) for i, v in enumerate(row)) + "},"
        if len(line) + len(cell) > 120:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};\n")


def main():
    print(f"""/** @file unicode_tables.cpp
 *  Written by make_unicode_tables.py from tokenizers {tokenizers.__version__}: edit that, not this. Ranges are closed and ascending.
 */
// clang-format off
#include "host/tokenizer/unicode_tables.hpp"

namespace vlm::tok {{
namespace {{
""")
    whitespace = pre_tokenizers.Whitespace()
    word = [c for c in CODE_POINTS if len(pieces(whitespace, "a" + chr(c) + "a")) == 1]
    bert = dict(handle_chinese_chars=False, lowercase=False)
    tables = [
        ("Word", "Alphabetic, marks, decimal digits, connectors, joiners: \\w of the regex crate.", word),
        ("Numeric", "Nd, Nl, No.", isolated_by(pre_tokenizers.Digits(True))),
        ("Punctuation", "ASCII punctuation and the P categories.", isolated_by(pre_tokenizers.Punctuation())),
        ("CombiningMark", "Removed by StripAccents.", removed_by(normalizers.StripAccents())),
        ("NonspacingMark", "Removed by BertNormalizer's strip_accents.",
         removed_by(normalizers.BertNormalizer(clean_text=False, strip_accents=True, **bert))),
        ("BertControl", "Removed by BertNormalizer's clean_text.",
         removed_by(normalizers.BertNormalizer(clean_text=True, strip_accents=False, **bert))),
        ("NormalFormUnknown", "Newer than the normal forms of the reference.", unknown_to_normal_forms()),
    ]
    for name, comment, points in tables:
        table(name, comment, "CodePointRange", ranges(points))
    table("Lower", "First, last, step, distance to the lower case.", "LowerRun", lower_runs())
    table("Script", "First, last, class of script.", "ScriptRun", script_runs())
    print("}  // namespace\n")
    for name, _, _ in tables:
        print(f"const std::span<const CodePointRange> k{name} = k{name}Rows;")
    print("const std::span<const LowerRun> kLower = kLowerRows;")
    print("const std::span<const ScriptRun> kScript = kScriptRows;")
    print("\n}  // namespace vlm::tok")


main()

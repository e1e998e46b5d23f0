#!/usr/bin/env python3
"""Doxygen's filter for the documents, which are written for readers of the repository.

Doxygen 1.9.4 gives headings no names that a link can point at, and leaves links to folders and sources as they are, which lead nowhere on the
site. So headings get names, links to headings point at those, headers and images are found by name, and a path that has no page is shown as
text. `tests/docs/site.py` follows every link of the result.

Usage: site_filter.py FILE.md      (prints the document)
"""
import collections
import os
import pathlib
import re
import sys

source = pathlib.Path(__file__).resolve().parents[2]
document = pathlib.Path(sys.argv[1]).resolve()


def name_of(page, heading):
    """A label that is unique on the whole site: Doxygen knows no labels of a page's own."""
    slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
    return re.sub(r"\W", "_", str(page.relative_to(source).with_suffix(""))) + "--" + slug


def link(match):
    image, text, target = match[1], match[2], match[3]
    if target is None or re.match(r"[a-z]+:", target):
        return match[0]
    if image:
        return f"{image}[{text}]({os.path.basename(target)})"
    path, _, heading = target.partition("#")
    page = pathlib.Path(os.path.normpath(document.parent / path)) if path else document
    if page.suffix == ".md":
        return f"[{text}](#{name_of(page, heading)})" if heading else match[0]
    shown = str(page.relative_to(source))
    if shown.startswith(("abi/vlm/", "sdk/vlm/")):
        return f"[{text.strip('`')}](@ref {shown})"  # Doxygen shows backticks there as they are
    if shown == "abi/vlm":
        return f"[{text}](files.html)"
    return f"`{shown}`" if "/" in text or "." in text or shown.endswith(text) else f"{text} (`{shown}`)"


# A link, or code, in which nothing is a link.
LINK = re.compile(r"(!?)\[((?:`[^`]*`|[^\]`])+)\]\(([^)\s]+)\)|`[^`]+`")
headings = collections.Counter()


def plain(line):
    """A line outside code blocks."""
    heading = re.match(r"(#{2,4}) (.+?)\s*$", line)
    if heading:
        label = name_of(document, heading[2])
        headings[label] += 1
        again = f"-{headings[label] - 1}" if headings[label] > 1 else ""
        return f"{heading[1]} {heading[2]} {{#{label}{again}}}"
    picture = re.fullmatch(r'<img src="([^"]+)" width="(\d+)" alt="([^"]+)">', line)
    if picture:  # Doxygen copies the files of its own command only
        return f'\\image html {os.path.basename(picture[1])} "{picture[3]}" width={picture[2]}px'
    return LINK.sub(link, line)


inside = False
for line in document.read_text(encoding="utf-8").splitlines():
    fence = line.startswith("```")
    print(line if inside or fence else plain(line))
    inside ^= fence

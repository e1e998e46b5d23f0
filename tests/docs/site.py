#!/usr/bin/env python3
"""The site that Doxygen builds opens on a page from which each reader is one click away, and no link of a document is dead.

Usage: site.py HTML_FOLDER
"""
import functools
import html.parser
import pathlib
import sys
import urllib.parse

folder = pathlib.Path(sys.argv[1])
READERS = {"vendor": "vendors", "application author": "applications", "operator": "medical", "model author": "families"}


class Rows(html.parser.HTMLParser):
    """Text and links of each table row, all links, and what links can point at."""

    def __init__(self):
        super().__init__()
        self.rows, self.links, self.names, self.inside = [], [], set(), False

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append(["", []])
            self.inside = True
        given = dict(attributes)
        self.names |= {given[key] for key in ("id", "name") if key in given}
        target = given.get("href" if tag == "a" else "src" if tag == "img" else "", "")
        if target and not urllib.parse.urlsplit(target).scheme:
            self.links.append(target)
            if self.inside:
                self.rows[-1][1].append(target)

    def handle_endtag(self, tag):
        if tag == "tr":
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][0] += data


@functools.cache
def read(name):
    page = Rows()
    page.feed((folder / name).read_text(encoding="utf-8"))
    return page


if not (folder / "index.html").exists():
    print(f"skipped: there is no {folder}/index.html; run Doxygen first")
    sys.exit(77)
problems, first = [], read("index.html")
for reader, page in READERS.items():
    row = next((links for text, links in first.rows if reader in text), [])
    if not any(page in link and (folder / link.split("#")[0]).exists() for link in row):
        problems.append(f"index.html: the row of the {reader} has no living link to {page}: {row}")
pages, followed = sorted(p.name for p in folder.glob("md_docs*.html")), 0
for name in ["index.html", *pages]:
    for link in read(name).links:
        target, _, place = link.partition("#")
        target = target or name
        followed += 1
        if not (folder / target).exists():
            problems.append(f"{name}: {link} is not there")
        elif place and target.endswith(".html") and place not in read(target).names:
            problems.append(f"{name}: {target} has no place {place}")
if problems:
    sys.exit("\n".join(problems))
print(f"index.html and {len(pages)} pages of documents, {followed} links")

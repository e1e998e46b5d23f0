"""The comparison: Tesseract's lines, each matched with the most similar formulary name at 0.70 or more.

The margin of safety that the validator keeps is deliberately absent: this is what is usually built on an OCR engine.
"""

import difflib
import re
import subprocess

THRESHOLD = 0.70
DOSE = re.compile(r"(\d+(?:[.,]\d+)?)\s*(mg|㎎|mcg|㎍|g|ml|iu)\b", re.IGNORECASE)


class Reader:
    def __init__(self, formulary):
        """formulary: rows with name, name_ko and strengths ("5 mg|10 mg")."""
        self.names = [(row[key].lower(), row) for row in formulary for key in ("name", "name_ko")]

    def read(self, path):
        """Drugs [{name, dosage}] of one page image."""
        done = subprocess.run(
            ["tesseract", str(path), "-", "-l", "kor+eng", "--psm", "4"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        found = (self.match(line) for line in done.stdout.splitlines())
        return [drug for drug in found if drug]

    def match(self, line):
        dose = DOSE.search(line)
        if not dose:
            return None
        words = re.sub(r"(정|캡슐)?\W*$", "", re.sub(r"^[\W\d]+", "", line[: dose.start()].lower())).strip()
        if not words:
            return None
        ratio, row = max(((difflib.SequenceMatcher(None, words, name).ratio(), row) for name, row in self.names), key=lambda p: p[0])
        if ratio < THRESHOLD:
            return None
        number, unit = dose.group(1).replace(",", ""), dose.group(2).lower().replace("㎎", "mg").replace("㎍", "mcg")
        exact = [s for s in row["strengths"].split("|") if s.lower() == f"{number} {unit}"]
        return {"name": row["name"], "dosage": exact[0] if exact else f"{number} {unit}"}

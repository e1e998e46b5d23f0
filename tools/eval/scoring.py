"""Scores of predicted (name, dosage) pairs against truth.json, over all pages of a folder."""

from collections import Counter


def normalize(dosage):
    return " ".join(str(dosage or "").lower().replace("㎎", "mg").split())


def score(truth, predictions):
    """truth: [{file, drugs: [{name, dosage, listed}]}]; predictions: {file: [{name, dosage}]}, only accepted drugs.

    An unlisted drug counts as accepted when its page came back with a listed name that is not on it.
    """
    total = Counter()
    for page in truth:
        listed = [d for d in page["drugs"] if d.get("listed", True)]
        predicted = predictions.get(page["file"], [])
        names_true = Counter(d["name"] for d in listed)
        names = Counter(d["name"] for d in predicted)
        pairs_true = Counter((d["name"], normalize(d["dosage"])) for d in listed)
        pairs = Counter((d["name"], normalize(d["dosage"])) for d in predicted)
        unlisted = len(page["drugs"]) - len(listed)
        total["true"] += len(listed)
        total["predicted"] += len(predicted)
        total["names"] += sum((names_true & names).values())
        total["pairs"] += sum((pairs_true & pairs).values())
        total["false"] += sum((pairs - pairs_true).values())
        total["exact"] += pairs == pairs_true
        total["unlisted"] += unlisted
        total["unlisted_accepted"] += bool(unlisted and names - names_true)
    both = max(1, total["true"] + total["predicted"])
    return {
        "name_f1": 2 * total["names"] / both,
        "pair_f1": 2 * total["pairs"] / both,
        "exact_pages": total["exact"],
        "pages": len(truth),
        "false_pairs": total["false"],
        "predicted_pairs": total["predicted"],
        "unlisted_accepted": total["unlisted_accepted"],
        "unlisted": total["unlisted"],
    }


def table(columns):
    """A Markdown table with one column for each {reader: score}."""
    rows = [
        ("name F1", lambda s: f"{s['name_f1']:.4f}"),
        ("pair F1", lambda s: f"{s['pair_f1']:.4f}"),
        ("pages exactly right", lambda s: f"{s['exact_pages']}/{s['pages']}"),
        ("false pairs", lambda s: f"{s['false_pairs']} of {s['predicted_pairs']}"),
        ("unlisted accepted", lambda s: f"{s['unlisted_accepted']} of {s['unlisted']}"),
        ("seconds a page", lambda s: f"{s['seconds_per_page']:.2f}"),
        ("peak memory, MB", lambda s: f"{s['peak_mb']:.0f}" if "peak_mb" in s else "not measured"),
    ]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(show(s) for s in columns.values()) + " |" for label, show in rows]
    return "\n".join(lines)

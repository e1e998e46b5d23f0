"""How far confidences can be believed: expected calibration error, reliability plot, and the fit of two parameters.

A drug counts as right when name and dosage are on the page. Drugs that were not accepted have claimed nothing and do not count.
"""

import math
from collections import Counter

import scoring

EDGE = 1e-6  # as confidence.cpp keeps probabilities off 0 and 1


def samples(truth, results):
    """[(confidence, probability before calibration or None, right)] of all accepted drugs."""
    out = []
    for page in truth:
        left = Counter((d["name"], scoring.normalize(d["dosage"])) for d in page["drugs"] if d.get("listed", True))
        for d in results.get(page["file"], {}).get("drugs", []):
            if not d["name"]:
                continue
            key = (d["name"], scoring.normalize(d["dosage"]))
            right = left[key] > 0
            left[key] -= right
            out.append((d["confidence"], d.get("reading_probability"), right))
    return out


def reliability(pairs, bins=10):
    """Expected calibration error over bins of equal width (Guo et al., ICML 2017): sum of |accuracy - confidence| weighted by count."""
    groups = [[] for _ in range(bins)]
    for confidence, right in pairs:
        groups[min(int(confidence * bins), bins - 1)].append((confidence, right))
    rows, error = [], 0.0
    for i, group in enumerate(groups):
        if not group:
            continue
        confidence = sum(c for c, _ in group) / len(group)
        accuracy = sum(r for _, r in group) / len(group)
        error += len(group) / len(pairs) * abs(accuracy - confidence)
        rows.append({"low": i / bins, "high": (i + 1) / bins, "count": len(group), "confidence": confidence, "accuracy": accuracy})
    return {"ece": error, "count": len(pairs), "bins": rows}


def fit(pairs, steps=200):
    """Platt's two parameters by Newton's method, with a weak pull towards the identity so that a perfect score stays finite."""
    slope, bias, pull = 1.0, 0.0, 0.1
    xs = [(math.log(p / (1 - p)), float(r)) for p, r in ((min(max(p, EDGE), 1 - EDGE), r) for p, r in pairs)]
    for _ in range(steps):
        g0, g1 = pull * (slope - 1), pull * bias
        h00, h01, h11 = pull, 0.0, pull
        for x, y in xs:
            p = 1 / (1 + math.exp(-max(-60.0, min(60.0, slope * x + bias))))
            w = p * (1 - p)
            g0, g1 = g0 + (p - y) * x, g1 + (p - y)
            h00, h01, h11 = h00 + w * x * x, h01 + w * x, h11 + w
        det = h00 * h11 - h01 * h01
        d0, d1 = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
        slope, bias = max(0.01, slope - d0), bias - d1
        if abs(d0) + abs(d1) < 1e-9:
            break
    return {"confidence_temperature": round(1 / slope, 4), "confidence_bias": round(bias, 4), "drugs": len(pairs)}


def draw(data):
    """The reliability plot as SVG: accuracy over confidence, the diagonal, and the number of drugs of each bin."""
    size, left, bottom = 320, 50, 350
    x = lambda v: left + size * v
    y = lambda v: bottom - size * v
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400" font-family="sans-serif" font-size="12">',
        '<rect width="400" height="400" fill="white"/>',
        f'<rect x="{left}" y="{bottom - size}" width="{size}" height="{size}" fill="none" stroke="#888"/>',
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#888" stroke-dasharray="4"/>',
    ]
    for b in data["bins"]:
        width = size * (b["high"] - b["low"]) - 2
        parts.append(
            f'<rect x="{x(b["low"]) + 1:.1f}" y="{y(b["accuracy"]):.1f}" width="{width:.1f}" height="{size * b["accuracy"]:.1f}" fill="#4a7fb5" fill-opacity="0.6"/>'
        )
        parts.append(f'<circle cx="{x(b["confidence"]):.1f}" cy="{y(b["accuracy"]):.1f}" r="3" fill="#b03030"/>')
        parts.append(f'<text x="{x((b["low"] + b["high"]) / 2):.1f}" y="{y(0) - 4}" text-anchor="middle" font-size="9">{b["count"]}</text>')
    for v in (0, 0.5, 1):
        parts.append(f'<text x="{x(v)}" y="{bottom + 16}" text-anchor="middle">{v}</text><text x="{left - 6}" y="{y(v) + 4}" text-anchor="end">{v}</text>')
    parts.append(f'<text x="{x(0.5)}" y="{bottom + 36}" text-anchor="middle">confidence</text>')
    parts.append(f'<text x="14" y="{y(0.5)}" text-anchor="middle" transform="rotate(-90 14 {y(0.5)})">share that is right</text>')
    parts.append(f'<text x="{x(0.5)}" y="20" text-anchor="middle">expected calibration error {data["ece"]:.3f}, {data["count"]} drugs</text></svg>\n')
    return "\n".join(parts)

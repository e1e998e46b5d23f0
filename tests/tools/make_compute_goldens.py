"""Makes tests/data/compute/goldens.json: values of PyTorch for the operations whose details only PyTorch defines.

Run with any Python that has torch: python tests/tools/make_compute_goldens.py. The file is committed; tests need no Python."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(20261121)
torch.set_num_threads(1)
OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "compute" / "goldens.json"


def pack(t):
    t = t.detach()
    return {"shape": list(t.shape), "values": [float(f"{v:.9g}") for v in t.flatten().tolist()]}


def interpolations():
    cases = []
    for h, w, nh, nw in ((4, 4, 6, 6), (5, 3, 7, 9), (7, 8, 3, 4), (1, 1, 3, 2), (6, 6, 6, 6), (9, 5, 1, 1), (3, 10, 16, 2)):
        src = torch.randn(h, w, 2)
        for mode in ("bilinear", "bicubic"):
            for align in (False, True):
                for antialias in (False, True):
                    x = src.permute(2, 0, 1)[None]
                    y = F.interpolate(x, size=(nh, nw), mode=mode, align_corners=align, antialias=antialias)
                    cases.append({"mode": mode, "align_corners": align, "antialias": antialias, "src": pack(src),
                                  "dst": pack(y[0].permute(1, 2, 0))})
    return cases


def activations():
    x = torch.cat([torch.linspace(-12, 12, 97), torch.tensor([0., -0., 1e-6, -1e-6, 40., -40., 100., -100.])])
    forms = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"),
             "quick_gelu": lambda t: t * torch.sigmoid(1.702 * t), "silu": F.silu, "relu2": lambda t: F.relu(t) ** 2,
             "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    return {"x": pack(x), **{k: pack(f(x)) for k, f in forms.items()}}


def norms():
    x = torch.randn(5, 37) * 3 + 1
    g, b = torch.randn(37), torch.randn(37)
    rms = lambda off: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * (off + g)
    return {"x": pack(x), "gamma": pack(g), "beta": pack(b), "layer_norm": pack(F.layer_norm(x, (37,), g, b, 1e-5)),
            "rms_norm": pack(rms(0.)), "rms_norm_offset": pack(rms(1.)), "l2": pack(F.normalize(x, dim=-1)),
            "softmax": pack(x.softmax(-1))}


def merge_cases():
    """The rule of bipartite merging in ToMe, written with torch's own sort and max."""
    cases = []
    for n, threshold, limit, protect in ((9, None, 2, 1), (10, 0.2, 100, 1), (12, None, 5, 0), (13, 0.0, 3, 3), (16, -0.5, 6, 1)):
        metric = F.normalize(torch.randn(n, 4), dim=-1)
        scores = metric[0::2] @ metric[1::2].T
        best, partner = scores.max(-1)
        allowed = [i for i in range(len(best)) if 2 * i >= protect and (threshold is None or best[i] > threshold)]
        order = sorted(allowed, key=lambda i: (-best[i].item(), i))[:limit]
        even_left = [i for i in range(len(best)) if i not in order]
        groups = [0] * n
        for g, i in enumerate(even_left):
            groups[2 * i] = g
        for j in range(n // 2):
            groups[2 * j + 1] = len(even_left) + j
        for i in order:
            groups[2 * i] = len(even_left) + int(partner[i])
        cases.append({"n": n, "threshold": -1e30 if threshold is None else threshold, "limit": limit, "protect": protect,
                      "scores": pack(best), "partners": partner.tolist(), "groups": groups,
                      "count": len(even_left) + n // 2})
    return cases


OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({"torch": torch.__version__, "interpolate": interpolations(), "activations": activations(),
                           "norms": norms(), "merge": merge_cases()}, separators=(",", ":")) + "\n")
print(OUT, OUT.stat().st_size)

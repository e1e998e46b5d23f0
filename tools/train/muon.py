"""Muon for matrices and Adam for the rest, with float32 masters of a bfloat16 model (K. Jordan 2024; scaling of Liu et al. 2025)."""

import torch


def orthogonalise(g, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix of g [m, n]."""
    x = g.bfloat16()
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if flip else x).float()


class Optimiser:
    """Holds the masters; `step` takes the gradients of the model's parameters, updates, and writes the parameters back."""

    def __init__(self, model, average=0.998):
        self.named = [(n, p) for n, p in model.named_parameters()]
        self.master = {n: p.detach().float().clone() for n, p in self.named}
        self.first = {n: torch.zeros_like(m) for n, m in self.master.items()}
        self.second = {n: torch.zeros_like(m) for n, m in self.master.items() if not self.is_matrix(n, m)}
        self.ema = {n: m.clone() for n, m in self.master.items()}
        self.average, self.steps = average, 0

    @staticmethod
    def is_matrix(name, value):
        return value.dim() == 2 and not name.startswith(("embed.", "char_head"))

    @torch.no_grad()
    def step(self, rate, decay=0.05, clip=1.0):
        self.steps += 1
        grads = {n: p.grad.float() for n, p in self.named if p.grad is not None}
        norm = torch.sqrt(sum((g * g).sum() for g in grads.values()))
        scale = min(1.0, clip / (float(norm) + 1e-6))
        for name, param in self.named:
            if name not in grads:
                continue
            g, m = grads[name] * scale, self.master[name]
            if self.is_matrix(name, m):
                mom = self.first[name].lerp_(g, 0.05)
                # Wide stacks (q, k and v; the merger) are taken in blocks of rows: cheaper, and each block gets its full rank.
                blocks = g.lerp(mom, 0.95).split(m.shape[1] if m.shape[0] > m.shape[1] else 256)
                update = torch.cat([orthogonalise(b) * (0.2 * max(b.shape) ** 0.5) for b in blocks])
                m.mul_(1 - rate * decay)
            else:
                b1, b2 = 0.9, 0.98
                mom = self.first[name].lerp_(g, 1 - b1)
                var = self.second[name].lerp_(g * g, 1 - b2)
                update = (mom / (1 - b1**self.steps)) / ((var / (1 - b2**self.steps)).sqrt() + 1e-8)
            m.add_(update, alpha=-rate)
            param.copy_(m)
            param.grad = None
            self.ema[name].lerp_(m, 1 - min(self.average, (1 + self.steps) / (20 + self.steps)))
        return float(norm)

    def state(self):
        return dict(master=self.master, first=self.first, second=self.second, ema=self.ema, steps=self.steps)

    @torch.no_grad()
    def load(self, state):
        self.master, self.first, self.second, self.ema, self.steps = (state[k] for k in ("master", "first", "second", "ema", "steps"))
        for name, param in self.named:
            param.copy_(self.master[name])

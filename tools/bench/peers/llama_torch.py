"""A Llama in PyTorch that can be traced: keys and values go in and come out as tensors.

transformers' own model keeps its cache in Python objects, which tracing for OpenVINO does not follow. The names and
shapes of weights are those of the checkpoint, and the sequence of operations is that of transformers (repeated keys,
SDPA with an explicit mask), because that is what OpenVINO's fusions look for.
"""
import torch
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.kv_heads, self.dim = config["heads"], config["kv_heads"], config["head_dim"]
        width = config["width"]
        self.q_proj = nn.Linear(width, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(width, self.kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(width, self.kv_heads * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, width, bias=False)

    def repeat(self, x):
        batch, heads, length, dim = x.shape
        group = self.heads // self.kv_heads
        return x[:, :, None].expand(batch, heads, group, length, dim).reshape(batch, heads * group, length, dim)

    def forward(self, x, cos, sin, mask, past_key, past_value):
        batch, length, _ = x.shape
        q = self.q_proj(x).view(batch, length, self.heads, self.dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self.kv_heads, self.dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.dim).transpose(1, 2)
        q = q * cos + rotate_half(q) * sin
        k = k * cos + rotate_half(k) * sin
        key, value = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
        out = nn.functional.scaled_dot_product_attention(q, self.repeat(key), self.repeat(value), attn_mask=mask)
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, -1)), key, value


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner = config["width"], config["inner"]
        self.self_attn = Attention(config)
        self.input_layernorm = RmsNorm(width, config["eps"])
        self.post_attention_layernorm = RmsNorm(width, config["eps"])
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x, *rest):
        out, key, value = self.self_attn(self.input_layernorm(x), *rest)
        x = x + out
        y = self.post_attention_layernorm(x)
        return x + self.down_proj(nn.functional.silu(self.gate_proj(y)) * self.up_proj(y)), key, value


class Llama(nn.Module):
    """`forward(embeddings [B, T, width], positions [B, T], reorder [B], past keys and values of each layer in turn)`
    gives the logits of the last row and the new keys and values."""

    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["layers"]))
        self.norm = RmsNorm(config["width"], config["eps"])
        self.lm_head = nn.Linear(config["width"], config["vocabulary"], bias=False)
        dim = config["head_dim"]
        inverse = 1.0 / (config["theta"] ** (torch.arange(0, dim, 2).float() / dim))
        self.register_buffer("inverse", inverse, persistent=False)

    def forward(self, embeddings, positions, reorder, *past):
        angles = positions[:, None, :, None].float() * self.inverse
        angles = torch.cat([angles, angles], -1)
        cos, sin = angles.cos(), angles.sin()
        past = [part.index_select(0, reorder) for part in past]
        length, before = embeddings.shape[1], past[0].shape[2]
        rows = torch.arange(length)[:, None] + before
        columns = torch.arange(before + length)[None, :]
        mask = torch.where(columns <= rows, 0.0, torch.finfo(torch.float32).min)[None, None]
        mask = mask.expand(embeddings.shape[0], 1, -1, -1)
        x, present = embeddings, []
        for index, layer in enumerate(self.layers):
            x, key, value = layer(x, cos, sin, mask, past[2 * index], past[2 * index + 1])
            present += [key, value]
        return (self.lm_head(self.norm(x[:, -1:])), *present)


def config_of(text):
    """Sizes of transformers' configuration of a Llama."""
    theta = (getattr(text, "rope_parameters", None) or {}).get("rope_theta") or getattr(text, "rope_theta", 10000.0)
    return {"width": text.hidden_size, "inner": text.intermediate_size, "layers": text.num_hidden_layers,
            "heads": text.num_attention_heads, "kv_heads": text.num_key_value_heads, "eps": text.rms_norm_eps,
            "head_dim": getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            "vocabulary": text.vocab_size, "theta": theta}


def take_weights(model, language, head):
    """Shares the weights of transformers' `language` model and output layer."""
    state = {name.replace("mlp.", ""): value for name, value in language.state_dict().items()}
    state = {name: value for name, value in state.items() if not name.startswith("embed_tokens")}
    state["lm_head.weight"] = head.weight
    model.load_state_dict(state, assign=True)

"""rx-small in plain PyTorch: the arithmetic of Hugging Face's Qwen2VLForConditionalGeneration for batches of equal row images.

The library's class walks over images one by one inside its tower; for training on a CPU a batched form is several times faster.
`export.py` writes the parameters under the library's names and checks that both give the same logits. Three things exist only
for training: the composed Hangul embeddings (stored as one plain table), the character heads on the tower, and the pointing loss.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

import tokenizer

CONFIG = dict(
    vision=dict(depth=4, embed_dim=256, num_heads=4, mlp_ratio=2, patch_size=8, spatial_merge_size=2, temporal_patch_size=2, in_channels=3),
    text=dict(
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        rope_theta=10000.0,
        mrope_section=[8, 12, 12],
        rms_norm_eps=1e-6,
    ),
)
POINTER_LAYER = 1  # the decoder layer whose first two heads are taught to look at the current and at the next character


def rotate(x, cos, sin):
    """Rotary embedding of x [B, heads, S, D] by cos and sin [S, D]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def attend(q, k, v, mask=None):
    """Attention with the scores written out: for rows this short it trains faster on a CPU than the fused kernel."""
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    return torch.matmul(torch.softmax(scores if mask is None else scores + mask, dim=-1), v)


class VisionBlock(nn.Module):
    def __init__(self, dim, heads, mlp):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = nn.ModuleDict(dict(qkv=nn.Linear(dim, 3 * dim), proj=nn.Linear(dim, dim)))
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(dim, mlp), fc2=nn.Linear(mlp, dim)))

    def forward(self, x, cos, sin):
        b, s, d = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).view(b, s, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.attn["proj"](y.transpose(1, 2).reshape(b, s, d))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class Tower(nn.Module):
    """Patches of 8x8 pixels, rotary positions in both directions, 2x2 patches merged into one visual token."""

    def __init__(self, cfg, out):
        super().__init__()
        dim = cfg["embed_dim"]
        self.cfg = cfg
        self.patch_embed = nn.Linear(3 * 64, dim, bias=False)  # one frame; the export spreads it over the two equal frames
        self.blocks = nn.ModuleList(VisionBlock(dim, cfg["num_heads"], dim * cfg["mlp_ratio"]) for _ in range(cfg["depth"]))
        self.merger = nn.ModuleDict(
            {"ln_q": nn.LayerNorm(dim, eps=1e-6), "mlp": nn.ModuleDict({"0": nn.Linear(4 * dim, 4 * dim), "2": nn.Linear(4 * dim, out)})}
        )

    def forward(self, pixels):
        """pixels [B, 3, 32, W] normalised -> (visual tokens [B, 2*W/16, out], patches [B, 4, W/8, dim])."""
        b, _, h, w = pixels.shape
        gh, gw = h // 16, w // 16
        x = pixels.view(b, 3, gh, 2, 8, gw, 2, 8).permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(b, gh * gw * 4, 192)
        rows = torch.arange(gh * 2).view(gh, 2, 1, 1).expand(gh, 2, gw, 2).permute(0, 2, 1, 3).reshape(-1)
        cols = torch.arange(gw * 2).view(1, 1, gw, 2).expand(gh, 2, gw, 2).permute(0, 2, 1, 3).reshape(-1)
        half = self.cfg["embed_dim"] // self.cfg["num_heads"] // 2
        freq = 1.0 / (10000.0 ** (torch.arange(0, half, 2).float() / half))
        angles = torch.cat((rows[:, None] * freq, cols[:, None] * freq), dim=-1)
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        x = self.patch_embed(x)
        for block in self.blocks:
            x = block(x, cos, sin)
        m = self.merger
        y = m["mlp"]["2"](F.gelu(m["mlp"]["0"](m["ln_q"](x).view(b, gh * gw, -1))))
        return y, x.view(b, gh, gw, 2, 2, -1).permute(0, 1, 3, 2, 4, 5).reshape(b, gh * 2, gw * 2, -1)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


class DecoderLayer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d, m = cfg["hidden_size"], cfg["intermediate_size"]
        self.heads = cfg["num_attention_heads"]
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(d, cfg["rms_norm_eps"]), RMSNorm(d, cfg["rms_norm_eps"])
        self.self_attn = nn.ModuleDict(
            dict(q_proj=nn.Linear(d, d), k_proj=nn.Linear(d, d), v_proj=nn.Linear(d, d), o_proj=nn.Linear(d, d, bias=False))
        )
        self.mlp = nn.ModuleDict(
            dict(gate_proj=nn.Linear(d, m, bias=False), up_proj=nn.Linear(d, m, bias=False), down_proj=nn.Linear(m, d, bias=False))
        )

    def forward(self, x, cos, sin, mask, pointers=None, cache=None):
        """pointers (first text index, number of visual tokens) asks for the scores of heads 0 and 1 from text to visual tokens.

        `cache` is a list that keeps the keys and values of earlier calls.
        """
        b, s, d = x.shape
        a, y = self.self_attn, self.input_layernorm(x)
        q, k, v = (a[n](y).view(b, s, self.heads, -1).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), dim=2), torch.cat((cache[1], v), dim=2)
            cache[:] = k, v
        scores = None
        if pointers:
            first, visual = pointers
            scores = torch.matmul(q[:, :2, first:], k[:, :2, 1 : 1 + visual].transpose(-1, -2)).float() / math.sqrt(q.shape[-1])
        y = attend(q, k, v, mask)
        x = x + a["o_proj"](y.transpose(1, 2).reshape(b, s, d))
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y)), scores


def jamo_of_tokens():
    """[V, 3] initial, vowel and final of each syllable token, -1 elsewhere."""
    out = torch.full((len(tokenizer.TOKENS), 3), -1, dtype=torch.long)
    for i, token in enumerate(tokenizer.TOKENS):
        code = ord(token) - 0xAC00 if len(token) == 1 else -1
        if 0 <= code < 11172:
            out[i] = torch.tensor((code // 588, code // 28 % 21, code % 28))
    return out


class Embedding(nn.Module):
    """Token table in which a syllable is the sum of its letters and a small part of its own.

    With tied output weights the logit of a syllable is then a sum over its letters, so what is learned of one syllable serves
    all that share a letter with it; the finished table is an ordinary one.
    """

    def __init__(self, dim):
        super().__init__()
        jamo = jamo_of_tokens()
        self.register_buffer("jamo", jamo.clamp(min=0) + torch.tensor((0, 19, 40)), persistent=False)
        self.register_buffer("is_syllable", (jamo[:, :1] >= 0), persistent=False)
        self.free = nn.Parameter(torch.randn(len(tokenizer.TOKENS), dim) * torch.where(self.is_syllable, 0.004, 0.05))
        self.letters = nn.Parameter(torch.randn(68, dim) * 0.035)

    def table(self):
        return self.free + torch.where(self.is_syllable, self.letters[self.jamo].sum(1), torch.zeros((), dtype=self.free.dtype))


class RxSmall(nn.Module):
    def __init__(self):
        super().__init__()
        vision, text = CONFIG["vision"], CONFIG["text"]
        d = text["hidden_size"]
        self.visual = Tower(vision, d)
        self.embed = Embedding(d)
        self.layers = nn.ModuleList(DecoderLayer(text) for _ in range(text["num_hidden_layers"]))
        self.norm = RMSNorm(d, text["rms_norm_eps"])
        # Training only: characters at two places of every 8-pixel column (kind or initial, vowel, final).
        self.char_head = nn.Linear(4 * vision["embed_dim"], 2 * (KINDS + 21 + 28))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.visual.blocks:
            nn.init.zeros_(block.attn["proj"].weight), nn.init.zeros_(block.mlp["fc2"].weight)
        for layer in self.layers:
            nn.init.zeros_(layer.self_attn["o_proj"].weight), nn.init.zeros_(layer.mlp["down_proj"].weight)

    def angles(self, columns, text_length, dtype):
        """cos and sin [S, D] of the sequence <vision_start>, 2 x columns visual tokens, text."""
        cfg = CONFIG["text"]
        half = cfg["hidden_size"] // cfg["num_attention_heads"] // 2
        visual = torch.stack(
            (torch.ones(2 * columns), 1.0 + torch.arange(2).repeat_interleave(columns), 1.0 + torch.arange(columns).repeat(2))
        )
        after = 1.0 + max(2, columns) + torch.arange(text_length)
        position = torch.cat((torch.zeros(3, 1), visual, after.expand(3, -1)), dim=1)
        freq = 1.0 / (cfg["rope_theta"] ** (torch.arange(half).float() / half))
        angles = position[:, :, None] * freq
        angles = torch.cat([part[i] for i, part in enumerate(angles.split(cfg["mrope_section"], dim=-1))], dim=-1)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def forward(self, pixels, text, pointers=True, wanted=None):
        """pixels [B, 3, 32, W], text ids [B, T] beginning with <|vision_end|> -> logits [B, T, V], character logits, pointer scores.

        With `wanted` [B, T] (bool) the logits are those of the wanted places only, [wanted.sum(), V].
        """
        visual, patches = self.visual(pixels)
        table = self.embed.table()
        start = table[tokenizer.VISION_START].expand(len(text), 1, -1)
        x = torch.cat((start, visual, F.embedding(text, table)), dim=1)
        columns = visual.shape[1] // 2
        cos, sin = self.angles(columns, text.shape[1], x.dtype)
        mask = torch.full((x.shape[1], x.shape[1]), -torch.inf, dtype=x.dtype).triu(1)
        scores, first = None, 1 + 2 * columns
        for i, layer in enumerate(self.layers):
            x, got = layer(x, cos, sin, mask, (first, 2 * columns) if pointers and i == POINTER_LAYER else None)
            scores = got if got is not None else scores
        hidden = x[:, first:]
        logits = F.linear(self.norm(hidden if wanted is None else hidden[wanted]), table)
        chars = self.char_head(patches.permute(0, 2, 1, 3).flatten(2)) if pointers else None
        return logits, chars, scores

    @torch.no_grad()
    def greedy(self, pixels, prompt=(tokenizer.VISION_END,), limit=120):
        """Greedy ids of a batch of row images [B, 3, 32, W], without the closing <|im_end|>."""
        visual, table = self.visual(pixels)[0], self.embed.table()
        count, columns = len(pixels), visual.shape[1] // 2
        x = torch.cat((table[tokenizer.VISION_START].expand(count, 1, -1), visual, table[list(prompt)].expand(count, -1, -1)), dim=1)
        cos, sin = self.angles(columns, len(prompt) + limit, x.dtype)
        mask = torch.full((x.shape[1], x.shape[1]), -torch.inf, dtype=x.dtype).triu(1)
        caches, at, out = [[] for _ in self.layers], 0, []
        done = torch.zeros(count, dtype=torch.bool)
        for _ in range(limit):
            length = x.shape[1]
            for layer, cache in zip(self.layers, caches):
                x, _ = layer(x, cos[at : at + length], sin[at : at + length], mask, cache=cache)
            at, mask = at + length, None
            new = F.linear(self.norm(x[:, -1]), table).float().argmax(-1)
            done |= new == tokenizer.EOS
            out.append(torch.where(done, torch.tensor(tokenizer.EOS), new))
            if done.all():
                break
            x = F.embedding(new, table)[:, None]
        ids = torch.stack(out, dim=1).tolist()
        return [i[: i.index(tokenizer.EOS)] if tokenizer.EOS in i else i for i in ids]


# Kinds of character for the character heads: 0 nothing, 1-19 syllables by initial, then one for each other printable character.
OTHER_KINDS = {
    token: 20 + i for i, token in enumerate(t for t in tokenizer.TOKENS if len(t) == 1 and t != " " and not 0xAC00 <= ord(t) < 0xD7A4)
}
KINDS = 20 + len(OTHER_KINDS)


def char_labels(char):
    """(kind, vowel, final) of a character for the character heads; -100 where there is none."""
    code = ord(char) - 0xAC00
    if 0 <= code < 11172:
        return 1 + code // 588, code // 28 % 21, code % 28
    return OTHER_KINDS.get(char, 0), -100, -100

#!/usr/bin/env python3
"""Writes tests/data/tokenizers/<name>/{tokenizer.json,cases.json}: small tokenizers of every kind and what the reference library does.

Usage: make_tokenizer_goldens.py [--cases N] [--seed S] [--out DIR] [--also DIR/tokenizer.json ...]
The committed fixtures come from the defaults. A large N with another --out makes a fuzz corpus for the same test
(environment variable VLM_TOKENIZER_FIXTURES). Needs `pip install tokenizers`.

cases.json: {"encode": [[text, ids with special tokens, ids without or null when equal], ...],
             "decode": [[ids, text, text without special tokens or null when equal], ...]}
"""
import argparse
import base64
import json
import pathlib
import random
import struct

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's 12:30, we'll see; they've don't I'm you're he'd",
    "Amlodipine 5 mg tablet, twice daily after meals for 30 days. Take 2 capsules.",
    "암로디핀정 5mg 하루 두 번 식후 30일분 복용하세요. 안녕하세요 세계",
    "你好世界 今天天气很好 東京都 ひらがな カタカナ", "مرحبا بالعالم שלום עולם", "naïve café Ünïcödé Straße",
    "a photo of a cat and a dog on the grass with a red ball", "<image> describe the picture in detail: user assistant",
    "int main() { return 0; }  // code\n\tif (x == 1) { y += 2; }\n", "Привет мир, как дела? Ελληνικά κείμενο",
]
WORDS = " ".join(CORPUS).split()
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<image>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "<mask>",
            "<|endoftext|>", "<|startoftext|>", "Lowercased", "word", "ŻÓŁW"]
ODD = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇰🇷", "😀", "e\u0301", "\u1112\u1161\u11ab", "한", "ﬁ", "①", "Å", "\u212b", "ẛ̣", "\u0345", "ก็", "क्षि",
       "\u200d", "\u200b", "\ufeff", "\ufffd", "\u2028", "\u3000", "\xa0", "\x85", "\x00", "\x01", "\x07", "\x1b", "\x7f", "\x9f", "İ", "ẞ",
       "Σ", "ς", "ǅ", "㎎", "½", "٣", "Ⅷ", "𝔘", "𠀀", "\U0010ffff", "\ue000", "\u0378", "°", "…", "—", "“", "」", "¿", "_", "##", "</w>",
       "▁", "Ġ", "<0x41>", "<0xE2>", "\u202e", "\u0300\u0316", "ー", "々", "㍿", "\u1e9b\u0323", "ﷺ", "\U0001d15e", "\u0f73", "\u0958"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n ", "          "]


def random_text(rng):
    parts = []
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 8, 13, 21])):
        kind = rng.random()
        if kind < 0.35:
            parts.append(rng.choice(WORDS))
        elif kind < 0.55:
            parts.append(rng.choice(SPACES))
        elif kind < 0.68:
            parts.append(rng.choice(ODD))
        elif kind < 0.80:
            parts.append(rng.choice(SPECIALS))
        elif kind < 0.86:
            parts.append(str(rng.randrange(10 ** rng.randrange(1, 12))))
        elif kind < 0.92:
            parts.append("".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[]^`{|}~") for _ in range(rng.randrange(1, 6))))
        else:
            ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xA00), (0x1100, 0x1200),
                      (0x1E00, 0x2070), (0x2100, 0x2600), (0x3040, 0x3130), (0x4E00, 0x9FA0), (0xAC00, 0xD7A4), (0xF900, 0xFB10),
                      (0xFF00, 0xFFF0), (0x1D400, 0x1D7FF), (0x1F300, 0x1F700)]
            parts.append("".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 5))))
        if rng.random() < 0.3:
            parts.append(" ")
    return "".join(parts)


def trained(model, trainer, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return tokenizer


def byte_bpe(size=420, specials=(), **options):
    return dict(model=models.BPE(**options), trainer=trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=list(specials), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))


QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_level_pretokenizer(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2():
    t = trained(**byte_bpe(specials=["<|endoftext|>"]), pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False))
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    return t


def qwen2():
    t = trained(**byte_bpe(), normalizer=normalizers.NFC(), pre_tokenizer=byte_level_pretokenizer(QWEN))
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("<image>", normalized=False), AddedToken("ŻÓŁW", normalized=True)])
    return t


def llama3():
    t = trained(**byte_bpe(ignore_merges=True), pre_tokenizer=byte_level_pretokenizer(LLAMA3))
    t.add_special_tokens(["<s>", "</s>"])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", t.token_to_id("<s>"))])])
    return t


def opt():
    t = trained(**byte_bpe(specials=["<pad>", "</s>", "<unk>"]), pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True))
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", t.token_to_id("</s>"))])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True), AddedToken("<image>", rstrip=True, special=True)])
    return t


SPM_DECODERS = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def spm_bpe(**options):
    alphabet = sorted({c for c in "".join(CORPUS[:3]).replace(" ", "▁")})
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=520, show_progress=False, special_tokens=specials, limit_alphabet=90, initial_alphabet=alphabet)
    t = trained(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True, **options), trainer,
                normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))
    # Training makes every special token an added token; a real file has only three.
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    return data


def llama():
    data = spm_bpe()
    data["added_tokens"].append(dict(id=len(data["model"]["vocab"]), content="<image>", single_word=False, lstrip=False, rstrip=True,
                                     normalized=True, special=False))
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoders.Sequence(SPM_DECODERS + [decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def llama_metaspace():
    data = spm_bpe()
    data["normalizer"] = None
    t = Tokenizer.from_str(json.dumps(data))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence(SPM_DECODERS + [decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


def gemma():
    data = spm_bpe()
    data["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"] if not any(" " in p for p in m)]
    t = Tokenizer.from_str(json.dumps(data))
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence(SPM_DECODERS)
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("          ", normalized=False), AddedToken("<image>", normalized=False)])
    return t


def no_bytes():
    """Characters that are not there become one unknown token each; some bytes are missing too."""
    data = spm_bpe()
    data["model"]["fuse_unk"] = False
    data["model"]["vocab"] = {k: v for k, v in data["model"]["vocab"].items() if k not in ("<0xE2>", "<0xF0>", "<0x0A>")}
    data["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁",
                                                                                   "prepend_scheme": "always", "split": True}]}
    return Tokenizer.from_str(json.dumps(data))


def clip():
    t = trained(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"), trainers.BpeTrainer(
        vocab_size=760, show_progress=False, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CLIP), "removed", invert=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    t.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), add_prefix_space=False)
    return t


def bert(strip_accents=None, lowercase=True):
    t = trained(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20), trainers.WordPieceTrainer(
        vocab_size=420, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
        normalizer=normalizers.BertNormalizer(strip_accents=strip_accents, lowercase=lowercase),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer())
    t.decoder = decoders.WordPiece()
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def double_array(entries):
    """A Darts trie of byte strings with values, as SentencePiece writes it. Small and slow."""
    units = {0: 0}
    used = set()

    def place(at, keys, depth):
        labels = sorted({k[depth] if depth < len(k) else 0 for k, _ in keys})
        base = 1
        while any((base ^ label) in used or (base ^ label) == 0 for label in labels) or base == 0 or base & 0x7F000000:
            base += 1
        used.update(base ^ label for label in labels)
        offset = base ^ at
        units[at] |= offset << 10
        if 0 in labels:
            units[at] |= 1 << 8
        for label in labels:
            child = base ^ label
            if label == 0:
                units[child] = next(v for k, v in keys if len(k) == depth) | (1 << 31)
                continue
            units[child] = label
            place(child, [(k, v) for k, v in keys if depth < len(k) and k[depth] == label], depth + 1)

    used.add(0)
    place(0, entries, 0)
    size = (max(units) // 256 + 1) * 256
    return b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size))


def charsmap():
    rules = {"ﬁ": "fi", "①": "1", "Å": "Å", "\u212b": "Å", "\u3000": " ", "\xa0": " ", "\t": " ", "\n": " ", "\r": "", "\u200b": "", "½": "1⁄2",
             "㎎": "mg", "…": "...", "e\u0301": "é", "\u0300": "", "\x01": "", "\u1112\u1161": "하", "ー": "-", "A\u030a": "Å", "\u202e": " "}
    text, entries = b"", []
    for key, value in rules.items():
        entries.append((key.encode(), len(text)))
        text += value.encode() + b"\0"
    trie = double_array(entries)
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + text).decode()


def unigram(size=360, specials=("<pad>", "</s>", "<unk>"), **parts):
    return trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=size, show_progress=False, special_tokens=list(specials),
                                                             unk_token="<unk>"), **parts)


def t5():
    t = unigram(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="always"))
    data = json.loads(t.to_str())
    data["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": charsmap()},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]}
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return t


def unigram_bytes():
    t = unigram(pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]))
    data = json.loads(t.to_str())
    data["model"]["byte_fallback"] = True
    data["model"]["vocab"] += [[f"<0x{b:02X}>", -15.0] for b in range(256)]
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}, {"type": "Lowercase"}]}
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse(), decoders.Strip(" ", 2, 1)])
    return t


def word_level(**parts):
    t = trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(special_tokens=["<unk>", "<s>"], show_progress=False), **parts)
    return t


def subword_prefix():
    t = trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), trainers.BpeTrainer(
        vocab_size=300, show_progress=False, special_tokens=["<unk>"], continuing_subword_prefix="##"),
        pre_tokenizer=pre_tokenizers.Whitespace())
    t.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    return t


def word_suffix():
    t = trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True), trainers.BpeTrainer(
        vocab_size=300, show_progress=False, special_tokens=["<unk>"], end_of_word_suffix="</w>"),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "), pre_tokenizers.Punctuation("contiguous")]))
    t.decoder = decoders.BPEDecoder()
    return t


def ctc():
    t = word_level(normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace(" ", "|")]),
                   pre_tokenizer=pre_tokenizers.Split("", "isolated"))
    t.add_special_tokens(["<pad>"])
    t.decoder = decoders.CTC(pad_token="<pad>", word_delimiter_token="|")
    return t


def added_zoo():
    t = word_level(normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.Strip()]),
                   pre_tokenizer=pre_tokenizers.Whitespace())
    t.add_tokens([AddedToken("word", single_word=True), AddedToken("Lowercased", normalized=True, lstrip=True),
                  AddedToken("ŻÓŁW", normalized=True, rstrip=True), AddedToken("<image>", lstrip=True, rstrip=True, normalized=False),
                  AddedToken("<im", normalized=False), AddedToken("한", single_word=True, normalized=False), AddedToken("dog"),
                  AddedToken("dog on", normalized=False), AddedToken("  ", normalized=False)])
    t.add_special_tokens([AddedToken("[CLS]", single_word=True, lstrip=True), AddedToken("<mask>", rstrip=True, normalized=True)])
    return t


def replace_decoder():
    t = word_level(pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.FixedLength(3)]),
                   normalizer=normalizers.Sequence([normalizers.Replace(Regex("[aeiou]"), "<$0>"), normalizers.Replace("", "·")]))
    t.decoder = decoders.Sequence([decoders.Replace(Regex("[0-9]+"), "#"), decoders.Fuse(), decoders.Strip("h", 3, 2)])
    return t


def byte_normalizer():
    t = trained(**byte_bpe(), normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.ByteLevel()]),
                pre_tokenizer=pre_tokenizers.Split(Regex("Ġ+"), "merged_with_next"))
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<s>"])
    t.add_tokens([AddedToken("Ünï", normalized=True)])
    return t


def split_zoo(behavior, invert):
    return word_level(pre_tokenizer=pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("[aeiou]+|\\s"), behavior, invert=invert), pre_tokenizers.Punctuation(behavior),
        pre_tokenizers.Digits(individual_digits=invert), pre_tokenizers.UnicodeScripts(),
        pre_tokenizers.Metaspace(prepend_scheme="first" if invert else "never")]))


BUILDERS = dict(
    gpt2=gpt2, qwen2=qwen2, llama3=llama3, opt=opt, llama=llama, llama_metaspace=llama_metaspace, gemma=gemma, no_bytes=no_bytes, clip=clip,
    bert=bert, bert_cased=lambda: bert(False, False), t5=t5, unigram_bytes=unigram_bytes, subword_prefix=subword_prefix,
    word_suffix=word_suffix, ctc=ctc, added_zoo=added_zoo, replace_decoder=replace_decoder, byte_normalizer=byte_normalizer,
    split_removed=lambda: split_zoo("removed", False), split_isolated=lambda: split_zoo("isolated", True),
    split_previous=lambda: split_zoo("merged_with_previous", False), split_next=lambda: split_zoo("merged_with_next", True),
    split_contiguous=lambda: split_zoo("contiguous", False))

ALWAYS = ["", " ", "  ", "\n", "\x00", "a", "Hello, world!", " leading and trailing ", "안녕하세요", "👨‍👩‍👧‍👦", "e\u0301\u0316", "<s>", "<s> hi</s>",
          "a" * 300, " " * 200, "가" * 100, "x y " * 60, "1" * 50 + "!" * 50, "<image>" * 20, "\u0301" * 30]


def cases(tokenizer, count, rng):
    texts = ALWAYS + [random_text(rng) for _ in range(count)]
    encode, decode = [], []
    for text in texts:
        special, plain = tokenizer.encode(text).ids, tokenizer.encode(text, add_special_tokens=False).ids
        encode.append([text, special, None if plain == special else plain])
    largest = max(tokenizer.get_vocab().values())
    for i in range(count // 2 + 5):
        ids = encode[i % len(encode)][1] if i % 3 == 0 else [rng.randrange(largest + 3) for _ in range(rng.choice([1, 2, 3, 5, 9, 17]))]
        ids = ids[:60]
        try:
            text, skipped = tokenizer.decode(ids, skip_special_tokens=False), tokenizer.decode(ids, skip_special_tokens=True)
        except BaseException:  # The reference's Strip panics on tokens shorter than what it strips.
            continue
        decode.append([ids, text, None if skipped == text else skipped])
    return dict(encode=encode, decode=decode)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1] / "data" / "tokenizers")
    parser.add_argument("--also", type=pathlib.Path, nargs="*", default=[])
    options = parser.parse_args()
    for name, build in list(BUILDERS.items()) + [(p.parent.name + "_file", lambda p=p: Tokenizer.from_file(str(p))) for p in options.also]:
        rng = random.Random(f"{options.seed} {name}")
        tokenizer = build()
        # The file is what counts: reading it back may change ids.
        text = tokenizer.to_str(pretty=False)
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(text, encoding="utf-8")
        (folder / "cases.json").write_text(json.dumps(cases(tokenizer, options.cases, rng), ensure_ascii=False, separators=(",", ":")),
                                           encoding="utf-8")


main()

"""The vocabulary of rx-small and its tokenizer.json: single characters, bytes for everything else, and the tags of the answer.

A BPE model without merges gives one token a character, and byte fallback makes every text round-trip. Characters were chosen
over longer pieces so that a name which was never seen costs no more to read than a common one.
"""
import json
import pathlib

SPECIAL = ["<|endoftext|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<none/>", "<sep/>",
        "<s_text>",
           "<s_name>", "</s_name>", "<s_dose>", "</s_dose>", "<s_per>", "</s_per>", "<s_times>", "</s_times>", "<s_days>", "</s_days>"]
PAD, EOS, VISION_START, VISION_END, IMAGE = 0, 1, 2, 3, 4
SYMBOLS = "㎎㎖㎍㎏㎝µμ·•●○■□◆◇▲△▶▷★☆※×÷±~～–—―‘’“”「」【】（）［］：，．／％①②③④⑤⑥⑦⑧⑨⑩℞№㈜℃½¼→←↑↓…₩°αβγ"
# The 2350 syllables of KS X 1001, in code order.
SYLLABLES = "".join(bytes((high, low)).decode("euc_kr") for high in range(0xB0, 0xC9) for low in range(0xA1, 0xFF))


def vocabulary():
    """{token: id}: special tags, 256 bytes, ASCII, symbols, syllables."""
    tokens = SPECIAL + [f"<0x{b:02X}>" for b in range(256)] + [chr(c) for c in range(32, 127)] + list(SYMBOLS) + list(SYLLABLES)
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


VOCAB = vocabulary()
TOKENS = list(VOCAB)


def encode_text(text):
    """Ids of plain text, equal to what tokenizer.json gives (special tags in the text are not parsed)."""
    out = []
    for char in text:
        out += [VOCAB[char]] if char in VOCAB else [VOCAB[f"<0x{b:02X}>"] for b in char.encode()]
    return out


def encode_answer(pieces):
    """Ids of an answer (texts.answer): tags stay whole, the rest is spelled."""
    return [i for piece in pieces for i in ([VOCAB[piece]] if piece in SPECIAL else encode_text(piece))]


def decode(ids):
    """Text of ids, tags included."""
    out, pending = [], bytearray()
    for i in list(ids) + [None]:
        token = TOKENS[i] if i is not None else ""
        if len(token) == 6 and token.startswith("<0x"):
            pending.append(int(token[3:5], 16))
            continue
        if pending:
            out.append(pending.decode(errors="replace"))
            pending = bytearray()
        out.append(token)
    return "".join(out)


def write(folder):
    """Write tokenizer.json and tokenizer_config.json in the hub's layout."""
    folder = pathlib.Path(folder)
    added = [dict(id=VOCAB[t], content=t, single_word=False, lstrip=False, rstrip=False, normalized=False,
            special=t.startswith("<|")) for t in SPECIAL]
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
                 "post_processor": None, "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                           "fuse_unk": False, "byte_fallback": True, "ignore_merges": False, "vocab": VOCAB, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    template = ("{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
                "<|vision_start|><|image_pad|><|vision_end|>{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024, "pad_token": SPECIAL[PAD], "eos_token": SPECIAL[EOS],
              "clean_up_tokenization_spaces": False, "additional_special_tokens": SPECIAL[2:6], "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

"""Results as Python values."""
import json
from dataclasses import dataclass

from . import _raw
from ._lib import call, check, ffi, lib, new_struct, text_of
from ._tensor import Tensor

_FINISH = {_raw.FINISH_STOP_TOKEN: "stop_token", _raw.FINISH_STOP_STRING: "stop_string", _raw.FINISH_LENGTH: "length"}


@dataclass(frozen=True)
class Token:
    id: int
    log_probability: float
    piece: str


@dataclass(frozen=True)
class Answer:
    text: str
    image: int
    region: tuple
    finish_reason: str
    confidence: float
    tokens: tuple


@dataclass(frozen=True)
class Usage:
    visual_tokens: int
    merged_tokens: int
    pruned_tokens: int
    text_tokens: int
    generated_tokens: int
    reused_tokens: int
    kv_bytes: int


def _checked(status):
    """Of functions without an error object; they fail only when this package calls them wrongly."""
    check(status, ffi.new("vlm_error**"))


class Result:
    """One result; all of it is read when it is asked for."""

    def __init__(self, pointer):
        self._result = ffi.gc(pointer, lib.vlm_result_destroy)

    @property
    def text(self):
        return text_of(lib.vlm_result_text(self._result))

    @property
    def json(self):
        return text_of(lib.vlm_result_json(self._result))

    def to_dict(self):
        return json.loads(self.json)

    @property
    def answers(self):
        found = []
        for i in range(lib.vlm_result_answer_count(self._result)):
            answer = new_struct("vlm_result_answer")
            _checked(lib.vlm_result_answer_at(self._result, i, answer))
            tokens = tuple(self._token(answer.token_begin + t) for t in range(answer.token_count))
            found.append(Answer(text_of(answer.text), answer.image, tuple(answer.region), _FINISH.get(answer.finish_reason, "none"),
                                answer.confidence, tokens))
        return found

    def _token(self, index):
        token = new_struct("vlm_result_token")
        _checked(lib.vlm_result_token_at(self._result, index, token))
        return Token(token.id, token.log_probability, text_of(token.piece))

    @property
    def usage(self):
        usage = new_struct("vlm_result_usage")
        _checked(lib.vlm_result_get_usage(self._result, usage))
        return Usage(*(getattr(usage, name) for name in Usage.__dataclass_fields__))

    def tensor(self, name, index=0):
        tensor = ffi.new("vlm_managed_tensor**")
        call(lib.vlm_result_tensor, self._result, name.encode(), index, tensor)
        return Tensor(tensor[0])

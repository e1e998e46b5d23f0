"""Reads the C headers of the application API.

The headers are written in a narrow subset of C (fixed-width types, no macros besides constants, one declarator per declaration), so a
small parser is enough. It refuses whatever it does not know: a declaration that was silently left out of a binding would be worse than
no binding.
"""
import re
from dataclasses import dataclass, field


@dataclass
class Type:
    """A C type: `base` with `constant` for the base, and one entry per `*`, true where that pointer itself is const."""
    base: str
    constant: bool = False
    pointers: list = field(default_factory=list)
    length: int = 0  # of an array; 0: none


@dataclass
class Variable:
    type: object  # Type or Function
    name: str
    doc: str = ""


@dataclass
class Function:
    name: str
    result: Type
    parameters: list
    doc: str = ""


@dataclass
class Struct:
    name: str
    members: list
    doc: str = ""


@dataclass
class Api:
    constants: list = field(default_factory=list)  # (name, value, doc)
    opaque: list = field(default_factory=list)     # (name, doc)
    structs: list = field(default_factory=list)
    callbacks: list = field(default_factory=list)  # Function
    functions: list = field(default_factory=list)  # Function


BASES = {"void", "char", "float", "double", "int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t"}


def clean(comment):
    """The text of a comment without stars and line breaks."""
    text = re.sub(r"^/\*\*<?|\*/$", "", comment.strip())
    return " ".join(re.sub(r"^\s*\*", "", line).strip() for line in text.splitlines()).strip()


class Reader:
    def __init__(self):
        self.api = Api()
        self.known = set(BASES) | {"vlm_status"}

    def type_of(self, text, where):
        """`const char* const*` and the like."""
        tokens = re.findall(r"\w+|\*", text)
        if tokens and tokens[0] == "struct":
            tokens = tokens[1:]
        constant = bool(tokens) and tokens[0] == "const"
        if constant:
            tokens = tokens[1:]
        if not tokens or tokens[0] not in self.known:
            raise ValueError(f"{where}: unknown type '{text.strip()}'")
        kind = Type(tokens[0], constant)
        for token in tokens[1:]:
            if token == "*":
                kind.pointers.append(False)
            elif token == "const" and kind.pointers:
                kind.pointers[-1] = True
            else:
                raise ValueError(f"{where}: cannot read the type '{text.strip()}'")
        return kind

    def variable(self, text, doc, where):
        pointer = re.fullmatch(r"\s*(.+?)\(\*(\w+)\)\s*\((.*)\)\s*", text, re.S)
        if pointer:
            result, name, parameters = pointer.groups()
            return Variable(Function(name, self.type_of(result, where), self.parameters(parameters, where)), name, doc)
        match = re.fullmatch(r"\s*(.+?)(\w+)\s*(?:\[(\d+)\])?\s*", text, re.S)
        if not match:
            raise ValueError(f"{where}: cannot read '{text.strip()}'")
        kind = self.type_of(match[1], where)
        kind.length = int(match[3] or 0)
        return Variable(kind, match[2], doc)

    def parameters(self, text, where):
        return [] if text.strip() == "void" else [self.variable(part, "", where) for part in text.split(",")]

    def members(self, body, where):
        found, doc_of_next, position = [], "", 0
        pattern = re.compile(r"\s*(?:(/\*\*(?!<).*?\*/)|([^;/]+);(?:[ \t]*(?:\n[ \t]*)?(/\*\*<.*?\*/))?)", re.S)
        while body[position:].strip():
            match = pattern.match(body, position)
            if not match:
                raise ValueError(f"{where}: cannot read '{body[position:].strip()[:60]}'")
            if match[1]:
                doc_of_next = clean(match[1])
            else:
                found.append(self.variable(match[2], clean(match[3]) if match[3] else doc_of_next, where))
                doc_of_next = ""
            position = match.end()
        return found

    def read(self, text, where, only=None):
        """Adds a header. `only`: prefix of the constants to take, and nothing else."""
        text = re.sub(r"^#(if|ifdef|ifndef) .*?(VLM_H|__cplusplus).*?$\n", "", text, flags=re.M)
        text = text.replace("\\\n", " ")
        for name, value, doc in re.findall(r'^#define (VLM_\w+)[ \t]+(\w+|"[^"\n]*")[ \t]*(/\*\*<.*?\*/)?', text, re.M | re.S):
            if only is None or name.startswith(only):
                self.api.constants.append((name, value, clean(doc) if doc else ""))
        if only is not None:
            return
        # The macro for exports stands alone between #if and #endif.
        text = re.sub(r"^#if defined\(_WIN32\).*?^#endif", "", text, flags=re.M | re.S)
        text = re.sub(r'extern "C" \{|^\}$', "", text, flags=re.M)
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        declaration = re.compile(
            r"\s*(?:(?P<plain>/\*(?!\*).*?\*/)|(?P<doc>/\*\*.*?\*/)"
            r"|typedef struct (?P<struct>\w+) \{(?P<body>.*?)\n\} (?P=struct);"
            r"|typedef struct (?P<opaque>\w+) (?P=opaque);[ \t]*(?P<behind>/\*\*<.*?\*/)?"
            r"|typedef int32_t vlm_status;"
            r"|typedef (?P<result>[^;(]+)\(\*(?P<callback>\w+)\)\((?P<inputs>[^;]*)\);"
            r"|VLM_EXPORT (?P<returns>[^;(]+?)(?P<function>\w+)\((?P<arguments>[^;]*)\);)", re.S)
        position, doc = 0, ""
        while text[position:].strip():
            match = declaration.match(text, position)
            if not match:
                raise ValueError(f"{where}: cannot read '{text[position:].strip()[:80]}'")
            position = match.end()
            if match["doc"]:
                doc = clean(match["doc"])
                continue
            if match["struct"]:
                self.known.add(match["struct"])
                self.api.structs.append(Struct(match["struct"], self.members(match["body"], where), doc))
            elif match["opaque"]:
                self.known.add(match["opaque"])
                self.api.opaque.append((match["opaque"], clean(match["behind"] or "")))
            elif match["callback"]:
                self.known.add(match["callback"])
                self.api.callbacks.append(Function(match["callback"], self.type_of(match["result"], where),
                                                   self.parameters(match["inputs"], where), doc))
            elif match["function"]:
                self.api.functions.append(Function(match["function"], self.type_of(match["returns"], where),
                                                   self.parameters(match["arguments"], where), doc))
            doc = ""


def read_api(folder):
    """The application API from the folder of the headers (abi/vlm)."""
    reader = Reader()
    for name in ("version", "status", "tensor", "host"):
        reader.read((folder / f"{name}.h").read_text(encoding="utf-8"), f"{name}.h")
    reader.read((folder / "context.h").read_text(encoding="utf-8"), "context.h", only="VLM_LOG_")
    reader.api.constants = [c for c in reader.api.constants if c[0] != "VLM_EXPORT"]
    return reader.api

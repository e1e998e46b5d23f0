"""Writes the declarations for cffi (ABI mode) and the constants."""
from .headers import Function


def declare(kind, name):
    if isinstance(kind, Function):
        return f"{declare(kind.result, '')}(*{name})({arguments(kind.parameters)})"
    text = ("const " if kind.constant else "") + kind.base
    for constant in kind.pointers:
        text += "*" + (" const" if constant else "")
    return (f"{text} {name}" if name else text) + (f"[{kind.length}]" if kind.length else "")


def arguments(parameters):
    return ", ".join(declare(p.type, p.name) for p in parameters) or "void"


def write(api):
    lines = ['"""Declarations of vlm/host.h for cffi. Written by bindings/generate.py; do not edit."""', "", 'CDEF = """',
             "typedef int32_t vlm_status;"]
    # A callback may be a member of a struct, and a struct a parameter of a callback: both are named before they are described.
    lines += [f"typedef struct {name} {name};" for name, _ in api.opaque]
    lines += [f"typedef struct {struct.name} {struct.name};" for struct in api.structs]
    lines += [f"typedef {declare(f.result, '')} (*{f.name})({arguments(f.parameters)});" for f in api.callbacks]
    for struct in api.structs:
        lines.append(f"struct {struct.name} {{")
        lines += [f"    {declare(member.type, member.name)};" for member in struct.members]
        lines.append("};")
    lines += [f"{declare(f.result, '')} {f.name}({arguments(f.parameters)});" for f in api.functions]
    lines += ['"""', ""]
    for name, value, _ in api.constants:
        lines.append(f"{name[4:]} = {value.rstrip('u')}")
    return "\n".join(lines) + "\n"

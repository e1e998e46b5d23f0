"""Writes the crate vlm-sys: declarations with C layout, and an example that prints their layout."""
import re

from .headers import Function

BASES = {"void": "c_void", "char": "c_char", "float": "f32", "double": "f64", "int8_t": "i8", "uint8_t": "u8", "int16_t": "i16",
         "uint16_t": "u16", "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64", "uint64_t": "u64"}


def name_of(name):
    return "r#type" if name == "type" else name


def kind_of(kind):
    if isinstance(kind, Function):
        return f"Option<{pointer(kind)}>"
    text = BASES.get(kind.base, kind.base)
    constant = kind.constant
    for next_constant in kind.pointers:
        text = ("*const " if constant else "*mut ") + text
        constant = next_constant
    return f"[{text}; {kind.length}]" if kind.length else text


def signature(function):
    inputs = ", ".join(f"{name_of(p.name)}: {kind_of(p.type)}" for p in function.parameters)
    returns = kind_of(function.result)
    return f"({inputs})" + ("" if returns == "c_void" else f" -> {returns}")


def pointer(function):
    return 'unsafe extern "C" fn' + signature(function)


def docs(text, indent=""):
    """A comment of C as rustdoc reads it: outside of code, brackets would be links and angles would be HTML."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\[\]<>])", r"\\\1", part) for part in parts[::2]]
    return [f"{indent}/// {'`'.join(parts)}"] if text else []


def write(api):
    lines = ["// Declarations of vlm/host.h. Written by bindings/generate.py; do not edit.", "",
             "use std::os::raw::{c_char, c_void};", "", "/// One of the `VLM_STATUS_*`.", "pub type vlm_status = i32;", ""]
    for name, value, doc in api.constants:
        lines += docs(doc)
        if value.startswith('"'):
            lines.append(f"pub const {name}: &str = {value};")
        else:
            kind = "u32" if value.endswith("u") else "i32"
            lines.append(f"pub const {name}: {kind} = {value.rstrip('u')};")
    for name, doc in api.opaque:
        lines += ["", *docs(doc), "#[repr(C)]", f"pub struct {name} {{", "    _private: [u8; 0],",
                  "    _not_send: std::marker::PhantomData<*mut u8>,", "}"]
    for function in api.callbacks:
        lines += ["", *docs(function.doc), f"pub type {function.name} = Option<{pointer(function)}>;"]
    for struct in api.structs:
        lines += ["", *docs(struct.doc), "#[repr(C)]", "#[derive(Clone, Copy)]", f"pub struct {struct.name} {{"]
        for member in struct.members:
            lines += docs(member.doc, "    ") + [f"    pub {name_of(member.name)}: {kind_of(member.type)},"]
        lines.append("}")
    lines += ["", 'extern "C" {']
    for function in api.functions:
        lines += docs(function.doc, "    ") + [f"    pub fn {function.name}{signature(function)};"]
    return "\n".join(lines + ["}", ""])


def write_layout(api):
    """`offset_of!` is younger than the compiler that this must build with, so addresses inside an uninitialised value are taken."""
    lines = ["//! Prints size and offsets of every struct as JSON, to be compared with what C says. Written by bindings/generate.py.", "",
             "use std::mem::{size_of, MaybeUninit};", "use std::ptr::addr_of;", "use vlm_sys::*;", "", "macro_rules! offset {",
             "    ($name:ident, $member:ident) => {{", "        let value = MaybeUninit::<$name>::uninit();",
             "        let base = value.as_ptr();", "        // Only the address is taken; nothing is read.",
             "        unsafe { addr_of!((*base).$member) as usize - base as usize }", "    }};", "}", "", "fn main() {",
             "    println!(\"{{\");"]
    for i, struct in enumerate(api.structs):
        lines.append(f"    print!(\"  \\\"{struct.name}\\\": {{{{\\\"sizeof\\\": {{}}\", size_of::<{struct.name}>());")
        for member in struct.members:
            lines.append(f"    print!(\", \\\"{member.name}\\\": {{}}\", offset!({struct.name}, {name_of(member.name)}));")
        lines.append(f"    println!(\"}}}}{',' if i + 1 < len(api.structs) else ''}\");")
    return "\n".join(lines + ["    println!(\"}}\");", "}", ""])

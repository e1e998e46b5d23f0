"""Writes Native.cs: structs with C layout, delegates for callbacks, and the imported functions.

Pointers are IntPtr in structs. As arguments they take the form that needs no unsafe code: `ref` for structs, `out` for what is
returned, byte[] for UTF-8 text that ends with a NUL, arrays for arrays.
"""
from xml.sax.saxutils import escape

from .headers import Function

BASES = {"void": "void", "char": "byte", "float": "float", "double": "double", "int8_t": "sbyte", "uint8_t": "byte", "int16_t": "short",
         "uint16_t": "ushort", "int32_t": "int", "uint32_t": "uint", "int64_t": "long", "uint64_t": "ulong", "vlm_status": "int"}
KEYWORDS = {"base", "object", "string", "params", "ref", "out"}


def name_of(name):
    return "@" + name if name in KEYWORDS else name


def docs(text, indent):
    return [f"{indent}/// <summary>{escape(text)}</summary>"] if text else []


class Writer:
    def __init__(self, api):
        self.api = api
        self.structs = {s.name for s in api.structs}
        self.callbacks = {f.name for f in api.callbacks}

    def member(self, kind):
        if isinstance(kind, Function) or kind.pointers or kind.base in self.callbacks:
            return "IntPtr"
        return BASES.get(kind.base, kind.base)

    def argument(self, parameter, function):
        kind, name = parameter.type, name_of(parameter.name)
        if isinstance(kind, Function) or kind.base in self.callbacks:
            return f"{kind.base} {name}"
        if not kind.pointers:
            return f"{BASES.get(kind.base, kind.base)} {name}"
        if len(kind.pointers) == 2:
            if kind.constant or any(p.name == "count" for p in function.parameters) and kind.base == "vlm_result":
                return f"[In, Out] IntPtr[] {name}"
            return f"out IntPtr {name}"
        if kind.base == "char" and kind.constant:
            return f"byte[] {name}"
        if kind.base in self.structs and kind.base != "vlm_managed_tensor":
            return f"ref {kind.base} {name}"
        return f"IntPtr {name}"

    def returned(self, kind):
        return "IntPtr" if kind.pointers else BASES.get(kind.base, kind.base)

    def write(self):
        lines = ["// Declarations of vlm/host.h. Written by bindings/generate.py; do not edit.", "using System;",
                 "using System.Runtime.InteropServices;", "", "namespace Vlm.Native", "{"]
        for function in self.api.callbacks:
            inputs = ", ".join(f"{'IntPtr' if p.type.pointers else self.member(p.type)} {name_of(p.name)}" for p in function.parameters)
            lines += docs(function.doc, "    ") + ["    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]",
                                                   f"    public delegate {self.returned(function.result)} {function.name}({inputs});", ""]
        for struct in self.api.structs:
            lines += docs(struct.doc, "    ") + ["    [StructLayout(LayoutKind.Sequential)]", f"    public struct {struct.name}", "    {"]
            for member in struct.members:
                lines += docs(member.doc, "        ")
                length = 0 if isinstance(member.type, Function) else member.type.length
                if length:
                    lines.append(f"        [MarshalAs(UnmanagedType.ByValArray, SizeConst = {length})]")
                lines.append(f"        public {self.member(member.type)}{'[]' if length else ''} {name_of(member.name)};")
            lines += ["    }", ""]
        lines += ["    /// <summary>Functions and constants.</summary>", "    public static class Api", "    {",
                  '        const string Library = "libvlmhost.so.1";', ""]
        for name, value, doc in self.api.constants:
            kind = "string" if value.startswith('"') else "uint" if value.endswith("u") else "int"
            lines += docs(doc, "        ") + [f"        public const {kind} {name} = {value};"]
        for function in self.api.functions:
            inputs = ", ".join(self.argument(p, function) for p in function.parameters)
            lines += ["", *docs(function.doc, "        "), "        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]",
                      f"        public static extern {self.returned(function.result)} {function.name}({inputs});"]
        return "\n".join(lines + ["    }", "}", ""])


def write(api):
    return Writer(api).write()

"""Writes a C program that prints the layout of every struct as JSON: what the other languages are compared with."""


def write_layout(api):
    lines = ["/** @file layout.c", " *  Prints size and offsets of every struct of the application API as JSON. Written by bindings/generate.py.",
             " */", "#include <stddef.h>", "#include <stdio.h>", "#include <vlm/host.h>", "",
             "#define SIZE(type) printf(\"  \\\"%s\\\": {\\\"sizeof\\\": %zu\", #type, sizeof(type))",
             "#define MEMBER(type, name) printf(\", \\\"%s\\\": %zu\", #name, offsetof(type, name))", "", "int main(void) {",
             "    printf(\"{\\n\");"]
    for i, struct in enumerate(api.structs):
        lines.append(f"    SIZE({struct.name});")
        lines += [f"    MEMBER({struct.name}, {member.name});" for member in struct.members]
        lines.append(f"    printf(\"}}{',' if i + 1 < len(api.structs) else ''}\\n\");")
    return "\n".join(lines + ["    printf(\"}\\n\");", "    return 0;", "}", ""])

/** @file version.h
 *  The version of this ABI and the two rules that every struct here follows.
 *
 *  1. Every struct begins with `uint32_t struct_size; uint32_t abi_version;`. Whoever fills a struct writes `sizeof` it
 * and VLM_ABI_VERSION of the headers it was compiled with. Whoever reads one takes `min(struct_size, own sizeof)` and
 * treats the members behind that as absent (zero). Sizes or versions of 0, and sizes above VLM_STRUCT_SIZE_MAX, are
 * refused.
 *  2. The ABI grows by members appended to structs, by slots appended to tables and by new interface ids. Nothing that
 * is published ever changes its place, type or meaning.
 *
 *  Rationale: a version field whose check was added "later" could never be added in other projects, because shipped
 * plugins had left it 0. So zero is refused from the first release on.
 */
#ifndef VLM_VERSION_H_
#define VLM_VERSION_H_
#include <stdint.h>

/** The ABI version of these headers. One number: it counts up with every release that appends something. */
#define VLM_ABI_VERSION 1u
/** The oldest version that today's host still serves. */
#define VLM_ABI_VERSION_MIN 1u
/** A struct_size beyond this is a wild pointer or a foreign struct, not a newer version. */
#define VLM_STRUCT_SIZE_MAX 65536u

/** Marks the one symbol that a plugin exports, and the functions that libvlmhost exports. */
#if defined(_WIN32)
#define VLM_EXPORT __declspec(dllexport)
#else
#define VLM_EXPORT __attribute__((visibility("default")))
#endif

#endif /* VLM_VERSION_H_ */

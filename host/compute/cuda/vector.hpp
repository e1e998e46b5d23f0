/** @file vector.hpp
 *  Loads and stores of 16 bytes at once, which is how a GPU reaches the speed of its memory.
 */
#pragma once
#include "host/compute/cuda/layout.hpp"
#if !defined(__CUDACC__)
#include <stdexcept>
#endif

namespace vlm::cuda {

/** 16 bytes. */
struct alignas(16) Vector {
    uint32_t words[4];
};

#if !defined(__CUDACC__)
/** What a GPU does about addresses that are not aligned. @throws std::logic_error. */
inline void expect_aligned(const void* address) {
    if (reinterpret_cast<uintptr_t>(address) % 16 != 0)
        throw std::logic_error("a kernel reaches for 16 bytes at an address that is not aligned to them");
}
#endif

/** `from` is aligned to 16 bytes. */
VLM_HD Vector load_vector(const void* from) {
#if defined(__CUDA_ARCH__)
    const uint4 loaded = *static_cast<const uint4*>(from);
    return {{loaded.x, loaded.y, loaded.z, loaded.w}};
#else
#if !defined(__CUDACC__)
    expect_aligned(from);
#endif
    Vector vector;
    std::memcpy(&vector, from, sizeof(vector));
    return vector;
#endif
}

/** The same for what is read once: it does not push other things out of the cache. */
VLM_HD Vector load_once(const void* from) {
#if defined(__CUDA_ARCH__)
    const uint4 loaded = __ldcs(static_cast<const uint4*>(from));
    return {{loaded.x, loaded.y, loaded.z, loaded.w}};
#else
    return load_vector(from);
#endif
}

/** `to` is aligned to 16 bytes. */
VLM_HD void store_vector(void* to, const Vector& v) {
#if defined(__CUDA_ARCH__)
    *static_cast<uint4*>(to) = make_uint4(v.words[0], v.words[1], v.words[2], v.words[3]);
#else
#if !defined(__CUDACC__)
    expect_aligned(to);
#endif
    std::memcpy(to, &v, sizeof(v));
#endif
}

/** Copies a vector, or an element. */
VLM_HD void copy_unit(const Vector* from, Vector* to) {
    store_vector(to, load_vector(from));
}
template <class T>
VLM_HD void copy_unit(const T* from, T* to) {
    *to = *from;
}

/** Vectors that hold eight elements. */
template <class T>
inline constexpr int kVectorsOf8 = static_cast<int>(sizeof(T)) * 8 / 16;

/** The eight elements of `kVectorsOf8<T>` vectors as floats. */
VLM_HD void expand(const Vector* v, float* to, Bf16) {
    VLM_UNROLL
    for (int i = 0; i < 4; ++i) {
        to[2 * i] = float_from_bits(v->words[i] << 16);
        to[2 * i + 1] = float_from_bits(v->words[i] & 0xFFFF0000u);
    }
}
VLM_HD void expand(const Vector* v, float* to, F16) {
    VLM_UNROLL
    for (int i = 0; i < 4; ++i) {
        to[2 * i] = to_float(F16{static_cast<uint16_t>(v->words[i] & 0xFFFFu)});
        to[2 * i + 1] = to_float(F16{static_cast<uint16_t>(v->words[i] >> 16)});
    }
}
VLM_HD void expand(const Vector* v, float* to, float) {
    VLM_UNROLL
    for (int i = 0; i < 4; ++i) {
        to[i] = float_from_bits(v[0].words[i]);
        to[4 + i] = float_from_bits(v[1].words[i]);
    }
}

/** Eight elements, aligned to 16 bytes. */
template <class T>
VLM_HD void load8(const T* from, float* to) {
    Vector v[kVectorsOf8<T>];
    VLM_UNROLL
    for (int i = 0; i < kVectorsOf8<T>; ++i) v[i] = load_vector(reinterpret_cast<const char*>(from) + 16 * i);
    expand(v, to, T{});
}
VLM_HD void store8(Bf16* to, const float* from) {
    store_vector(to, {{pack_pair(from[0], from[1]), pack_pair(from[2], from[3]), pack_pair(from[4], from[5]),
                       pack_pair(from[6], from[7])}});
}
VLM_HD void store8(float* to, const float* from) {
    VLM_UNROLL
    for (int i = 0; i < 2; ++i)
        store_vector(to + 4 * i, {{bits_of_float(from[4 * i]), bits_of_float(from[4 * i + 1]),
                                   bits_of_float(from[4 * i + 2]), bits_of_float(from[4 * i + 3])}});
}

/** Whether memory, and what lies a multiple of `stride` elements behind it, can be read in vectors. */
inline bool in_vectors(const void* memory, int64_t stride, int64_t element_bytes) {
    return reinterpret_cast<uintptr_t>(memory) % 16 == 0 && stride * element_bytes % 16 == 0;
}
/** Whether rows can be read eight elements at a time: all begin on 16 bytes and hold whole eights. */
inline bool in_vectors(const RowLayout& rows, int64_t element_bytes) {
    return rows.columns % 8 == 0 && aligned_rows(rows, element_bytes);
}

/** Elements k … k + 7 of a row of `columns`, zeros behind its end; k is a multiple of 8.
 *  @param pieces  Whether the row begins on 16 bytes. */
template <class T>
VLM_HD void load8_of(const T* row, int64_t k, int64_t columns, bool pieces, float* to) {
    if (pieces && k + 8 <= columns) {
        load8(row + k, to);
        return;
    }
    VLM_UNROLL
    for (int i = 0; i < 8; ++i) to[i] = k + i < columns ? to_float(row[k + i]) : 0.0f;
}
/** Writes them there; nothing behind the row's end. */
template <class T>
VLM_HD void store8_of(T* row, int64_t k, int64_t columns, bool pieces, const float* from) {
    if (pieces && k + 8 <= columns) {
        store8(row + k, from);
        return;
    }
    VLM_UNROLL
    for (int i = 0; i < 8; ++i)
        if (k + i < columns) from_float(from[i], row[k + i]);
}

}  // namespace vlm::cuda

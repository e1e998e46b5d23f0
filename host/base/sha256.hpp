/** @file sha256.hpp
 *  SHA-256 as hexadecimal text: the name that files, pictures and settings go by in caches, audit records and
 * signatures.
 */
#pragma once
#include <sodium.h>

#include <span>
#include <string>
#include <string_view>

namespace vlm {

/** A hash that grows piece by piece; the arithmetic is libsodium's. */
class Sha256 {
  public:
    Sha256() { crypto_hash_sha256_init(&state_); }

    /** Takes the memory of a contiguous range of plain values. */
    template <typename T>
    Sha256& add(std::span<const T> values) {
        const auto bytes = std::as_bytes(values);
        crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
        return *this;
    }
    Sha256& add(std::string_view text) { return add(std::span<const char>(text)); }

    /** 64 hexadecimal digits, lower case. Ends the hash. */
    std::string hex();

  private:
    crypto_hash_sha256_state state_;
};

}  // namespace vlm

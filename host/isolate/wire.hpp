/** @file wire.hpp
 *  Arguments and results of calls as bytes.
 *
 *  Both ends are built from the same tree and run on the same machine (the handshake checks the first), so numbers go
 * as they lie in memory. What comes from a plugin's process is still read with a check at every step: that process may
 * be doing anything.
 */
#pragma once
#include <vlm/layout.h>
#include <vlm/tensor.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "host/isolate/arena.hpp"

namespace vlm::isolate {

/** Bytes of a compact tensor. @throws Error RESOURCE_EXHAUSTED when no machine could hold it. */
uint64_t byte_size(std::span<const int64_t> shape, uint32_t dtype);

/** Appends. */
class Writer {
  public:
    template <typename T>
    void put(const T& value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    }
    void text(std::string_view value) {
        put<uint64_t>(value.size());
        bytes_.append(value);
    }
    /** A layout that may be NULL. */
    void layout(const vlm_token_layout* value);
    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

/** A layout with the memory that its pointers need. */
struct OwnedLayout {
    vlm_token_layout abi{};
    std::vector<vlm_token_block> blocks;
    std::vector<const vlm_token_block*> pointers;
};

/** Takes in the order of writing. @throws Error DATA_LOSS behind the end. */
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    template <typename T>
    T get() {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        T value{};
        std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
        return value;
    }
    std::string_view text() { return take(get<uint64_t>()); }
    /** False when it was NULL. */
    bool layout(OwnedLayout& value);
    /** A number of things of which each takes at least `bytes_each` bytes here. */
    uint32_t count(uint64_t bytes_each);

  private:
    std::string_view take(uint64_t size);
    std::string_view rest_;
};

/** Puts tensors into a call. Those outside the arena are brought into it for the time of the call, and counted. */
class TensorSender {
  public:
    explicit TensorSender(SharedArena& arena) : arena_(arena) {}
    /** A tensor that the plugin reads; may be NULL. @throws Error INVALID_ARGUMENT for one that is not on the CPU. */
    void input(Writer& writer, const vlm_tensor* tensor) { put(writer, tensor, false); }
    /** A tensor that the plugin writes; may be NULL. @throws Error INVALID_ARGUMENT for one that is not compact, or not
     * on the CPU. */
    void output(Writer& writer, vlm_tensor* tensor) { put(writer, tensor, true); }
    /** Bytes that the plugin reads; always copied. Returns their place. */
    uint64_t bytes(const void* data, uint64_t size);
    /** After a call, however it ended: whether nobody wrote just outside one of these tensors. */
    bool check_guards();
    /** After a call that succeeded: brings the outputs back to where the caller wants them. */
    void finish();

  private:
    void put(Writer& writer, const vlm_tensor* tensor, bool written);
    struct Staged {
        std::shared_ptr<void> memory;
        void* target;  ///< NULL: an input.
        uint64_t size;
    };
    SharedArena& arena_;
    std::vector<Staged> staged_;
    std::vector<uint64_t> places_;  ///< Of all tensors of the call.
};

/** Takes tensors out of a call, in the plugin's process. Pointers live as long as this object. */
class TensorReceiver {
  public:
    explicit TensorReceiver(const SharedMapping& memory) : memory_(memory) {}
    /** NULL where NULL was sent. @throws Error INVALID_ARGUMENT for one that does not lie in the shared memory. */
    vlm_tensor* take(Reader& reader);
    const std::byte* bytes(uint64_t place, uint64_t size) const;

  private:
    struct Taken {
        vlm_tensor tensor{};
        std::array<int64_t, VLM_MAX_DIMS> shape{};
    };
    const SharedMapping& memory_;
    std::deque<Taken> taken_;
};

}  // namespace vlm::isolate

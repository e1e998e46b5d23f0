/** @file visual.hpp
 *  Images to visual tokens: preprocess, encode, reduce, connect, reduce.
 */
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/base/trace.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/stage_devices.hpp"

namespace vlm {

/** Visual tokens by image, so that an image is encoded once per session. Keyed by a hash of the pixels. */
class VisualCache {
  public:
    std::shared_ptr<const VisualTokens> find(const std::string& key) const;
    void put(const std::string& key, std::shared_ptr<const VisualTokens> tokens);

  private:
    std::map<std::string, std::shared_ptr<const VisualTokens>> entries_;
};

/** SHA-256 of an image's size and pixels, hexadecimal. */
std::string image_key(const Image& image);

/** One run's worth of tools for the visual stages. `run` is on the backbone's device, and so are the tokens that come
 * out; encoder and connector get runs of their own where they compute elsewhere. */
struct VisualStage {
    const Pipeline& pipeline;
    Run& run;
    HookService& hooks;
    Trace& trace;
    bool in_context = true;  ///< The tokens are for the backbone: they must leave room in its context.

    /** Visual tokens of `images`; `prompt` goes to connectors that read it.
     *  @throws Error RESOURCE_EXHAUSTED before anything is computed when they do not fit into memory or context. */
    std::vector<std::shared_ptr<const VisualTokens>> encode(std::span<const NamedImage* const> images,
                                                            const std::string& prompt, VisualCache* cache);

    /** Row of each position of an image on the CPU, -1: dropped. */
    std::vector<int32_t> rows_of_positions(const TokenLayout& layout, const RowMap& map);

  private:
    static std::vector<int32_t> rows_of_positions(Run& here, const TokenLayout& layout, const RowMap& map);
    void reduce(StageRun& stage, uint32_t site, int32_t image, const TokenLayout& layout, Tensor& rows, RowMap& map,
                const Tensor& keep);
    /** `[layout.tokens]` u8 on the CPU; empty when nothing is protected. */
    Tensor protected_positions(const Image& image, const TokenLayout& layout) const;
};

}  // namespace vlm

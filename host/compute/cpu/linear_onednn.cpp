/** @file linear_onednn.cpp
 *  oneDNN's matmul, one primitive per shape of a block of work.
 *
 *  oneDNN runs single-threaded inside our pool: blocks are cut by shapes alone (linear.cpp), so results do not depend
 * on the number of threads here either, and no second team of OpenMP threads competes for the cores. Primitives are
 * kept for ever because making one compiles code; callers round rows to multiples of 16, so that there are few of them.
 *  Scratch memory is the caller's, since a primitive that owns it could serve one thread at a time.
 */
#include "host/compute/cpu/linear_onednn.hpp"

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "host/base/error.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/linear.hpp"

#if defined(VLM_HAVE_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>

// From libgomp; declared here because clang comes without omp.h.
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int threads);
#endif

namespace vlm::cpu {

namespace {

/** Fewest rows for which oneDNN on AMX is taken. Reasoned, not measured: a tile has 16 rows, and below two tiles the
 * way of the panels through memory decides, which the own kernels walk without padding rows. */
constexpr int64_t kMinRows = 32;
static_assert(kMinRows > kExactRows);

}  // namespace

DenseEngine resolve_dense_engine(DenseEngine wish, bool onednn_present) {
    if (wish == DenseEngine::automatic) {
        const char* text = std::getenv("VLM_DENSE");
        const std::string name = text != nullptr ? text : "";
        if (name == "own") {
            wish = DenseEngine::own;
        } else if (name == "onednn") {
            wish = DenseEngine::onednn;
        } else if (!name.empty() && name != "auto") {
            throw invalid_argument("environment variable VLM_DENSE: unknown engine \"" + name +
                                   "\"; expected own, onednn or auto, or leave it unset");
        }
    }
    if (wish == DenseEngine::onednn && !onednn_present)
        throw Error(VLM_STATUS_UNAVAILABLE,
                    "oneDNN is asked for (VLM_DENSE or CpuOptions::dense), but this build has none; run "
                    "tools/setup/onednn.sh and build again, or ask for \"auto\" or \"own\"");
    return wish;
}

bool onednn_multiplies(DenseEngine engine, bool onednn_present, Isa isa, Precision mode, WeightType type,
                       int64_t rows) noexcept {
    if (!onednn_present || mode != Precision::bf16 || type != WeightType::bf16 || isa < Isa::avx512_bf16) return false;
    if (engine == DenseEngine::automatic) return isa >= Isa::amx && rows >= kMinRows;
    return engine == DenseEngine::onednn && rows > 0;
}

#if defined(VLM_HAVE_ONEDNN)

namespace {

/** Keeps OpenMP on this thread to one thread, and gives an application's own setting back. */
class SingleThread {
  public:
    SingleThread() : before_(omp_get_max_threads()) {
        if (before_ != 1) omp_set_num_threads(1);
    }
    ~SingleThread() {
        if (before_ != 1) omp_set_num_threads(before_);
    }
    SingleThread(const SingleThread&) = delete;
    SingleThread& operator=(const SingleThread&) = delete;

  private:
    const int before_;
};

/** Calls `fn` and turns oneDNN's exceptions into ours. */
template <class Fn>
auto translated(const std::string& what, Fn&& fn) {
    try {
        return fn();
    } catch (const dnnl::error& error) {
        const std::string text =
            what + ": oneDNN says " + error.what() + " (status " + std::to_string(error.status) + ")";
        throw error.status == dnnl_out_of_memory ? resource_exhausted(text) : Error(VLM_STATUS_INTERNAL, text);
    }
}

const dnnl::engine& engine() {
    static const auto* instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every thread
    return *instance;
}

class Product final : public OnednnProduct {
  public:
    Product(int64_t rows, int64_t outputs, int64_t depth) {
        using dnnl::memory;
        const SingleThread guard;
        dnnl::primitive_attr attributes;
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        a_ = {{rows, depth}, memory::data_type::bf16, memory::format_tag::ab};
        panels_ = {{depth, outputs}, memory::data_type::bf16, memory::format_tag::BA16a32b2a};
        c_ = {{rows, outputs}, memory::data_type::f32, memory::format_tag::ab};
        const dnnl::matmul::primitive_desc description(engine(), a_, panels_, c_, attributes);
        workspace_ = description.scratchpad_desc();
        fast_ = std::string_view(description.impl_info_str()).substr(0, 3) != "ref";
        product_ = dnnl::matmul(description);
    }

    bool fast() const noexcept override { return fast_; }

    int64_t workspace_bytes() const noexcept override { return static_cast<int64_t>(workspace_.get_size()); }

    void multiply(const uint16_t* a, const std::byte* panels, float* c, void* workspace) const override {
        translated("matmul", [&] {
            using dnnl::memory;
            const SingleThread guard;
            dnnl::stream stream(engine());
            // The interface takes void pointers for what it only reads.
            const memory source(a_, engine(), const_cast<uint16_t*>(a));
            const memory weights(panels_, engine(), const_cast<std::byte*>(panels));
            product_.execute(stream, {{DNNL_ARG_SRC, source},
                                      {DNNL_ARG_WEIGHTS, weights},
                                      {DNNL_ARG_DST, memory(c_, engine(), c)},
                                      {DNNL_ARG_SCRATCHPAD, memory(workspace_, engine(), workspace)}});
            stream.wait();
        });
    }

  private:
    dnnl::memory::desc a_, panels_, c_, workspace_;
    dnnl::matmul product_;
    bool fast_ = false;
};

}  // namespace

const char* onednn_version() noexcept {
    static const std::string text = [] {
        const dnnl_version_t* v = dnnl_version();
        return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    }();
    return text.c_str();
}

std::shared_ptr<const OnednnProduct> onednn_product(int64_t rows, int64_t outputs, int64_t depth) {
    using Shape = std::tuple<int64_t, int64_t, int64_t>;
    static auto& mutex = *new std::mutex;
    static auto& products = *new std::map<Shape, std::shared_ptr<const OnednnProduct>>;
    const std::lock_guard lock(mutex);
    auto& place = products[{rows, outputs, depth}];
    if (place == nullptr)
        place = translated("matmul of [" + std::to_string(rows) + ", " + std::to_string(depth) + "] and " +
                               std::to_string(outputs) + " outputs",
                           [&] { return std::make_shared<const Product>(rows, outputs, depth); });
    return place;
}

#else

const char* onednn_version() noexcept {
    return nullptr;
}

std::shared_ptr<const OnednnProduct> onednn_product(int64_t, int64_t, int64_t) {
    throw Error(VLM_STATUS_UNAVAILABLE, "this build has no oneDNN");
}

#endif

}  // namespace vlm::cpu

/** @file dense_products.cpp
 *  cuBLASLt counts columns first, so what is `y = x W^T` in rows is `y^T = W x^T` to it: its A is the weight,
 * transposed, its B the activations, and a bias per output is a bias per row. Sums are f32; in f32 nothing is rounded
 * to TF32.
 *
 *  The choice of an algorithm is asked once per shape (strides and alignment belong to it) and kept on disk. A kept one
 * is checked by the library before it is used.
 */
#include "host/compute/cuda/dense_products.hpp"

#include <vlm/tensor.h>

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"

namespace vlm::cuda {

namespace {

constexpr size_t kMebibyte = size_t{1} << 20;
/** NVIDIA recommends 32 MiB from Hopper on, 4 MiB before. */
constexpr size_t kWorkspaceHopper = 32 * kMebibyte, kWorkspaceBefore = 4 * kMebibyte;

void check(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw Error(VLM_STATUS_INTERNAL, std::string("cuBLASLt, ") + what + ": " + cublasLtGetStatusString(status));
}

/** Destroys what the library has made. */
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Owned {
    Handle handle = nullptr;
    Owned() = default;
    ~Owned() {
        if (handle != nullptr) kDestroy(handle);
    }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
};
using MatrixLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/** Bytes to which an address is aligned, at most 256. */
uint32_t alignment(const void* memory) {
    const auto address = reinterpret_cast<uintptr_t>(memory) | 256u;
    return static_cast<uint32_t>(address & (~address + 1));
}

cublasLtEpilogue_t epilogue_of(const DenseProduct& p) {
    const bool bias = p.bias != nullptr;
    switch (p.epilogue) {
        case Epilogue::relu:
            return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
        case Epilogue::gelu_tanh:
            return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
        default:
            return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    }
}

const void* c_of(const DenseProduct& p) {
    return p.residual != nullptr ? p.residual : p.y;
}
int64_t c_stride(const DenseProduct& p) {
    return p.residual != nullptr ? p.residual_stride : p.y_stride;
}

std::string key_of(const DenseProduct& p) {
    std::string key;
    for (const int64_t number :
         {static_cast<int64_t>(p.dtype), p.rows, p.in, p.out, p.x_stride, p.weight_stride, c_stride(p), p.y_stride,
          int64_t{p.residual != nullptr}, static_cast<int64_t>(epilogue_of(p)), int64_t{c_of(p) == p.y},
          int64_t{alignment(p.weight)}, int64_t{alignment(p.x)}, int64_t{alignment(c_of(p))}, int64_t{alignment(p.y)}})
        key += (key.empty() ? "" : " ") + std::to_string(number);
    return p.e4m3 ? key + " e4m3" : key;
}

}  // namespace

/** All that describes one product to the library. */
struct DenseProducts::Problem {
    Description description;
    MatrixLayout a, b, c, d;

    explicit Problem(const DenseProduct& p) {
        const cudaDataType_t type = p.dtype == VLM_DTYPE_F32 ? CUDA_R_32F : CUDA_R_16BF;
        const auto rows = static_cast<uint64_t>(p.rows), in = static_cast<uint64_t>(p.in);
        const auto out = static_cast<uint64_t>(p.out);
        check(cublasLtMatmulDescCreate(&description.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
        const cublasOperation_t transposed = CUBLAS_OP_T;
        set(CUBLASLT_MATMUL_DESC_TRANSA, transposed);
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
        if (p.bias != nullptr) {
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
            set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
        }
        const cudaDataType_t factors = p.e4m3 ? CUDA_R_8F_E4M3 : type;
        check(cublasLtMatrixLayoutCreate(&a.handle, factors, in, out, p.weight_stride), "the layout of the weights");
        check(cublasLtMatrixLayoutCreate(&b.handle, factors, in, rows, p.x_stride), "the layout of the input");
        check(cublasLtMatrixLayoutCreate(&c.handle, type, out, rows, c_stride(p)), "the layout of the residual");
        check(cublasLtMatrixLayoutCreate(&d.handle, type, out, rows, p.y_stride), "the layout of the output");
    }

  private:
    template <class T>
    void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
        check(cublasLtMatmulDescSetAttribute(description.handle, attribute, &value, sizeof(value)), "a description");
    }
};

namespace {

using Problem = DenseProducts::Problem;

void set_preference(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                    uint32_t value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)), "a preference");
}

/** Whether the library has no way to do it. Some versions call strides that they have no kernel for invalid rather than
 * unsupported. */
bool refuses(cublasStatus_t status) {
    return status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE ||
           status == CUBLAS_STATUS_ARCH_MISMATCH;
}

/** Asks for the best algorithm; nothing when there is none. */
std::optional<Algorithm> ask(cublasLtHandle_t handle, const Problem& problem, const DenseProduct& p,
                             uint64_t workspace) {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "a preference");
    check(cublasLtMatmulPreferenceSetAttribute(preference.handle, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                               sizeof(workspace)),
          "a preference");
    // Parts of a sum are added in f32, not in the type of the output.
    set_preference(preference.handle, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                   CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    set_preference(preference.handle, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.weight));
    set_preference(preference.handle, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.x));
    set_preference(preference.handle, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(c_of(p)));
    set_preference(preference.handle, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.y));
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, problem.description.handle, problem.a.handle, problem.b.handle,
                                       problem.c.handle, problem.d.handle, preference.handle, 1, &result, &found);
    if (refuses(status) || (status == CUBLAS_STATUS_SUCCESS && (found == 0 || result.state != CUBLAS_STATUS_SUCCESS)))
        return std::nullopt;
    check(status, "choosing an algorithm");
    Algorithm algorithm;
    static_assert(sizeof(result.algo) == sizeof(algorithm.words));
    std::memcpy(algorithm.words.data(), &result.algo, sizeof(result.algo));
    algorithm.workspace_bytes = static_cast<int64_t>(result.workspaceSize);
    return algorithm;
}

cublasLtMatmulAlgo_t native(const Algorithm& algorithm) {
    cublasLtMatmulAlgo_t algo{};
    std::memcpy(&algo, algorithm.words.data(), sizeof(algo));
    return algo;
}

/** Whether the library still takes a kept algorithm, with no more workspace than was kept. */
bool usable(cublasLtHandle_t handle, const Problem& problem, const Algorithm& algorithm) {
    const cublasLtMatmulAlgo_t algo = native(algorithm);
    cublasLtMatmulHeuristicResult_t result{};
    const cublasStatus_t status =
        cublasLtMatmulAlgoCheck(handle, problem.description.handle, problem.a.handle, problem.b.handle,
                                problem.c.handle, problem.d.handle, &algo, &result);
    return status == CUBLAS_STATUS_SUCCESS && static_cast<int64_t>(result.workspaceSize) <= algorithm.workspace_bytes;
}

std::string file_name(const std::string& kind) {
    std::string name = "cublaslt-" + kind + ".txt";
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == ' ' || c == '/'; }, '-');
    return name;
}

}  // namespace

DenseProducts::DenseProducts(const std::string& kind, int major)
    : max_workspace_(major >= 9 ? kWorkspaceHopper : kWorkspaceBefore),
      cache_(HeuristicCache::default_file(file_name(kind)),
             kind + ", cuBLASLt " + std::to_string(cublasLtGetVersion())) {
    check(cublasLtCreate(&handle_), "opening the library");
}

DenseProducts::~DenseProducts() {
    cache_.save();
    cublasLtDestroy(handle_);
}

std::optional<Algorithm> DenseProducts::choose(const DenseProduct& p, const Problem& problem, const std::string& key) {
    const std::scoped_lock lock(mutex_);
    if (refused_.contains(key)) return std::nullopt;
    std::optional<Algorithm> algorithm = cache_.find(key);
    const bool checked = checked_.contains(key);
    if (!algorithm || (!checked && !usable(handle_, problem, *algorithm))) {
        algorithm = ask(handle_, problem, p, max_workspace_);
        if (!algorithm) {
            refused_.insert(key);
            return std::nullopt;
        }
        cache_.put(key, *algorithm);
    }
    if (!checked) checked_.insert(key);
    return algorithm;
}

bool DenseProducts::multiply(const DenseProduct& p, cudaStream_t stream,
                             const std::function<void*(int64_t bytes)>& take_workspace) {
    const Problem problem(p);
    const std::string key = key_of(p);
    const std::optional<Algorithm> algorithm = choose(p, problem, key);
    if (!algorithm) return false;
    // A workspace of its own per call: products of several streams may run at once.
    const auto bytes = static_cast<size_t>(algorithm->workspace_bytes);
    void* workspace = bytes > 0 ? take_workspace(algorithm->workspace_bytes) : nullptr;
    const cublasLtMatmulAlgo_t algo = native(*algorithm);
    const float alpha = p.alpha, beta = p.residual != nullptr ? 1.0f : 0.0f;
    const cublasStatus_t status =
        cublasLtMatmul(handle_, problem.description.handle, &alpha, p.weight, problem.a.handle, p.x, problem.b.handle,
                       &beta, c_of(p), problem.c.handle, p.y, problem.d.handle, &algo, workspace, bytes, stream);
    if (refuses(status)) {
        // It had offered this algorithm; nothing has been enqueued.
        cudaGetLastError();
        const std::scoped_lock lock(mutex_);
        refused_.insert(key);
        return false;
    }
    check(status, "a product");
    return true;
}

}  // namespace vlm::cuda

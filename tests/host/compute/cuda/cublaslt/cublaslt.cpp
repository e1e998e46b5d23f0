/** @file cublaslt.cpp
 *  cuBLASLt on the CPU, for the calls that dense_products.cpp makes: matrices by columns, as described, and nothing
 * assumed of the caller. What the library refuses in fp8 is refused here (fp8_rules.hpp).
 */
#include "cublasLt.h"

#include <cstdio>
#include <cstring>

#include "host/compute/cuda/element.hpp"
#include "tests/host/compute/cuda/emulated/fp8_rules.hpp"

struct EmulatedHandle {};
struct EmulatedLayout {
    cudaDataType_t type;
    int64_t rows, columns, leading;
};
struct EmulatedPreference {
    uint64_t workspace = 0;
    uint32_t reduction = 0, alignment[4] = {256, 256, 256, 256};
};
struct EmulatedDescription {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    cublasOperation_t transposed[2] = {CUBLAS_OP_N, CUBLAS_OP_N};
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void* bias = nullptr;
    const void* scales[2] = {};
    int32_t scale_modes[2] = {};
    int32_t bias_type = -1;
};

namespace {

constexpr size_t kWorkspace = 512;

uint32_t dtype_of(cudaDataType_t type) {
    return type == CUDA_R_32F ? VLM_DTYPE_F32 : type == CUDA_R_16BF ? VLM_DTYPE_BF16 : VLM_DTYPE_F8_E4M3;
}
double load(const EmulatedLayout& layout, const void* data, int64_t row, int64_t column) {
    return vlm::cuda::load_number(dtype_of(layout.type), data, column * layout.leading + row);
}
template <class T>
cublasStatus_t take(T& to, const void* value, size_t bytes) {
    if (bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&to, value, sizeof(T));
    return CUBLAS_STATUS_SUCCESS;
}

/** The matrices of a call; without addresses where it is only described. */
struct Call {
    const EmulatedDescription& description;
    const EmulatedLayout &a, &b, &c, &d;
    bool transposed(int side) const { return description.transposed[side] == CUBLAS_OP_T; }
    int64_t m() const { return d.rows; }
    int64_t n() const { return d.columns; }
    int64_t k() const { return transposed(0) ? a.rows : a.columns; }
};

cublasStatus_t refuse(const std::string& why) {
    std::snprintf(emulated_library().refusal, sizeof(emulated_library().refusal), "%s", why.c_str());
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t judge(const Call& call, const void* a, const void* b, const void* c, const void* d) {
    const EmulatedDescription& description = call.description;
    const int64_t rows_a = call.transposed(0) ? call.a.columns : call.a.rows;
    const int64_t columns_b = call.transposed(1) ? call.b.rows : call.b.columns;
    const int64_t depth_b = call.transposed(1) ? call.b.columns : call.b.rows;
    if (rows_a != call.m() || columns_b != call.n() || depth_b != call.k() || call.c.rows != call.m() ||
        call.c.columns != call.n())
        return refuse("sides do not fit each other");
    for (const EmulatedLayout* layout : {&call.a, &call.b, &call.c, &call.d})
        if (layout->leading < layout->rows) return refuse("a leading dimension is shorter than a column");
    if (call.a.type != call.b.type || call.c.type != call.d.type) return refuse("types do not fit each other");
    if (call.a.type != CUDA_R_8F_E4M3)
        return call.a.type == call.d.type ? CUBLAS_STATUS_SUCCESS : refuse("the output has another type");
    if (!emulated_library().offers_fp8) return refuse("no algorithm");
    vlm::cuda::Fp8Call fp8;
    fp8.capability = emulated_library().capability;
    fp8.a_transposed = call.transposed(0);
    fp8.b_transposed = call.transposed(1);
    fp8.sums_in_f32 = description.compute == CUBLAS_COMPUTE_32F && description.scale == CUDA_R_32F;
    fp8.bf16_or_f32 = call.d.type != CUDA_R_8F_E4M3;
    fp8.scalar_scales = description.scale_modes[0] == 0 && description.scale_modes[1] == 0;
    fp8.bias_in_bf16 = description.bias == nullptr || description.bias_type == CUDA_R_16BF;
    fp8.m = call.m();
    fp8.n = call.n();
    fp8.k = call.k();
    fp8.output_bytes = call.d.type == CUDA_R_32F ? 4 : 2;
    fp8.lda = call.a.leading;
    fp8.ldb = call.b.leading;
    fp8.ldc = call.c.leading;
    fp8.ldd = call.d.leading;
    fp8.a = a;
    fp8.b = b;
    fp8.c = c;
    fp8.d = d;
    const std::string reason = vlm::cuda::fp8_refusal(fp8);
    return reason.empty() ? CUBLAS_STATUS_SUCCESS : refuse(reason);
}

float finished(cublasLtEpilogue_t epilogue, float x) {
    if (epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
        return vlm::cuda::activate(VLM_ACT_RELU, x);
    if (epilogue == CUBLASLT_EPILOGUE_GELU || epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)
        return vlm::cuda::activate(VLM_ACT_GELU_TANH, x);
    return x;
}
bool has_bias(cublasLtEpilogue_t epilogue) {
    return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS ||
           epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
}

}  // namespace

EmulatedLibrary& emulated_library() {
    static EmulatedLibrary library;
    return library;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    *handle = new EmulatedHandle;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() {
    return 0;
}
const char* cublasLtGetStatusString(cublasStatus_t) {
    return emulated_library().refusal;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
    *desc = new EmulatedDescription{compute, scale};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    delete desc;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
    switch (attribute) {
        case CUBLASLT_MATMUL_DESC_TRANSA:
            return take(desc->transposed[0], value, bytes);
        case CUBLASLT_MATMUL_DESC_TRANSB:
            return take(desc->transposed[1], value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE:
            return take(desc->epilogue, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
            return take(desc->bias, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
            return take(desc->bias_type, value, bytes);
        case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER:
            return take(desc->scales[0], value, bytes);
        case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER:
            return take(desc->scales[1], value, bytes);
        case CUBLASLT_MATMUL_DESC_A_SCALE_MODE:
            return take(desc->scale_modes[0], value, bytes);
        case CUBLASLT_MATMUL_DESC_B_SCALE_MODE:
            return take(desc->scale_modes[1], value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
    *layout = new EmulatedLayout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
    *preference = new EmulatedPreference;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t bytes) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return take(preference->workspace, value, bytes);
    if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) return take(preference->reduction, value, bytes);
    return take(preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
}

/** Addresses are known by their promised alignment alone here. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
    ++emulated_library().asked;
    const auto at = [&](int i) { return reinterpret_cast<const void*>(uintptr_t{preference->alignment[i]}); };
    *found = 0;
    const cublasStatus_t status = judge({*desc, *a, *b, *c, *d}, at(0), at(1), at(2), at(3));
    if (status != CUBLAS_STATUS_SUCCESS || preference->workspace < kWorkspace) return status;
    results[0] = {};
    results[0].algo.data[0] = 1;
    results[0].workspaceSize = kWorkspace;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
    ++emulated_library().checked;
    const auto* somewhere = reinterpret_cast<const void*>(uintptr_t{256});
    result->workspaceSize = kWorkspace;
    return algo->data[0] != 1 ? CUBLAS_STATUS_INVALID_VALUE
                              : judge({*desc, *a, *b, *c, *d}, somewhere, somewhere, somewhere, somewhere);
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              size_t workspace_bytes, cudaStream_t) {
    const Call call{*desc, *a_layout, *b_layout, *c_layout, *d_layout};
    if (algo->data[0] != 1 || workspace == nullptr || workspace_bytes < kWorkspace) return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status = judge(call, a, b, c, d);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    ++emulated_library().multiplied;
    std::memset(workspace, 0xFF, kWorkspace);
    float scale = *static_cast<const float*>(alpha);
    for (const void* factor : desc->scales)
        if (factor != nullptr) scale *= *static_cast<const float*>(factor);
    const float keep = *static_cast<const float*>(beta);
    for (int64_t column = 0; column < call.n(); ++column)
        for (int64_t row = 0; row < call.m(); ++row) {
            double sum = 0.0;
            for (int64_t k = 0; k < call.k(); ++k)
                sum += (call.transposed(0) ? load(call.a, a, k, row) : load(call.a, a, row, k)) *
                       (call.transposed(1) ? load(call.b, b, column, k) : load(call.b, b, k, column));
            float x = scale * static_cast<float>(sum);
            if (keep != 0.0f) x += keep * static_cast<float>(load(call.c, c, row, column));
            if (has_bias(desc->epilogue))
                x += static_cast<float>(
                    vlm::cuda::load_number(dtype_of(static_cast<cudaDataType_t>(desc->bias_type)), desc->bias, row));
            vlm::cuda::store_number(dtype_of(call.d.type), d, column * call.d.leading + row,
                                    static_cast<double>(finished(desc->epilogue, x)));
        }
    return CUBLAS_STATUS_SUCCESS;
}

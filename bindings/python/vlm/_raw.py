"""Declarations of vlm/host.h for cffi. Written by bindings/generate.py; do not edit."""

CDEF = """
typedef int32_t vlm_status;
typedef struct vlm_host vlm_host;
typedef struct vlm_pipeline vlm_pipeline;
typedef struct vlm_session vlm_session;
typedef struct vlm_result vlm_result;
typedef struct vlm_error vlm_error;
typedef struct vlm_string vlm_string;
typedef struct vlm_device vlm_device;
typedef struct vlm_data_type vlm_data_type;
typedef struct vlm_tensor_view vlm_tensor_view;
typedef struct vlm_tensor vlm_tensor;
typedef struct vlm_host_options vlm_host_options;
typedef struct vlm_image_source vlm_image_source;
typedef struct vlm_generation_options vlm_generation_options;
typedef struct vlm_generate_request vlm_generate_request;
typedef struct vlm_result_token vlm_result_token;
typedef struct vlm_result_answer vlm_result_answer;
typedef struct vlm_result_usage vlm_result_usage;
typedef struct vlm_managed_tensor vlm_managed_tensor;
typedef void (*vlm_log_fn)(void* user, int32_t level, const char* source, const char* message);
typedef void (*vlm_progress_fn)(void* user, uint64_t done, uint64_t total);
typedef int32_t (*vlm_stream_fn)(void* user, const char* text, uint64_t size);
typedef int32_t (*vlm_answer_stream_fn)(void* user, uint64_t answer, const char* text, uint64_t size);
struct vlm_string {
    const char* data;
    uint64_t size;
};
struct vlm_device {
    int32_t device_type;
    int32_t device_id;
};
struct vlm_data_type {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
};
struct vlm_tensor_view {
    void* data;
    vlm_device device;
    int32_t ndim;
    vlm_data_type dtype;
    int64_t* shape;
    int64_t* strides;
    uint64_t byte_offset;
};
struct vlm_tensor {
    uint32_t struct_size;
    uint32_t abi_version;
    vlm_tensor_view view;
    const char* name;
    void* owner;
};
struct vlm_host_options {
    uint32_t struct_size;
    uint32_t abi_version;
    const char* plugin_folder;
    vlm_log_fn log;
    void* user;
};
struct vlm_image_source {
    uint32_t struct_size;
    uint32_t abi_version;
    const char* path;
    const uint8_t* encoded;
    uint64_t encoded_size;
    const uint8_t* pixels;
    int32_t width;
    int32_t height;
    const char* name;
    const vlm_tensor_view* tensor;
};
struct vlm_generation_options {
    uint32_t struct_size;
    uint32_t abi_version;
    int64_t max_new_tokens;
    float temperature;
    int32_t top_k;
    float top_p;
    float min_p;
    float repetition_penalty;
    uint32_t stop_count;
    uint64_t seed;
    const char* const* stops;
};
struct vlm_generate_request {
    uint32_t struct_size;
    uint32_t abi_version;
    const char* prompt;
    const vlm_image_source* const* images;
    uint32_t image_count;
    uint32_t raw_prompt;
    const vlm_generation_options* generation;
    vlm_stream_fn stream;
    void* user;
    vlm_answer_stream_fn answer_stream;
    const char* const* texts;
    uint32_t text_count;
    uint32_t reserved;
};
struct vlm_result_token {
    uint32_t struct_size;
    uint32_t abi_version;
    int32_t id;
    float log_probability;
    vlm_string piece;
};
struct vlm_result_answer {
    uint32_t struct_size;
    uint32_t abi_version;
    vlm_string text;
    int32_t image;
    int32_t finish_reason;
    float region[4];
    uint64_t token_begin;
    uint64_t token_count;
    double confidence;
};
struct vlm_result_usage {
    uint32_t struct_size;
    uint32_t abi_version;
    int64_t visual_tokens;
    int64_t merged_tokens;
    int64_t pruned_tokens;
    int64_t text_tokens;
    int64_t generated_tokens;
    int64_t reused_tokens;
    int64_t kv_bytes;
};
struct vlm_managed_tensor {
    vlm_tensor_view view;
    void* owner;
    void(*deleter)(vlm_managed_tensor* tensor);
};
const char* vlm_version(void);
uint32_t vlm_abi_version(void);
vlm_status vlm_error_code(const vlm_error* error);
const char* vlm_error_message(const vlm_error* error);
void vlm_error_destroy(vlm_error* error);
const char* vlm_status_name(vlm_status status);
vlm_status vlm_host_create(const vlm_host_options* options, vlm_host** host, vlm_error** error);
void vlm_host_destroy(vlm_host* host);
vlm_status vlm_pipeline_open(vlm_host* host, const char* path, vlm_progress_fn progress, void* user, vlm_pipeline** pipeline, vlm_error** error);
vlm_status vlm_pipeline_open_json(vlm_host* host, const char* json, const char* base_folder, vlm_progress_fn progress, void* user, vlm_pipeline** pipeline, vlm_error** error);
void vlm_pipeline_destroy(vlm_pipeline* pipeline);
vlm_status vlm_session_create(vlm_pipeline* pipeline, vlm_session** session, vlm_error** error);
void vlm_session_destroy(vlm_session* session);
vlm_status vlm_generate(vlm_session* session, const vlm_generate_request* request, vlm_result** result, vlm_error** error);
vlm_status vlm_generate_batch(vlm_session* session, const vlm_generate_request* const* requests, uint32_t count, const vlm_generation_options* generation, vlm_result** results, vlm_error** error);
void vlm_cancel(vlm_session* session);
void vlm_cancel_reset(vlm_session* session);
vlm_string vlm_result_text(const vlm_result* result);
vlm_string vlm_result_json(const vlm_result* result);
vlm_status vlm_result_find(const vlm_result* result, const char* path, vlm_string* value);
uint64_t vlm_result_token_count(const vlm_result* result);
vlm_status vlm_result_token_at(const vlm_result* result, uint64_t index, vlm_result_token* token);
void vlm_result_destroy(vlm_result* result);
uint64_t vlm_result_answer_count(const vlm_result* result);
vlm_status vlm_result_answer_at(const vlm_result* result, uint64_t index, vlm_result_answer* answer);
vlm_status vlm_result_get_usage(const vlm_result* result, vlm_result_usage* usage);
vlm_status vlm_result_tensor(const vlm_result* result, const char* name, uint64_t index, vlm_managed_tensor** tensor, vlm_error** error);
vlm_status vlm_encode_image(vlm_session* session, const vlm_image_source* image, const char* prompt, vlm_managed_tensor** tokens, vlm_error** error);
vlm_managed_tensor* vlm_managed_tensor_share(const vlm_managed_tensor* tensor);
void vlm_managed_tensor_destroy(vlm_managed_tensor* tensor);
"""

ABI_VERSION = 1
ABI_VERSION_MIN = 1
STRUCT_SIZE_MAX = 65536
STATUS_OK = 0
STATUS_CANCELLED = 1
STATUS_UNKNOWN = 2
STATUS_INVALID_ARGUMENT = 3
STATUS_DEADLINE_EXCEEDED = 4
STATUS_NOT_FOUND = 5
STATUS_ALREADY_EXISTS = 6
STATUS_PERMISSION_DENIED = 7
STATUS_RESOURCE_EXHAUSTED = 8
STATUS_FAILED_PRECONDITION = 9
STATUS_ABORTED = 10
STATUS_OUT_OF_RANGE = 11
STATUS_UNIMPLEMENTED = 12
STATUS_INTERNAL = 13
STATUS_UNAVAILABLE = 14
STATUS_DATA_LOSS = 15
STATUS_UNAUTHENTICATED = 16
DEVICE_CPU = 1
DEVICE_CUDA = 2
TYPE_INT = 0
TYPE_UINT = 1
TYPE_FLOAT = 2
TYPE_BFLOAT = 4
TYPE_BOOL = 6
TYPE_FLOAT8_E4M3FN = 10
TYPE_FLOAT8_E5M2 = 12
DTYPE_F32 = 0x20020
DTYPE_F64 = 0x20040
DTYPE_F16 = 0x20010
DTYPE_BF16 = 0x40010
DTYPE_F8_E4M3 = 0xA0008
DTYPE_F8_E5M2 = 0xC0008
DTYPE_I8 = 0x00008
DTYPE_I16 = 0x00010
DTYPE_I32 = 0x00020
DTYPE_I64 = 0x00040
DTYPE_U8 = 0x10008
DTYPE_BOOL = 0x60008
MAX_DIMS = 8
FINISH_NONE = 0
FINISH_STOP_TOKEN = 1
FINISH_STOP_STRING = 2
FINISH_LENGTH = 3
LOG_DEBUG = 0
LOG_INFO = 1
LOG_WARNING = 2
LOG_ERROR = 3

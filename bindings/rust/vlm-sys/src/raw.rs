// Declarations of vlm/host.h. Written by bindings/generate.py; do not edit.

use std::os::raw::{c_char, c_void};

/// One of the `VLM_STATUS_*`.
pub type vlm_status = i32;

pub const VLM_ABI_VERSION: u32 = 1;
pub const VLM_ABI_VERSION_MIN: u32 = 1;
pub const VLM_STRUCT_SIZE_MAX: u32 = 65536;
/// The call did what it says.
pub const VLM_STATUS_OK: i32 = 0;
/// The caller asked to stop; outputs are undefined.
pub const VLM_STATUS_CANCELLED: i32 = 1;
/// A failure of no known kind, for example a foreign exception.
pub const VLM_STATUS_UNKNOWN: i32 = 2;
/// An argument, file or field is wrong whatever the state of the system.
pub const VLM_STATUS_INVALID_ARGUMENT: i32 = 3;
/// A time limit passed.
pub const VLM_STATUS_DEADLINE_EXCEEDED: i32 = 4;
/// A file, tensor, interface or plugin of that name does not exist.
pub const VLM_STATUS_NOT_FOUND: i32 = 5;
/// A name or id is taken.
pub const VLM_STATUS_ALREADY_EXISTS: i32 = 6;
/// A trust or isolation policy refuses.
pub const VLM_STATUS_PERMISSION_DENIED: i32 = 7;
/// Memory, context length or another limit would be passed.
pub const VLM_STATUS_RESOURCE_EXHAUSTED: i32 = 8;
/// The call is right but comes at the wrong time, or the parts do not fit.
pub const VLM_STATUS_FAILED_PRECONDITION: i32 = 9;
/// Given up because of a conflict with another call.
pub const VLM_STATUS_ABORTED: i32 = 10;
/// An index or offset beyond the end.
pub const VLM_STATUS_OUT_OF_RANGE: i32 = 11;
/// Not offered by this host, plugin, device or version.
pub const VLM_STATUS_UNIMPLEMENTED: i32 = 12;
/// A broken invariant: a bug in the callee.
pub const VLM_STATUS_INTERNAL: i32 = 13;
/// Not now: the device or child process is gone; trying again may help.
pub const VLM_STATUS_UNAVAILABLE: i32 = 14;
/// A file is truncated or corrupt.
pub const VLM_STATUS_DATA_LOSS: i32 = 15;
/// A signature is missing or wrong.
pub const VLM_STATUS_UNAUTHENTICATED: i32 = 16;
/// Host memory.
pub const VLM_DEVICE_CPU: i32 = 1;
/// Memory of an NVIDIA GPU.
pub const VLM_DEVICE_CUDA: i32 = 2;
/// Signed integer.
pub const VLM_TYPE_INT: i32 = 0;
/// Unsigned integer.
pub const VLM_TYPE_UINT: i32 = 1;
/// IEEE float.
pub const VLM_TYPE_FLOAT: i32 = 2;
/// bfloat16.
pub const VLM_TYPE_BFLOAT: i32 = 4;
/// Truth value in a byte.
pub const VLM_TYPE_BOOL: i32 = 6;
/// 8-bit float, 4 exponent bits, no infinities.
pub const VLM_TYPE_FLOAT8_E4M3FN: i32 = 10;
/// 8-bit float, 5 exponent bits.
pub const VLM_TYPE_FLOAT8_E5M2: i32 = 12;
/// 32-bit float.
pub const VLM_DTYPE_F32: u32 = 0x20020;
/// 64-bit float.
pub const VLM_DTYPE_F64: u32 = 0x20040;
/// 16-bit float.
pub const VLM_DTYPE_F16: u32 = 0x20010;
/// bfloat16.
pub const VLM_DTYPE_BF16: u32 = 0x40010;
/// 8-bit float e4m3fn.
pub const VLM_DTYPE_F8_E4M3: u32 = 0xA0008;
/// 8-bit float e5m2.
pub const VLM_DTYPE_F8_E5M2: u32 = 0xC0008;
/// 8-bit integer.
pub const VLM_DTYPE_I8: u32 = 0x00008;
/// 16-bit integer.
pub const VLM_DTYPE_I16: u32 = 0x00010;
/// 32-bit integer.
pub const VLM_DTYPE_I32: u32 = 0x00020;
/// 64-bit integer.
pub const VLM_DTYPE_I64: u32 = 0x00040;
/// Byte.
pub const VLM_DTYPE_U8: u32 = 0x10008;
/// Truth value in a byte.
pub const VLM_DTYPE_BOOL: u32 = 0x60008;
pub const VLM_MAX_DIMS: i32 = 8;
/// The model does not generate.
pub const VLM_FINISH_NONE: i32 = 0;
/// The model said that it is done.
pub const VLM_FINISH_STOP_TOKEN: i32 = 1;
/// A stop string came, or the stream callback returned 0.
pub const VLM_FINISH_STOP_STRING: i32 = 2;
/// `max_new_tokens`, or the context is full.
pub const VLM_FINISH_LENGTH: i32 = 3;
/// For developers.
pub const VLM_LOG_DEBUG: i32 = 0;
/// Worth knowing.
pub const VLM_LOG_INFO: i32 = 1;
/// Something is not as it should be; work goes on.
pub const VLM_LOG_WARNING: i32 = 2;
/// Something failed.
pub const VLM_LOG_ERROR: i32 = 3;

/// Settings, log and loaded plugins.
#[repr(C)]
pub struct vlm_host {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// An opened manifest.
#[repr(C)]
pub struct vlm_pipeline {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// One conversation.
#[repr(C)]
pub struct vlm_session {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// One answer.
#[repr(C)]
pub struct vlm_result {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// Why a call failed.
#[repr(C)]
pub struct vlm_error {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// Receives log messages; `level` is VLM_LOG_* of context.h. Called from any thread, one at a time. It must not call this library.
pub type vlm_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, source: *const c_char, message: *const c_char)>;

/// Receives progress of loading: bytes of the checkpoint's weights `done` of `total`, first with 0, last with all.
pub type vlm_progress_fn = Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: u64)>;

/// Receives text while it is generated: complete UTF-8 characters, not NUL-terminated. Returning 0 stops the answer, which then ends as if a stop string had come; after that it is not called again for this answer.
pub type vlm_stream_fn = Option<unsafe extern "C" fn(user: *mut c_void, text: *const c_char, size: u64) -> i32>;

/// The same with the index of the answer (see vlm_result_answer_at), because the answers of a page that is read row by row grow side by side.
pub type vlm_answer_stream_fn = Option<unsafe extern "C" fn(user: *mut c_void, answer: u64, text: *const c_char, size: u64) -> i32>;

/// A borrowed run of UTF-8 bytes inside a struct; may hold NUL bytes. `data` may be NULL when `size` is 0. Its lifetime is stated where the struct is described. Function arguments use NUL-terminated `const char*` for ids and names instead, since structs are never passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_string {
    /// First byte.
    pub data: *const c_char,
    /// Length in bytes.
    pub size: u64,
}

/// Where memory is (DLDevice).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_device {
    /// VLM_DEVICE_*.
    pub device_type: i32,
    /// Ordinal; 0 on the CPU.
    pub device_id: i32,
}

/// Element type (DLDataType).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_data_type {
    /// VLM_TYPE_*.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Always 1 here.
    pub lanes: u16,
}

/// Layout-compatible with `DLTensor` of DLPack 1.x.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_tensor_view {
    /// Base address on `device`; NULL only when the tensor has no elements.
    pub data: *mut c_void,
    /// Where `data` lives.
    pub device: vlm_device,
    /// Number of dimensions, 0 to VLM_MAX_DIMS.
    pub ndim: i32,
    /// Element type.
    pub dtype: vlm_data_type,
    /// `ndim` sizes.
    pub shape: *mut i64,
    /// `ndim` strides in elements, or NULL: compact row-major.
    pub strides: *mut i64,
    /// Added to `data`.
    pub byte_offset: u64,
}

/// A tensor of this ABI. Plain data: code on either side may build one on the stack around memory that it owns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_tensor {
    /// sizeof(vlm_tensor) of the writer.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the writer.
    pub abi_version: u32,
    /// The DLPack view.
    pub view: vlm_tensor_view,
    /// For messages; may be NULL.
    pub name: *const c_char,
    /// Private to the allocator; NULL for a borrowed view.
    pub owner: *mut c_void,
}

/// Settings of a host.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_host_options {
    /// sizeof(vlm_host_options) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// Searched before the usual places; may be NULL.
    pub plugin_folder: *const c_char,
    /// NULL: as it is, at first warnings and errors to standard error. One log serves all hosts of a process: the last host made with one receives it, until that host is destroyed.
    pub log: vlm_log_fn,
    /// First argument of `log`.
    pub user: *mut c_void,
}

/// An image that the application gives: a file, encoded bytes, pixels, or a tensor. Exactly one of the four is set. It is read during the call that gets it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_image_source {
    /// sizeof(vlm_image_source) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// File name, or NULL.
    pub path: *const c_char,
    /// Bytes of a JPEG, PNG or WebP file, or NULL.
    pub encoded: *const u8,
    /// Number of bytes.
    pub encoded_size: u64,
    /// `[height, width, 3]` u8 RGB, or NULL.
    pub pixels: *const u8,
    /// Of `pixels`.
    pub width: i32,
    /// Of `pixels`.
    pub height: i32,
    /// For messages and results; may be NULL.
    pub name: *const c_char,
    /// Or a DLPack tensor on the CPU, u8, with any strides: `[height, width]` gray, `[height, width, 1]` gray, `[…, 3]` RGB, `[…, 4]` RGBA; or NULL.
    pub tensor: *const vlm_tensor_view,
}

/// Sampling and stopping. Zeroed members mean the manifest's value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_generation_options {
    /// sizeof(vlm_generation_options) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// Most tokens to generate.
    pub max_new_tokens: i64,
    /// Negative: greedy.
    pub temperature: f32,
    /// Keep the k best; negative: off.
    pub top_k: i32,
    /// Nucleus sampling.
    pub top_p: f32,
    /// Relative to the best.
    pub min_p: f32,
    /// 1: off.
    pub repetition_penalty: f32,
    /// Number of stop strings.
    pub stop_count: u32,
    /// Of the random numbers.
    pub seed: u64,
    /// Stop strings.
    pub stops: *const *const c_char,
}

/// One turn of a conversation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_generate_request {
    /// sizeof(vlm_generate_request) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// UTF-8; NULL: the manifest's.
    pub prompt: *const c_char,
    /// Images of this turn.
    pub images: *const *const vlm_image_source,
    /// Number of images.
    pub image_count: u32,
    /// 1: no chat template.
    pub raw_prompt: u32,
    /// NULL: the manifest's.
    pub generation: *const vlm_generation_options,
    /// NULL: no streaming.
    pub stream: vlm_stream_fn,
    /// First argument of `stream` or `answer_stream`.
    pub user: *mut c_void,
    /// Instead of `stream`; NULL: none.
    pub answer_stream: vlm_answer_stream_fn,
    /// Labels to compare images with, for models that embed; or NULL.
    pub texts: *const *const c_char,
    /// Number of labels.
    pub text_count: u32,
    /// 0.
    pub reserved: u32,
}

/// One generated token. Texts live as long as the result.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_result_token {
    /// sizeof(vlm_result_token) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// Token id.
    pub id: i32,
    /// Natural logarithm.
    pub log_probability: f32,
    /// Vocabulary piece.
    pub piece: vlm_string,
}

/// One answer of a result: the only one, or that of one row of text of a page. Texts live as long as the result.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_result_answer {
    /// sizeof(vlm_result_answer) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// Without special tokens.
    pub text: vlm_string,
    /// Index of the image of the request that it is about; -1: none, or all of them.
    pub image: i32,
    /// VLM_FINISH_*.
    pub finish_reason: i32,
    /// Left, top, right, bottom in pixels of that image.
    pub region: [f32; 4],
    /// Index of its first token for vlm_result_token_at.
    pub token_begin: u64,
    /// Number of its tokens.
    pub token_count: u64,
    /// 0 to 1 when the model says one; else -1.
    pub confidence: f64,
}

/// What a result cost.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_result_usage {
    /// sizeof(vlm_result_usage) of the caller.
    pub struct_size: u32,
    /// VLM_ABI_VERSION of the caller.
    pub abi_version: u32,
    /// Visual positions before any reduction.
    pub visual_tokens: i64,
    /// Fewer by merging.
    pub merged_tokens: i64,
    /// Dropped.
    pub pruned_tokens: i64,
    /// Tokens of the prompt that are text.
    pub text_tokens: i64,
    /// Tokens of the answers.
    pub generated_tokens: i64,
    /// What the session had read in earlier turns.
    pub reused_tokens: i64,
    /// Size of the KV cache at the end.
    pub kv_bytes: i64,
}

/// A tensor that owns its memory. Layout-compatible with `DLManagedTensor` of DLPack, so NumPy and PyTorch take it over without a copy, in a capsule named "dltensor". Whoever has it last calls `deleter`, once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vlm_managed_tensor {
    /// Shape, type and memory.
    pub view: vlm_tensor_view,
    /// Private.
    pub owner: *mut c_void,
    /// Frees the tensor. \[any\]
    pub deleter: Option<unsafe extern "C" fn(tensor: *mut vlm_managed_tensor)>,
}

extern "C" {
    /// Library version "0.1.0". \[any\]
    pub fn vlm_version() -> *const c_char;
    /// VLM_ABI_VERSION that the library was built with. \[any\]
    pub fn vlm_abi_version() -> u32;
    /// Status code of an error. \[any\]
    pub fn vlm_error_code(error: *const vlm_error) -> vlm_status;
    /// Message of an error, UTF-8. \[any\]
    pub fn vlm_error_message(error: *const vlm_error) -> *const c_char;
    /// Frees an error; NULL is allowed. \[any\]
    pub fn vlm_error_destroy(error: *mut vlm_error);
    /// Name of a status code, "INVALID_ARGUMENT"; "INTERNAL" for a number that is none. \[any\]
    pub fn vlm_status_name(status: vlm_status) -> *const c_char;
    /// Makes a host. `options` may be NULL. \[any\]
    pub fn vlm_host_create(options: *const vlm_host_options, host: *mut *mut vlm_host, error: *mut *mut vlm_error) -> vlm_status;
    /// Gives a host back; NULL is allowed. Its log callback is not called any more when this returns; so do not call it from there. \[any\]
    pub fn vlm_host_destroy(host: *mut vlm_host);
    /// Opens a pipeline from a manifest file (JSON), or from a checkpoint folder. `progress` may be NULL. NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION (the parts do not fit), RESOURCE_EXHAUSTED, … \[any\]
    pub fn vlm_pipeline_open(host: *mut vlm_host, path: *const c_char, progress: vlm_progress_fn, user: *mut c_void, pipeline: *mut *mut vlm_pipeline, error: *mut *mut vlm_error) -> vlm_status;
    /// The same from manifest text; relative paths in it are relative to `base_folder`. \[any\]
    pub fn vlm_pipeline_open_json(host: *mut vlm_host, json: *const c_char, base_folder: *const c_char, progress: vlm_progress_fn, user: *mut c_void, pipeline: *mut *mut vlm_pipeline, error: *mut *mut vlm_error) -> vlm_status;
    /// Gives a pipeline back; NULL is allowed. \[any\]
    pub fn vlm_pipeline_destroy(pipeline: *mut vlm_pipeline);
    /// Starts a conversation. \[any\]
    pub fn vlm_session_create(pipeline: *mut vlm_pipeline, session: *mut *mut vlm_session, error: *mut *mut vlm_error) -> vlm_status;
    /// Ends a conversation; NULL is allowed. \[any\]
    pub fn vlm_session_destroy(session: *mut vlm_session);
    /// Answers one turn. A turn that fails or is cancelled leaves the conversation as it was before. CANCELLED after vlm_cancel, ABORTED when the session is busy, RESOURCE_EXHAUSTED when the context is full, … \[session: one thread at a time\]
    pub fn vlm_generate(session: *mut vlm_session, request: *const vlm_generate_request, result: *mut *mut vlm_result, error: *mut *mut vlm_error) -> vlm_status;
    /// Answers `count` requests that have nothing to do with each other together, which is faster than one by one. The conversation of `session` is neither read nor changed; the session lends what vlm_cancel needs. @param generation for all of them; NULL: the manifest's. `generation` of each request must be NULL. @param results `count` places: all filled on success, all NULL on failure. \[session: one thread at a time\]
    pub fn vlm_generate_batch(session: *mut vlm_session, requests: *const *const vlm_generate_request, count: u32, generation: *const vlm_generation_options, results: *mut *mut vlm_result, error: *mut *mut vlm_error) -> vlm_status;
    /// Stops the call that runs on this session within one layer. When none runs, the next one returns CANCELLED at once, so that a cancel that comes a moment early is not lost. Either way the call that meets it takes it down when it returns. \[any\]
    pub fn vlm_cancel(session: *mut vlm_session);
    /// Takes back a vlm_cancel that no call has met. \[any\]
    pub fn vlm_cancel_reset(session: *mut vlm_session);
    /// Text of the answer. \[any\]
    pub fn vlm_result_text(result: *const vlm_result) -> vlm_string;
    /// The whole result as JSON (docs/results.schema.json). \[any\]
    pub fn vlm_result_json(result: *const vlm_result) -> vlm_string;
    /// One value of that JSON, for languages without a JSON reader. `path` is a JSON pointer (RFC 6901), "/drugs/0/name". Strings come as they are, without quotes; null as an empty text; everything else as JSON. The text lives as long as the result. NOT_FOUND beyond the end of an array too, which is how to find it; INVALID_ARGUMENT for a malformed path. \[any\]
    pub fn vlm_result_find(result: *const vlm_result, path: *const c_char, value: *mut vlm_string) -> vlm_status;
    /// Number of generated tokens. \[any\]
    pub fn vlm_result_token_count(result: *const vlm_result) -> u64;
    /// Fills `token` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. \[any\]
    pub fn vlm_result_token_at(result: *const vlm_result, index: u64, token: *mut vlm_result_token) -> vlm_status;
    /// Frees a result; NULL is allowed. \[any\]
    pub fn vlm_result_destroy(result: *mut vlm_result);
    /// Number of answers. \[any\]
    pub fn vlm_result_answer_count(result: *const vlm_result) -> u64;
    /// Fills `answer` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. \[any\]
    pub fn vlm_result_answer_at(result: *const vlm_result, index: u64, answer: *mut vlm_result_answer) -> vlm_status;
    /// Fills `usage` (whose two leading members the caller has set). \[any\]
    pub fn vlm_result_get_usage(result: *const vlm_result, usage: *mut vlm_result_usage) -> vlm_status;
    /// A tensor of a result, f32 on the CPU, sharing memory with the result and outliving it. @param name "image_embeddings" `[images, n]` (index 0) of models that embed; or "output" `[rows, n]` of answer `index` of models that do not generate. NOT_FOUND when the result has no such tensor. \[any\]
    pub fn vlm_result_tensor(result: *const vlm_result, name: *const c_char, index: u64, tensor: *mut *mut vlm_managed_tensor, error: *mut *mut vlm_error) -> vlm_status;
    /// The visual tokens of one image as the language model receives them, `[rows, width]` f32 on the CPU. The image is taken whole, even when the manifest splits pages. Does not touch the conversation. @param prompt for connectors that read it; may be NULL. \[session: one thread at a time\]
    pub fn vlm_encode_image(session: *mut vlm_session, image: *const vlm_image_source, prompt: *const c_char, tokens: *mut *mut vlm_managed_tensor, error: *mut *mut vlm_error) -> vlm_status;
    /// A second tensor over the memory of one that this library made, freed on its own; NULL without memory. \[any\]
    pub fn vlm_managed_tensor_share(tensor: *const vlm_managed_tensor) -> *mut vlm_managed_tensor;
    /// Frees a tensor that was not handed on; NULL is allowed. \[any\]
    pub fn vlm_managed_tensor_destroy(tensor: *mut vlm_managed_tensor);
}

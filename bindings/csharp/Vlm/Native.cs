// Declarations of vlm/host.h. Written by bindings/generate.py; do not edit.
using System;
using System.Runtime.InteropServices;

namespace Vlm.Native
{
    /// <summary>Receives log messages; `level` is VLM_LOG_* of context.h. Called from any thread, one at a time. It must not call this library.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate void vlm_log_fn(IntPtr user, int level, IntPtr source, IntPtr message);

    /// <summary>Receives progress of loading: bytes of the checkpoint's weights `done` of `total`, first with 0, last with all.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate void vlm_progress_fn(IntPtr user, ulong done, ulong total);

    /// <summary>Receives text while it is generated: complete UTF-8 characters, not NUL-terminated. Returning 0 stops the answer, which then ends as if a stop string had come; after that it is not called again for this answer.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate int vlm_stream_fn(IntPtr user, IntPtr text, ulong size);

    /// <summary>The same with the index of the answer (see vlm_result_answer_at), because the answers of a page that is read row by row grow side by side.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate int vlm_answer_stream_fn(IntPtr user, ulong answer, IntPtr text, ulong size);

    /// <summary>A borrowed run of UTF-8 bytes inside a struct; may hold NUL bytes. `data` may be NULL when `size` is 0. Its lifetime is stated where the struct is described. Function arguments use NUL-terminated `const char*` for ids and names instead, since structs are never passed by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_string
    {
        /// <summary>First byte.</summary>
        public IntPtr data;
        /// <summary>Length in bytes.</summary>
        public ulong size;
    }

    /// <summary>Where memory is (DLDevice).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_device
    {
        /// <summary>VLM_DEVICE_*.</summary>
        public int device_type;
        /// <summary>Ordinal; 0 on the CPU.</summary>
        public int device_id;
    }

    /// <summary>Element type (DLDataType).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_data_type
    {
        /// <summary>VLM_TYPE_*.</summary>
        public byte code;
        /// <summary>Bits of one lane.</summary>
        public byte bits;
        /// <summary>Always 1 here.</summary>
        public ushort lanes;
    }

    /// <summary>Layout-compatible with `DLTensor` of DLPack 1.x.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_tensor_view
    {
        /// <summary>Base address on `device`; NULL only when the tensor has no elements.</summary>
        public IntPtr data;
        /// <summary>Where `data` lives.</summary>
        public vlm_device device;
        /// <summary>Number of dimensions, 0 to VLM_MAX_DIMS.</summary>
        public int ndim;
        /// <summary>Element type.</summary>
        public vlm_data_type dtype;
        /// <summary>`ndim` sizes.</summary>
        public IntPtr shape;
        /// <summary>`ndim` strides in elements, or NULL: compact row-major.</summary>
        public IntPtr strides;
        /// <summary>Added to `data`.</summary>
        public ulong byte_offset;
    }

    /// <summary>A tensor of this ABI. Plain data: code on either side may build one on the stack around memory that it owns.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_tensor
    {
        /// <summary>sizeof(vlm_tensor) of the writer.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the writer.</summary>
        public uint abi_version;
        /// <summary>The DLPack view.</summary>
        public vlm_tensor_view view;
        /// <summary>For messages; may be NULL.</summary>
        public IntPtr name;
        /// <summary>Private to the allocator; NULL for a borrowed view.</summary>
        public IntPtr owner;
    }

    /// <summary>Settings of a host.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_host_options
    {
        /// <summary>sizeof(vlm_host_options) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>Searched before the usual places; may be NULL.</summary>
        public IntPtr plugin_folder;
        /// <summary>NULL: as it is, at first warnings and errors to standard error. One log serves all hosts of a process: the last host made with one receives it, until that host is destroyed.</summary>
        public IntPtr log;
        /// <summary>First argument of `log`.</summary>
        public IntPtr user;
    }

    /// <summary>An image that the application gives: a file, encoded bytes, pixels, or a tensor. Exactly one of the four is set. It is read during the call that gets it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_image_source
    {
        /// <summary>sizeof(vlm_image_source) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>File name, or NULL.</summary>
        public IntPtr path;
        /// <summary>Bytes of a JPEG, PNG or WebP file, or NULL.</summary>
        public IntPtr encoded;
        /// <summary>Number of bytes.</summary>
        public ulong encoded_size;
        /// <summary>`[height, width, 3]` u8 RGB, or NULL.</summary>
        public IntPtr pixels;
        /// <summary>Of `pixels`.</summary>
        public int width;
        /// <summary>Of `pixels`.</summary>
        public int height;
        /// <summary>For messages and results; may be NULL.</summary>
        public IntPtr name;
        /// <summary>Or a DLPack tensor on the CPU, u8, with any strides: `[height, width]` gray, `[height, width, 1]` gray, `[…, 3]` RGB, `[…, 4]` RGBA; or NULL.</summary>
        public IntPtr tensor;
    }

    /// <summary>Sampling and stopping. Zeroed members mean the manifest's value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_generation_options
    {
        /// <summary>sizeof(vlm_generation_options) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>Most tokens to generate.</summary>
        public long max_new_tokens;
        /// <summary>Negative: greedy.</summary>
        public float temperature;
        /// <summary>Keep the k best; negative: off.</summary>
        public int top_k;
        /// <summary>Nucleus sampling.</summary>
        public float top_p;
        /// <summary>Relative to the best.</summary>
        public float min_p;
        /// <summary>1: off.</summary>
        public float repetition_penalty;
        /// <summary>Number of stop strings.</summary>
        public uint stop_count;
        /// <summary>Of the random numbers.</summary>
        public ulong seed;
        /// <summary>Stop strings.</summary>
        public IntPtr stops;
    }

    /// <summary>One turn of a conversation.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_generate_request
    {
        /// <summary>sizeof(vlm_generate_request) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>UTF-8; NULL: the manifest's.</summary>
        public IntPtr prompt;
        /// <summary>Images of this turn.</summary>
        public IntPtr images;
        /// <summary>Number of images.</summary>
        public uint image_count;
        /// <summary>1: no chat template.</summary>
        public uint raw_prompt;
        /// <summary>NULL: the manifest's.</summary>
        public IntPtr generation;
        /// <summary>NULL: no streaming.</summary>
        public IntPtr stream;
        /// <summary>First argument of `stream` or `answer_stream`.</summary>
        public IntPtr user;
        /// <summary>Instead of `stream`; NULL: none.</summary>
        public IntPtr answer_stream;
        /// <summary>Labels to compare images with, for models that embed; or NULL.</summary>
        public IntPtr texts;
        /// <summary>Number of labels.</summary>
        public uint text_count;
        /// <summary>0.</summary>
        public uint reserved;
    }

    /// <summary>One generated token. Texts live as long as the result.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_result_token
    {
        /// <summary>sizeof(vlm_result_token) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>Token id.</summary>
        public int id;
        /// <summary>Natural logarithm.</summary>
        public float log_probability;
        /// <summary>Vocabulary piece.</summary>
        public vlm_string piece;
    }

    /// <summary>One answer of a result: the only one, or that of one row of text of a page. Texts live as long as the result.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_result_answer
    {
        /// <summary>sizeof(vlm_result_answer) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>Without special tokens.</summary>
        public vlm_string text;
        /// <summary>Index of the image of the request that it is about; -1: none, or all of them.</summary>
        public int image;
        /// <summary>VLM_FINISH_*.</summary>
        public int finish_reason;
        /// <summary>Left, top, right, bottom in pixels of that image.</summary>
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 4)]
        public float[] region;
        /// <summary>Index of its first token for vlm_result_token_at.</summary>
        public ulong token_begin;
        /// <summary>Number of its tokens.</summary>
        public ulong token_count;
        /// <summary>0 to 1 when the model says one; else -1.</summary>
        public double confidence;
    }

    /// <summary>What a result cost.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_result_usage
    {
        /// <summary>sizeof(vlm_result_usage) of the caller.</summary>
        public uint struct_size;
        /// <summary>VLM_ABI_VERSION of the caller.</summary>
        public uint abi_version;
        /// <summary>Visual positions before any reduction.</summary>
        public long visual_tokens;
        /// <summary>Fewer by merging.</summary>
        public long merged_tokens;
        /// <summary>Dropped.</summary>
        public long pruned_tokens;
        /// <summary>Tokens of the prompt that are text.</summary>
        public long text_tokens;
        /// <summary>Tokens of the answers.</summary>
        public long generated_tokens;
        /// <summary>What the session had read in earlier turns.</summary>
        public long reused_tokens;
        /// <summary>Size of the KV cache at the end.</summary>
        public long kv_bytes;
    }

    /// <summary>A tensor that owns its memory. Layout-compatible with `DLManagedTensor` of DLPack, so NumPy and PyTorch take it over without a copy, in a capsule named "dltensor". Whoever has it last calls `deleter`, once.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct vlm_managed_tensor
    {
        /// <summary>Shape, type and memory.</summary>
        public vlm_tensor_view view;
        /// <summary>Private.</summary>
        public IntPtr owner;
        /// <summary>Frees the tensor. [any]</summary>
        public IntPtr deleter;
    }

    /// <summary>Functions and constants.</summary>
    public static class Api
    {
        const string Library = "libvlmhost.so.1";

        public const uint VLM_ABI_VERSION = 1u;
        public const uint VLM_ABI_VERSION_MIN = 1u;
        public const uint VLM_STRUCT_SIZE_MAX = 65536u;
        /// <summary>The call did what it says.</summary>
        public const int VLM_STATUS_OK = 0;
        /// <summary>The caller asked to stop; outputs are undefined.</summary>
        public const int VLM_STATUS_CANCELLED = 1;
        /// <summary>A failure of no known kind, for example a foreign exception.</summary>
        public const int VLM_STATUS_UNKNOWN = 2;
        /// <summary>An argument, file or field is wrong whatever the state of the system.</summary>
        public const int VLM_STATUS_INVALID_ARGUMENT = 3;
        /// <summary>A time limit passed.</summary>
        public const int VLM_STATUS_DEADLINE_EXCEEDED = 4;
        /// <summary>A file, tensor, interface or plugin of that name does not exist.</summary>
        public const int VLM_STATUS_NOT_FOUND = 5;
        /// <summary>A name or id is taken.</summary>
        public const int VLM_STATUS_ALREADY_EXISTS = 6;
        /// <summary>A trust or isolation policy refuses.</summary>
        public const int VLM_STATUS_PERMISSION_DENIED = 7;
        /// <summary>Memory, context length or another limit would be passed.</summary>
        public const int VLM_STATUS_RESOURCE_EXHAUSTED = 8;
        /// <summary>The call is right but comes at the wrong time, or the parts do not fit.</summary>
        public const int VLM_STATUS_FAILED_PRECONDITION = 9;
        /// <summary>Given up because of a conflict with another call.</summary>
        public const int VLM_STATUS_ABORTED = 10;
        /// <summary>An index or offset beyond the end.</summary>
        public const int VLM_STATUS_OUT_OF_RANGE = 11;
        /// <summary>Not offered by this host, plugin, device or version.</summary>
        public const int VLM_STATUS_UNIMPLEMENTED = 12;
        /// <summary>A broken invariant: a bug in the callee.</summary>
        public const int VLM_STATUS_INTERNAL = 13;
        /// <summary>Not now: the device or child process is gone; trying again may help.</summary>
        public const int VLM_STATUS_UNAVAILABLE = 14;
        /// <summary>A file is truncated or corrupt.</summary>
        public const int VLM_STATUS_DATA_LOSS = 15;
        /// <summary>A signature is missing or wrong.</summary>
        public const int VLM_STATUS_UNAUTHENTICATED = 16;
        /// <summary>Host memory.</summary>
        public const int VLM_DEVICE_CPU = 1;
        /// <summary>Memory of an NVIDIA GPU.</summary>
        public const int VLM_DEVICE_CUDA = 2;
        /// <summary>Signed integer.</summary>
        public const int VLM_TYPE_INT = 0;
        /// <summary>Unsigned integer.</summary>
        public const int VLM_TYPE_UINT = 1;
        /// <summary>IEEE float.</summary>
        public const int VLM_TYPE_FLOAT = 2;
        /// <summary>bfloat16.</summary>
        public const int VLM_TYPE_BFLOAT = 4;
        /// <summary>Truth value in a byte.</summary>
        public const int VLM_TYPE_BOOL = 6;
        /// <summary>8-bit float, 4 exponent bits, no infinities.</summary>
        public const int VLM_TYPE_FLOAT8_E4M3FN = 10;
        /// <summary>8-bit float, 5 exponent bits.</summary>
        public const int VLM_TYPE_FLOAT8_E5M2 = 12;
        /// <summary>32-bit float.</summary>
        public const uint VLM_DTYPE_F32 = 0x20020u;
        /// <summary>64-bit float.</summary>
        public const uint VLM_DTYPE_F64 = 0x20040u;
        /// <summary>16-bit float.</summary>
        public const uint VLM_DTYPE_F16 = 0x20010u;
        /// <summary>bfloat16.</summary>
        public const uint VLM_DTYPE_BF16 = 0x40010u;
        /// <summary>8-bit float e4m3fn.</summary>
        public const uint VLM_DTYPE_F8_E4M3 = 0xA0008u;
        /// <summary>8-bit float e5m2.</summary>
        public const uint VLM_DTYPE_F8_E5M2 = 0xC0008u;
        /// <summary>8-bit integer.</summary>
        public const uint VLM_DTYPE_I8 = 0x00008u;
        /// <summary>16-bit integer.</summary>
        public const uint VLM_DTYPE_I16 = 0x00010u;
        /// <summary>32-bit integer.</summary>
        public const uint VLM_DTYPE_I32 = 0x00020u;
        /// <summary>64-bit integer.</summary>
        public const uint VLM_DTYPE_I64 = 0x00040u;
        /// <summary>Byte.</summary>
        public const uint VLM_DTYPE_U8 = 0x10008u;
        /// <summary>Truth value in a byte.</summary>
        public const uint VLM_DTYPE_BOOL = 0x60008u;
        public const int VLM_MAX_DIMS = 8;
        /// <summary>The model does not generate.</summary>
        public const int VLM_FINISH_NONE = 0;
        /// <summary>The model said that it is done.</summary>
        public const int VLM_FINISH_STOP_TOKEN = 1;
        /// <summary>A stop string came, or the stream callback returned 0.</summary>
        public const int VLM_FINISH_STOP_STRING = 2;
        /// <summary>`max_new_tokens`, or the context is full.</summary>
        public const int VLM_FINISH_LENGTH = 3;
        /// <summary>For developers.</summary>
        public const int VLM_LOG_DEBUG = 0;
        /// <summary>Worth knowing.</summary>
        public const int VLM_LOG_INFO = 1;
        /// <summary>Something is not as it should be; work goes on.</summary>
        public const int VLM_LOG_WARNING = 2;
        /// <summary>Something failed.</summary>
        public const int VLM_LOG_ERROR = 3;

        /// <summary>Library version "0.1.0". [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr vlm_version();

        /// <summary>VLM_ABI_VERSION that the library was built with. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint vlm_abi_version();

        /// <summary>Status code of an error. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_error_code(IntPtr error);

        /// <summary>Message of an error, UTF-8. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr vlm_error_message(IntPtr error);

        /// <summary>Frees an error; NULL is allowed. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_error_destroy(IntPtr error);

        /// <summary>Name of a status code, "INVALID_ARGUMENT"; "INTERNAL" for a number that is none. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr vlm_status_name(int status);

        /// <summary>Makes a host. `options` may be NULL. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_host_create(ref vlm_host_options options, out IntPtr host, out IntPtr error);

        /// <summary>Gives a host back; NULL is allowed. Its log callback is not called any more when this returns; so do not call it from there. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_host_destroy(IntPtr host);

        /// <summary>Opens a pipeline from a manifest file (JSON), or from a checkpoint folder. `progress` may be NULL. NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION (the parts do not fit), RESOURCE_EXHAUSTED, … [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_pipeline_open(IntPtr host, byte[] path, vlm_progress_fn progress, IntPtr user, out IntPtr pipeline, out IntPtr error);

        /// <summary>The same from manifest text; relative paths in it are relative to `base_folder`. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_pipeline_open_json(IntPtr host, byte[] json, byte[] base_folder, vlm_progress_fn progress, IntPtr user, out IntPtr pipeline, out IntPtr error);

        /// <summary>Gives a pipeline back; NULL is allowed. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_pipeline_destroy(IntPtr pipeline);

        /// <summary>Starts a conversation. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_session_create(IntPtr pipeline, out IntPtr session, out IntPtr error);

        /// <summary>Ends a conversation; NULL is allowed. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_session_destroy(IntPtr session);

        /// <summary>Answers one turn. A turn that fails or is cancelled leaves the conversation as it was before. CANCELLED after vlm_cancel, ABORTED when the session is busy, RESOURCE_EXHAUSTED when the context is full, … [session: one thread at a time]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_generate(IntPtr session, ref vlm_generate_request request, out IntPtr result, out IntPtr error);

        /// <summary>Answers `count` requests that have nothing to do with each other together, which is faster than one by one. The conversation of `session` is neither read nor changed; the session lends what vlm_cancel needs. @param generation for all of them; NULL: the manifest's. `generation` of each request must be NULL. @param results `count` places: all filled on success, all NULL on failure. [session: one thread at a time]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_generate_batch(IntPtr session, [In, Out] IntPtr[] requests, uint count, ref vlm_generation_options generation, [In, Out] IntPtr[] results, out IntPtr error);

        /// <summary>Stops the call that runs on this session within one layer. When none runs, the next one returns CANCELLED at once, so that a cancel that comes a moment early is not lost. Either way the call that meets it takes it down when it returns. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_cancel(IntPtr session);

        /// <summary>Takes back a vlm_cancel that no call has met. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_cancel_reset(IntPtr session);

        /// <summary>Text of the answer. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern vlm_string vlm_result_text(IntPtr result);

        /// <summary>The whole result as JSON (docs/results.schema.json). [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern vlm_string vlm_result_json(IntPtr result);

        /// <summary>One value of that JSON, for languages without a JSON reader. `path` is a JSON pointer (RFC 6901), "/drugs/0/name". Strings come as they are, without quotes; null as an empty text; everything else as JSON. The text lives as long as the result. NOT_FOUND beyond the end of an array too, which is how to find it; INVALID_ARGUMENT for a malformed path. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_result_find(IntPtr result, byte[] path, ref vlm_string value);

        /// <summary>Number of generated tokens. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern ulong vlm_result_token_count(IntPtr result);

        /// <summary>Fills `token` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_result_token_at(IntPtr result, ulong index, ref vlm_result_token token);

        /// <summary>Frees a result; NULL is allowed. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_result_destroy(IntPtr result);

        /// <summary>Number of answers. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern ulong vlm_result_answer_count(IntPtr result);

        /// <summary>Fills `answer` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_result_answer_at(IntPtr result, ulong index, ref vlm_result_answer answer);

        /// <summary>Fills `usage` (whose two leading members the caller has set). [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_result_get_usage(IntPtr result, ref vlm_result_usage usage);

        /// <summary>A tensor of a result, f32 on the CPU, sharing memory with the result and outliving it. @param name "image_embeddings" `[images, n]` (index 0) of models that embed; or "output" `[rows, n]` of answer `index` of models that do not generate. NOT_FOUND when the result has no such tensor. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_result_tensor(IntPtr result, byte[] name, ulong index, out IntPtr tensor, out IntPtr error);

        /// <summary>The visual tokens of one image as the language model receives them, `[rows, width]` f32 on the CPU. The image is taken whole, even when the manifest splits pages. Does not touch the conversation. @param prompt for connectors that read it; may be NULL. [session: one thread at a time]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int vlm_encode_image(IntPtr session, ref vlm_image_source image, byte[] prompt, out IntPtr tokens, out IntPtr error);

        /// <summary>A second tensor over the memory of one that this library made, freed on its own; NULL without memory. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr vlm_managed_tensor_share(IntPtr tensor);

        /// <summary>Frees a tensor that was not handed on; NULL is allowed. [any]</summary>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void vlm_managed_tensor_destroy(IntPtr tensor);
    }
}

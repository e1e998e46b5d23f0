using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Vlm.Native;

namespace Vlm
{
    /// <summary>An image of a request: a file, encoded bytes, or pixels.</summary>
    public sealed class Image
    {
        string path;
        byte[] encoded;
        byte[] pixels;
        long[] shape;

        Image() { }

        public static Image FromFile(string path)
        {
            return new Image { path = path ?? throw new ArgumentNullException(nameof(path)) };
        }

        /// <summary>The bytes of a JPEG, PNG or WebP file.</summary>
        public static Image FromBytes(byte[] encoded)
        {
            return new Image { encoded = encoded ?? throw new ArgumentNullException(nameof(encoded)) };
        }

        /// <summary>Pixels, rows packed, of 1 (gray), 3 (RGB) or 4 (RGBA) bytes.</summary>
        public static Image FromPixels(byte[] pixels, int width, int height, int channels = 3)
        {
            if (pixels == null) throw new ArgumentNullException(nameof(pixels));
            if (width <= 0 || height <= 0 || channels <= 0 || (decimal)width * height * channels != pixels.Length)
                throw new ArgumentException($"{width} x {height} pixels of {channels} bytes do not fill {pixels.Length} bytes");
            return new Image { pixels = pixels, shape = new long[] { height, width, channels } };
        }

        public static implicit operator Image(string path)
        {
            return FromFile(path);
        }

        internal vlm_image_source ToC(Arena arena)
        {
            var source = new vlm_image_source
            {
                struct_size = (uint)Marshal.SizeOf(typeof(vlm_image_source)),
                abi_version = Api.VLM_ABI_VERSION,
                path = arena.Bytes(Text.ToC(path)),
                encoded = arena.Bytes(encoded),
                encoded_size = (ulong)(encoded?.Length ?? 0),
            };
            if (pixels == null) return source;
            IntPtr sizes = arena.Allocate(shape.Length * sizeof(long));
            Marshal.Copy(shape, 0, sizes, shape.Length);
            source.tensor = arena.Struct(new vlm_tensor_view
            {
                data = arena.Bytes(pixels),
                device = new vlm_device { device_type = Api.VLM_DEVICE_CPU },
                ndim = shape.Length,
                dtype = new vlm_data_type { code = Api.VLM_TYPE_UINT, bits = 8, lanes = 1 },
                shape = sizes,
            });
            return source;
        }
    }

    /// <summary>Sampling and stopping; what is null is the manifest's.</summary>
    public sealed class Generation
    {
        public long? MaxNewTokens { get; set; }
        /// <summary>0: greedy.</summary>
        public float? Temperature { get; set; }
        /// <summary>0: off.</summary>
        public int? TopK { get; set; }
        public float? TopP { get; set; }
        public float? MinP { get; set; }
        public float? RepetitionPenalty { get; set; }
        public ulong? Seed { get; set; }
        public IList<string> Stops { get; set; } = new List<string>();

        internal vlm_generation_options ToC(Arena arena)
        {
            return new vlm_generation_options
            {
                struct_size = (uint)Marshal.SizeOf(typeof(vlm_generation_options)),
                abi_version = Api.VLM_ABI_VERSION,
                max_new_tokens = MaxNewTokens ?? 0,
                // 0 means "the manifest's" in C, and a negative number what 0 means here.
                temperature = Temperature == 0 ? -1 : Temperature ?? 0,
                top_k = TopK == 0 ? -1 : TopK ?? 0,
                top_p = TopP ?? 0,
                min_p = MinP ?? 0,
                repetition_penalty = RepetitionPenalty ?? 0,
                seed = Seed ?? 0,
                stop_count = (uint)Stops.Count,
                stops = arena.Pointers(Stops.Select(text => arena.Bytes(Text.ToC(Request.Required(text, "a stop string")))).ToArray()),
            };
        }
    }

    /// <summary>One question.</summary>
    public sealed class Request
    {
        /// <summary>Null: the manifest's.</summary>
        public string Prompt { get; set; }
        public IList<Image> Images { get; set; } = new List<Image>();
        /// <summary>Labels to compare images with, for models that embed.</summary>
        public IList<string> Texts { get; set; } = new List<string>();
        /// <summary>Takes the prompt as it is: no chat template.</summary>
        public bool RawPrompt { get; set; }
        public Generation Generation { get; set; }

        public Request(params Image[] images)
        {
            foreach (Image image in images ?? throw new ArgumentNullException(nameof(images))) Images.Add(image);
        }

        internal vlm_generate_request ToC(Arena arena, vlm_answer_stream_fn stream)
        {
            return new vlm_generate_request
            {
                struct_size = (uint)Marshal.SizeOf(typeof(vlm_generate_request)),
                abi_version = Api.VLM_ABI_VERSION,
                prompt = arena.Bytes(Text.ToC(Prompt)),
                images = arena.Pointers(Images.Select(image => arena.Struct(Required(image, "an image").ToC(arena))).ToArray()),
                image_count = (uint)Images.Count,
                raw_prompt = RawPrompt ? 1u : 0u,
                generation = Generation == null ? IntPtr.Zero : arena.Struct(Generation.ToC(arena)),
                answer_stream = stream == null ? IntPtr.Zero : Marshal.GetFunctionPointerForDelegate(stream),
                texts = arena.Pointers(Texts.Select(text => arena.Bytes(Text.ToC(Required(text, "a text")))).ToArray()),
                text_count = (uint)Texts.Count,
            };
        }

        internal static T Required<T>(T value, string what) where T : class
        {
            return value ?? throw new ArgumentException($"{what} is null");
        }
    }
}

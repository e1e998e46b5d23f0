using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Vlm.Native;

namespace Vlm
{
    /// <summary>Why an answer ended.</summary>
    public enum Finish
    {
        None = Api.VLM_FINISH_NONE,
        StopToken = Api.VLM_FINISH_STOP_TOKEN,
        StopString = Api.VLM_FINISH_STOP_STRING,
        Length = Api.VLM_FINISH_LENGTH,
    }

    /// <summary>One generated token.</summary>
    public sealed class Token
    {
        public int Id { get; internal set; }
        public float LogProbability { get; internal set; }
        public string Piece { get; internal set; }
    }

    /// <summary>One answer: the only one, or that of one row of text of a page.</summary>
    public sealed class Answer
    {
        public string Text { get; internal set; }
        /// <summary>Index of the image of the request; -1: none, or all of them.</summary>
        public int Image { get; internal set; }
        /// <summary>Left, top, right, bottom in pixels of that image.</summary>
        public float[] Region { get; internal set; }
        public Finish Finish { get; internal set; }
        /// <summary>0 to 1, or null when the model says none.</summary>
        public double? Confidence { get; internal set; }
        public IReadOnlyList<Token> Tokens { get; internal set; }
    }

    /// <summary>One result. Any thread may read it.</summary>
    public sealed class Result : IDisposable
    {
        readonly ResultHandle handle;

        internal Result(IntPtr made)
        {
            handle = new ResultHandle(made);
        }

        public string Text
        {
            get { using (var lease = handle.Use()) return Vlm.Text.FromC(Api.vlm_result_text(lease.Pointer)); }
        }

        /// <summary>The whole result as JSON.</summary>
        public string Json
        {
            get { using (var lease = handle.Use()) return Vlm.Text.FromC(Api.vlm_result_json(lease.Pointer)); }
        }

        /// <summary>One value of that JSON by its JSON pointer, "/drugs/0/name": strings as they are, null as an empty text, the rest as
        /// JSON. Null when there is no such value.</summary>
        public string Find(string path)
        {
            var value = new vlm_string();
            using (var lease = handle.Use())
                return Api.vlm_result_find(lease.Pointer, Vlm.Text.ToC(path), ref value) == Api.VLM_STATUS_OK ? Vlm.Text.FromC(value) : null;
        }

        public IReadOnlyList<Answer> Answers
        {
            get
            {
                var answers = new List<Answer>();
                using (var lease = handle.Use())
                    for (ulong i = 0; i < Api.vlm_result_answer_count(lease.Pointer); i++) answers.Add(ReadAnswer(lease.Pointer, i));
                return answers;
            }
        }

        /// <summary>Counts of tokens; the names are those of vlm_result_usage.</summary>
        public vlm_result_usage Usage
        {
            get
            {
                var usage = new vlm_result_usage
                {
                    struct_size = (uint)Marshal.SizeOf(typeof(vlm_result_usage)),
                    abi_version = Api.VLM_ABI_VERSION,
                };
                using (var lease = handle.Use()) VlmException.Check(Api.vlm_result_get_usage(lease.Pointer, ref usage), IntPtr.Zero);
                return usage;
            }
        }

        /// <summary>"image_embeddings" (index 0) of models that embed, "output" of answer `index` of models that do not generate.</summary>
        public Tensor GetTensor(string name, ulong index = 0)
        {
            IntPtr tensor, error;
            using (var lease = handle.Use())
                VlmException.Check(Api.vlm_result_tensor(lease.Pointer, Vlm.Text.ToC(name), index, out tensor, out error), error);
            return new Tensor(tensor);
        }

        static Answer ReadAnswer(IntPtr result, ulong index)
        {
            var answer = new vlm_result_answer
            {
                struct_size = (uint)Marshal.SizeOf(typeof(vlm_result_answer)),
                abi_version = Api.VLM_ABI_VERSION,
                region = new float[4],
            };
            VlmException.Check(Api.vlm_result_answer_at(result, index, ref answer), IntPtr.Zero);
            var tokens = new List<Token>();
            for (ulong i = 0; i < answer.token_count; i++) tokens.Add(ReadToken(result, answer.token_begin + i));
            return new Answer
            {
                Text = Vlm.Text.FromC(answer.text),
                Image = answer.image,
                Region = answer.region,
                Finish = (Finish)answer.finish_reason,
                Confidence = answer.confidence >= 0 ? answer.confidence : (double?)null,
                Tokens = tokens,
            };
        }

        static Token ReadToken(IntPtr result, ulong index)
        {
            var token = new vlm_result_token
            {
                struct_size = (uint)Marshal.SizeOf(typeof(vlm_result_token)),
                abi_version = Api.VLM_ABI_VERSION,
            };
            VlmException.Check(Api.vlm_result_token_at(result, index, ref token), IntPtr.Zero);
            return new Token { Id = token.id, LogProbability = token.log_probability, Piece = Vlm.Text.FromC(token.piece) };
        }

        public void Dispose()
        {
            handle.Dispose();
        }
    }

    /// <summary>Memory of the library: float32 on the CPU, compact.</summary>
    public sealed class Tensor : IDisposable
    {
        readonly TensorHandle handle;

        internal Tensor(IntPtr made)
        {
            handle = new TensorHandle(made);
        }

        public long[] Shape
        {
            get { using (var lease = handle.Use()) return ReadShape(View(lease.Pointer)); }
        }

        /// <summary>A copy of all elements.</summary>
        public float[] ToArray()
        {
            using (var lease = handle.Use())
            {
                vlm_tensor_view view = View(lease.Pointer);
                long count = 1;
                foreach (long size in ReadShape(view)) count = checked(count * size);
                var values = new float[count];
                if (count > 0) Marshal.Copy(new IntPtr(view.data.ToInt64() + (long)view.byte_offset), values, 0, values.Length);
                return values;
            }
        }

        static vlm_tensor_view View(IntPtr tensor)
        {
            return ((vlm_managed_tensor)Marshal.PtrToStructure(tensor, typeof(vlm_managed_tensor))).view;
        }

        static long[] ReadShape(vlm_tensor_view view)
        {
            var shape = new long[view.ndim];
            if (view.ndim > 0) Marshal.Copy(view.shape, shape, 0, view.ndim);
            return shape;
        }

        public void Dispose()
        {
            handle.Dispose();
        }
    }
}

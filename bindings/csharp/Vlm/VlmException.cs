using System;
using System.Runtime.InteropServices;
using System.Text;
using Vlm.Native;

namespace Vlm
{
    /// <summary>A call that failed: a canonical status code, its name, and a sentence.</summary>
    public sealed class VlmException : Exception
    {
        /// <summary>One of Api.VLM_STATUS_*.</summary>
        public int Code { get; }

        /// <summary>"NOT_FOUND".</summary>
        public string Name { get; }

        internal VlmException(int code, string message) : base(message)
        {
            Code = code;
            Name = Text.FromC(Api.vlm_status_name(code));
        }

        /// <summary>Throws what a call reported, and frees it. A cancelled call throws OperationCanceledException, as .NET expects.</summary>
        internal static void Check(int status, IntPtr error)
        {
            if (status == Api.VLM_STATUS_OK) return;
            string message = Text.FromC(Api.vlm_error_message(error));
            Api.vlm_error_destroy(error);
            if (status == Api.VLM_STATUS_CANCELLED) throw new OperationCanceledException(message);
            throw new VlmException(status, message);
        }
    }

    /// <summary>UTF-8 between C and .NET. netstandard2.0 has no Marshal for it.</summary>
    internal static class Text
    {
        internal static string FromC(IntPtr text)
        {
            if (text == IntPtr.Zero) return "";
            int size = 0;
            while (Marshal.ReadByte(text, size) != 0) size++;
            return FromC(text, (ulong)size);
        }

        internal static string FromC(IntPtr data, ulong size)
        {
            if (size == 0) return "";
            var bytes = new byte[checked((int)size)];
            Marshal.Copy(data, bytes, 0, bytes.Length);
            return Encoding.UTF8.GetString(bytes);
        }

        internal static string FromC(vlm_string text)
        {
            return FromC(text.data, text.size);
        }

        /// <summary>Bytes with a NUL behind; null stays null.</summary>
        internal static byte[] ToC(string text)
        {
            if (text == null) return null;
            if (text.IndexOf('\0') >= 0) throw new ArgumentException("a text has a NUL character inside");
            var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
            Encoding.UTF8.GetBytes(text, 0, text.Length, bytes, 0);
            return bytes;
        }
    }
}

using System;
using System.Runtime.InteropServices;
using Vlm.Native;

namespace Vlm
{
    /// <summary>Owned handles. SafeHandle frees them once, also when a thread is aborted or nobody disposes, and never while a call with
    /// them runs.</summary>
    internal abstract class Handle : SafeHandle
    {
        protected Handle(IntPtr handle) : base(IntPtr.Zero, true)
        {
            SetHandle(handle);
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        /// <summary>Keeps the handle alive until the lease is disposed. ObjectDisposedException when it is closed.</summary>
        internal Lease Use()
        {
            return new Lease(this);
        }

        internal struct Lease : IDisposable
        {
            readonly SafeHandle owner;

            internal Lease(SafeHandle owner)
            {
                bool taken = false;
                owner.DangerousAddRef(ref taken);
                this.owner = owner;
            }

            internal IntPtr Pointer => owner.DangerousGetHandle();

            public void Dispose()
            {
                owner.DangerousRelease();
            }
        }
    }

    internal sealed class HostHandle : Handle
    {
        internal HostHandle(IntPtr handle) : base(handle) { }
        protected override bool ReleaseHandle() { Api.vlm_host_destroy(handle); return true; }
    }

    internal sealed class PipelineHandle : Handle
    {
        internal PipelineHandle(IntPtr handle) : base(handle) { }
        protected override bool ReleaseHandle() { Api.vlm_pipeline_destroy(handle); return true; }
    }

    internal sealed class SessionHandle : Handle
    {
        internal SessionHandle(IntPtr handle) : base(handle) { }
        protected override bool ReleaseHandle() { Api.vlm_session_destroy(handle); return true; }
    }

    internal sealed class ResultHandle : Handle
    {
        internal ResultHandle(IntPtr handle) : base(handle) { }
        protected override bool ReleaseHandle() { Api.vlm_result_destroy(handle); return true; }
    }

    internal sealed class TensorHandle : Handle
    {
        internal TensorHandle(IntPtr handle) : base(handle) { }
        protected override bool ReleaseHandle() { Api.vlm_managed_tensor_destroy(handle); return true; }
    }

    /// <summary>Unmanaged copies of what a request points at, freed together.</summary>
    internal sealed class Arena : IDisposable
    {
        readonly System.Collections.Generic.List<IntPtr> blocks = new System.Collections.Generic.List<IntPtr>();

        internal IntPtr Allocate(int size)
        {
            IntPtr block = Marshal.AllocHGlobal(Math.Max(size, 1));
            blocks.Add(block);
            return block;
        }

        internal IntPtr Bytes(byte[] bytes)
        {
            if (bytes == null) return IntPtr.Zero;
            IntPtr block = Allocate(bytes.Length);
            Marshal.Copy(bytes, 0, block, bytes.Length);
            return block;
        }

        internal IntPtr Struct<T>(T value) where T : struct
        {
            IntPtr block = Allocate(Marshal.SizeOf(typeof(T)));
            Marshal.StructureToPtr(value, block, false);
            return block;
        }

        internal IntPtr Pointers(IntPtr[] pointers)
        {
            if (pointers.Length == 0) return IntPtr.Zero;
            IntPtr block = Allocate(pointers.Length * IntPtr.Size);
            Marshal.Copy(pointers, 0, block, pointers.Length);
            return block;
        }

        public void Dispose()
        {
            foreach (IntPtr block in blocks) Marshal.FreeHGlobal(block);
            blocks.Clear();
        }
    }
}

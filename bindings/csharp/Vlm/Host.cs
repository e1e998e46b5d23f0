using System;
using System.Runtime.InteropServices;
using Vlm.Native;

namespace Vlm
{
    /// <summary>How important a log message is.</summary>
    public enum LogLevel
    {
        Debug = Api.VLM_LOG_DEBUG,
        Info = Api.VLM_LOG_INFO,
        Warning = Api.VLM_LOG_WARNING,
        Error = Api.VLM_LOG_ERROR,
    }

    /// <summary>Settings and log. Any thread may use it.</summary>
    public sealed class Host : IDisposable
    {
        readonly HostHandle handle;
        readonly vlm_log_fn receiver;  // the library calls it until the host is disposed

        /// <summary>Version of the library, "0.1.0".</summary>
        public static string Version => Text.FromC(Api.vlm_version());

        /// <summary>Version of the ABI that the library was built with.</summary>
        public static uint AbiVersion => Api.vlm_abi_version();

        /// <param name="pluginFolder">Searched first; may be null.</param>
        /// <param name="log">Receives level, source and message, from any thread; it must not call the library. May be null.</param>
        public Host(string pluginFolder = null, Action<LogLevel, string, string> log = null)
        {
            using (var arena = new Arena())
            {
                var options = new vlm_host_options
                {
                    struct_size = (uint)Marshal.SizeOf(typeof(vlm_host_options)),
                    abi_version = Api.VLM_ABI_VERSION,
                    plugin_folder = arena.Bytes(Text.ToC(pluginFolder)),
                };
                if (log != null)
                {
                    receiver = (user, level, source, message) =>
                    {
                        // An exception must not pass through C, and a log line is not worth ending the process for.
                        try { log((LogLevel)level, Text.FromC(source), Text.FromC(message)); }
                        catch (Exception) { }
                    };
                    options.log = Marshal.GetFunctionPointerForDelegate(receiver);
                }
                IntPtr made, error;
                VlmException.Check(Api.vlm_host_create(ref options, out made, out error), error);
                handle = new HostHandle(made);
            }
        }

        /// <summary>Opens a manifest file or a checkpoint folder. `progress` receives the parts that are loaded, of how many.</summary>
        public Pipeline Open(string path, Action<ulong, ulong> progress = null)
        {
            IntPtr made, error;
            vlm_progress_fn report = Report(progress);
            using (var lease = handle.Use())
                VlmException.Check(Api.vlm_pipeline_open(lease.Pointer, Text.ToC(path), report, IntPtr.Zero, out made, out error), error);
            GC.KeepAlive(report);
            return new Pipeline(made);
        }

        /// <summary>Opens a manifest given as JSON; relative paths in it are relative to `baseFolder`.</summary>
        public Pipeline OpenJson(string json, string baseFolder = ".", Action<ulong, ulong> progress = null)
        {
            IntPtr made, error;
            vlm_progress_fn report = Report(progress);
            using (var lease = handle.Use())
                VlmException.Check(Api.vlm_pipeline_open_json(lease.Pointer, Text.ToC(json), Text.ToC(baseFolder), report, IntPtr.Zero,
                                                              out made, out error), error);
            GC.KeepAlive(report);
            return new Pipeline(made);
        }

        static vlm_progress_fn Report(Action<ulong, ulong> progress)
        {
            if (progress == null) return null;
            return (user, done, total) =>
            {
                try { progress(done, total); }
                catch (Exception) { }
            };
        }

        public void Dispose()
        {
            handle.Dispose();
            GC.KeepAlive(receiver);
        }
    }

    /// <summary>An opened manifest. Any thread may use it; its sessions answer at the same time.</summary>
    public sealed class Pipeline : IDisposable
    {
        readonly PipelineHandle handle;

        internal Pipeline(IntPtr made)
        {
            handle = new PipelineHandle(made);
        }

        /// <summary>Starts a conversation.</summary>
        public Session CreateSession()
        {
            IntPtr made, error;
            using (var lease = handle.Use())
                VlmException.Check(Api.vlm_session_create(lease.Pointer, out made, out error), error);
            return new Session(made);
        }

        public void Dispose()
        {
            handle.Dispose();
        }
    }
}

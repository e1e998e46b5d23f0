using System;
using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Vlm.Native;

namespace Vlm
{
    /// <summary>New text of the answer with this index.</summary>
    public struct Part
    {
        public int Answer { get; }
        public string Text { get; }

        internal Part(int answer, string text)
        {
            Answer = answer;
            Text = text;
        }
    }

    /// <summary>One conversation. One call at a time; a second one throws ABORTED. Cancelled calls throw OperationCanceledException.</summary>
    public sealed class Session : IDisposable
    {
        readonly SessionHandle handle;

        internal Session(IntPtr made)
        {
            handle = new SessionHandle(made);
        }

        /// <summary>Answers one turn. `receive` hears the text while it grows; when it returns false the answer ends.</summary>
        public Result Generate(Request request, Func<Part, bool> receive = null, CancellationToken cancellation = default(CancellationToken))
        {
            if (request == null) throw new ArgumentNullException(nameof(request));
            ExceptionDispatchInfo thrown = null;
            vlm_answer_stream_fn stream = null;
            if (receive != null)
                stream = (user, answer, text, size) =>
                {
                    // An exception must not pass through C; it goes on when the call is back.
                    try { return receive(new Part((int)answer, Text.FromC(text, size))) ? 1 : 0; }
                    catch (Exception e) { thrown = thrown ?? ExceptionDispatchInfo.Capture(e); return 0; }
                };
            IntPtr made = IntPtr.Zero;
            using (var arena = new Arena())
            {
                vlm_generate_request raw = request.ToC(arena, stream);
                Call(cancellation, session =>
                {
                    IntPtr error;
                    VlmException.Check(Api.vlm_generate(session, ref raw, out made, out error), error);
                });
            }
            GC.KeepAlive(stream);
            var result = new Result(made);
            if (thrown != null)
            {
                result.Dispose();
                thrown.Throw();
            }
            return result;
        }

        /// <summary>Answers one turn on another thread.</summary>
        public Task<Result> GenerateAsync(Request request, CancellationToken cancellation = default(CancellationToken))
        {
            return Task.Run(() => Generate(request, null, cancellation));
        }

        /// <summary>Answers one turn as a sequence of parts, made on a thread of its own. Leaving the loop early cancels the answer.</summary>
        public Answering Stream(Request request, CancellationToken cancellation = default(CancellationToken))
        {
            return new Answering(this, request, cancellation);
        }

        /// <summary>Answers requests that have nothing to do with each other, together. The conversation is not touched.</summary>
        public Result[] GenerateBatch(IReadOnlyCollection<Request> requests, Generation generation = null,
                                      CancellationToken cancellation = default(CancellationToken))
        {
            if (requests == null) throw new ArgumentNullException(nameof(requests));
            var results = new IntPtr[requests.Count];
            using (var arena = new Arena())
            {
                IntPtr[] raw = requests.Select(request => arena.Struct(Request.Required(request, "a request").ToC(arena, null))).ToArray();
                vlm_generation_options options = (generation ?? new Generation()).ToC(arena);
                Call(cancellation, session =>
                {
                    IntPtr error;
                    VlmException.Check(Api.vlm_generate_batch(session, raw, (uint)raw.Length, ref options, results, out error), error);
                });
            }
            return results.Select(result => new Result(result)).ToArray();
        }

        /// <summary>Visual tokens of an image as the language model gets them, [rows, width].</summary>
        public Tensor Encode(Image image, string prompt = null, CancellationToken cancellation = default(CancellationToken))
        {
            if (image == null) throw new ArgumentNullException(nameof(image));
            IntPtr tensor = IntPtr.Zero;
            using (var arena = new Arena())
            {
                vlm_image_source source = image.ToC(arena);
                Call(cancellation, session =>
                {
                    IntPtr error;
                    VlmException.Check(Api.vlm_encode_image(session, ref source, Text.ToC(prompt), out tensor, out error), error);
                });
            }
            return new Tensor(tensor);
        }

        /// <summary>Stops the call that runs, or else the next one; from any thread.</summary>
        public void Cancel()
        {
            using (var lease = handle.Use()) Api.vlm_cancel(lease.Pointer);
        }

        /// <summary>Takes back a Cancel that no call has met.</summary>
        public void ResetCancel()
        {
            using (var lease = handle.Use()) Api.vlm_cancel_reset(lease.Pointer);
        }

        void Call(CancellationToken cancellation, Action<IntPtr> body)
        {
            cancellation.ThrowIfCancellationRequested();
            using (var lease = handle.Use())
            {
                IntPtr session = lease.Pointer;
                bool asked = false;
                try
                {
                    using (cancellation.Register(() => { asked = true; Api.vlm_cancel(session); })) body(session);
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    throw new OperationCanceledException(cancellation);
                }
                finally
                {
                    if (asked) Api.vlm_cancel_reset(session);  // it may have come when the call was over
                }
            }
        }

        public void Dispose()
        {
            handle.Dispose();
        }
    }

    /// <summary>Parts of an answer while it grows. `Result` is there when the loop has ended.</summary>
    public sealed class Answering : IEnumerable<Part>, IDisposable
    {
        readonly Task<Result> task;
        readonly BlockingCollection<Part> parts = new BlockingCollection<Part>();
        readonly CancellationTokenSource leave;
        bool disposed;

        internal Answering(Session session, Request request, CancellationToken cancellation)
        {
            leave = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            task = Task.Factory.StartNew(() =>
            {
                try { return session.Generate(request, part => { parts.Add(part); return true; }, leave.Token); }
                finally { parts.CompleteAdding(); }
            }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        /// <summary>Waits for the end. Throws what the call threw.</summary>
        public Result Result => task.GetAwaiter().GetResult();

        public IEnumerator<Part> GetEnumerator()
        {
            bool ended = false;
            try
            {
                foreach (Part part in parts.GetConsumingEnumerable()) yield return part;
                ended = true;
            }
            finally
            {
                if (!ended && !disposed) leave.Cancel();
            }
            task.GetAwaiter().GetResult();  // throws what the call threw
        }

        IEnumerator IEnumerable.GetEnumerator()
        {
            return GetEnumerator();
        }

        /// <summary>Cancels the answer when it is still growing, and waits for that. A loop that goes on after it gets
        /// ObjectDisposedException.</summary>
        public void Dispose()
        {
            if (disposed) return;
            disposed = true;
            leave.Cancel();
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
            leave.Dispose();
            parts.Dispose();
        }
    }
}

// The safe layer against the shipped reader, without a test framework, because Debian has none for Mono.
// Usage: Tests SOURCE_FOLDER
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Vlm;

static class Tests
{
    static string source;
    static string Row => source + "/tests/data/rx_rows/english_entry.png";
    static int failures;

    static string Manifest(string more)
    {
        return $"{{\"model\": \"{source}/models/rx-small\", \"use_template\": false, " +
               $"\"prompt\": \"<|vision_start|><|image_pad|><|vision_end|>\", {more}}}";
    }

    static Session Reader()
    {
        using (var host = new Host())
        using (var pipeline = host.OpenJson(Manifest("\"generation\": {\"max_new_tokens\": 24}")))
            return pipeline.CreateSession();  // handles are counted: the session lives on
    }

    static Session Endless()
    {
        using (var host = new Host())
        using (var pipeline = host.OpenJson(Manifest("\"max_context\": 16384, \"generation\": {\"max_new_tokens\": 1000000, \"ignore_eos\": true}")))
            return pipeline.CreateSession();
    }

    static void Expect(bool condition, string what)
    {
        if (!condition) throw new Exception("expected: " + what);
    }

    static T Throws<T>(Action action) where T : Exception
    {
        try { action(); }
        catch (T e) { return e; }
        throw new Exception("expected a " + typeof(T).Name);
    }

    static void StreamsAndValues()
    {
        using (var session = Reader())
        using (var answering = session.Stream(new Request(Row)))
        {
            var parts = answering.ToList();
            using (var result = answering.Result)
            {
                Expect(parts.Count > 1, "several parts");
                Expect(string.Concat(parts.Select(p => p.Text)) == result.Text, "the parts make the text");
                Expect(result.Find("/text") == result.Text && result.Find("/drugs/0") == null, "values by path");
                Expect(result.Json.StartsWith("{"), "JSON");
                var answer = result.Answers.Single();
                Expect(answer.Text == result.Text && answer.Tokens.Count == result.Usage.generated_tokens, "an answer with its tokens");
                Expect(answer.Tokens.All(t => t.LogProbability <= 0), "log probabilities");
                Expect(Throws<VlmException>(() => result.GetTensor("image_embeddings")).Name == "NOT_FOUND", "no embeddings");
            }
        }
    }

    static void Images()
    {
        using (var session = Reader())
        {
            float[] file;
            using (var tensor = session.Encode(Row))
            {
                file = tensor.ToArray();
                Expect(tensor.Shape.Length == 2 && tensor.Shape[0] * tensor.Shape[1] == file.Length, "a shape");
            }
            using (var tensor = session.Encode(Image.FromBytes(File.ReadAllBytes(Row)))) Expect(tensor.ToArray().SequenceEqual(file), "bytes");
            var gray = Enumerable.Range(0, 64 * 64).Select(i => (byte)(i * 7 % 251)).ToArray();
            var rgb = gray.SelectMany(v => new[] { v, v, v }).ToArray();
            using (var one = session.Encode(Image.FromPixels(gray, 64, 64, 1)))
            using (var three = session.Encode(Image.FromPixels(rgb, 64, 64)))
                Expect(one.ToArray().SequenceEqual(three.ToArray()), "gray is RGB with equal channels");
            Throws<ArgumentException>(() => Image.FromPixels(gray, 64, 64));
            Expect(Throws<VlmException>(() => session.Encode(Image.FromPixels(new byte[32], 4, 4, 2))).Message.Contains("[4, 4, 2]"), "two channels");
        }
    }

    static void Cancelling()
    {
        using (var session = Endless())
        using (var cancellation = new CancellationTokenSource())
        {
            Throws<OperationCanceledException>(() => session.Generate(new Request(Row), part => { cancellation.Cancel(); return true; }, cancellation.Token));
            Throws<OperationCanceledException>(() => session.Generate(new Request(Row), null, cancellation.Token));
            session.Cancel();
            Throws<OperationCanceledException>(() => session.Generate(new Request(Row)));
            session.Cancel();
            session.ResetCancel();
            foreach (var part in session.Stream(new Request(Row))) break;
            using (var answering = session.Stream(new Request(Row)))  // waits until the one before has stopped, or is ABORTED
            {
                try { answering.First(); }
                catch (VlmException e) { Expect(e.Name == "ABORTED", e.Message); }
            }
            var few = new Request(Row) { Generation = new Generation { MaxNewTokens = 3, Temperature = 0 } };
            Result result = null;
            while (result == null)
                try { result = session.Generate(few); }
                catch (VlmException e) { Expect(e.Name == "ABORTED", e.Message); Thread.Sleep(5); }
            Expect(result.Answers[0].Finish == Finish.Length && result.Usage.generated_tokens == 3, "three tokens");
            result.Dispose();
            Throws<ObjectDisposedException>(() => Expect(result.Text == null, "disposed"));
        }
    }

    static void Disposing()
    {
        Session session = Endless();
        Answering answering = session.Stream(new Request(Row));
        int parts = 0;
        Throws<ObjectDisposedException>(() => { foreach (var part in answering) if (++parts == 1) answering.Dispose(); });
        answering.Dispose();
        Throws<OperationCanceledException>(() => answering.Result.Dispose());
        using (var other = session.Stream(new Request(Row)))
            foreach (var part in other)
            {
                session.Dispose();  // the answer that is being made keeps the session until it has ended
                break;
            }
        Throws<ObjectDisposedException>(() => session.Generate(new Request(Row)));
    }

    static void ThreadsAtOnce()
    {
        using (var host = new Host())
        using (var pipeline = host.OpenJson(Manifest("\"generation\": {\"max_new_tokens\": 12}")))
        {
            string expected;
            using (var session = pipeline.CreateSession())
            using (var result = session.Generate(new Request(Row))) expected = result.Text;
            var texts = new string[3];
            var threads = Enumerable.Range(0, texts.Length).Select(i => new Thread(() =>
            {
                using (var session = pipeline.CreateSession())
                using (var result = session.Generate(new Request(Row))) texts[i] = result.Text;
            })).ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            Expect(texts.All(text => text == expected), "the same answers on three threads at once");
        }
    }

    static void Callbacks()
    {
        using (var session = Endless())
        {
            int parts = 0;
            using (var result = session.Generate(new Request(Row), part => { parts++; return false; }))
                Expect(parts == 1 && result.Answers[0].Finish == Finish.StopString, "stopped by the callback");
            Expect(Throws<KeyNotFoundException>(() => session.Generate(new Request(Row), part => throw new KeyNotFoundException("mine"))).Message == "mine", "mine");
            Expect(Throws<VlmException>(() => session.Generate(new Request(Row), part => { session.Generate(new Request(Row)); return true; })).Name == "ABORTED", "busy");
        }
    }

    static void Batches()
    {
        using (var session = Reader())
        {
            var few = new Generation { MaxNewTokens = 3 };
            string alone;
            using (var result = session.Generate(new Request(Row) { Generation = few })) alone = result.Text;
            var results = session.GenerateBatch(new[] { new Request(Row), new Request(Row) }, few);
            Expect(results.Length == 2 && results.All(r => r.Text == alone), "the same answers");
            foreach (var result in results) result.Dispose();
            Expect(session.GenerateBatch(new Request[0]).Length == 0, "an empty batch");
        }
    }

    static void WrongArguments()
    {
        Session session = Reader();
        Throws<ArgumentNullException>(() => session.Generate(null));
        Throws<ArgumentNullException>(() => session.Encode(null));
        Throws<ArgumentNullException>(() => new Request((Image[])null));
        Expect(Throws<ArgumentException>(() => session.Generate(new Request((Image)null))).Message.Contains("an image is null"), "no image");
        Throws<ArgumentException>(() => session.Generate(new Request(Row) { Prompt = "a\0b" }));
        Throws<ArgumentException>(() => session.Generate(new Request(Row) { Generation = new Generation { Stops = new string[] { null } } }));
        Throws<ArgumentException>(() => session.GenerateBatch(new Request[] { null }));
        foreach (var wrong in new[] { new Generation { MaxNewTokens = -5 }, new Generation { Temperature = float.NaN }, new Generation { TopP = -1 } })
            Expect(Throws<VlmException>(() => session.Generate(new Request(Row) { Generation = wrong })).Name == "INVALID_ARGUMENT", "a wrong option");
        session.Dispose();
        session.Dispose();
        Throws<ObjectDisposedException>(() => session.Generate(new Request(Row)));
        Throws<ObjectDisposedException>(() => session.Cancel());
    }

    static void ErrorsLogAndProgress()
    {
        string folder = Path.Combine(Path.GetTempPath(), "vlm_csharp_" + Guid.NewGuid());
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "libbroken.so"), "no library");
        var lines = new List<string>();
        using (var host = new Host(folder, (level, from, text) => { lock (lines) lines.Add(level + text); }))
        {
            var error = Throws<VlmException>(() => host.Open("/no/such.json"));
            Expect(error.Name == "NOT_FOUND" && error.Code == 5 && error.Message.Contains("/no/such.json"), error.Message);
            Throws<VlmException>(() => host.OpenJson(Manifest("\"pipeline\": {\"backbone\": {\"plugin\": \"no.such\"}}")));
            Expect(lines.Any(l => l.StartsWith("Warning") && l.Contains("libbroken.so")), "a warning");
            Throws<ArgumentException>(() => host.Open("a\0b"));
        }
        Directory.Delete(folder, true);
        var seen = new List<ulong>();
        ulong last = 0;
        using (var host = new Host())
        using (host.Open(source + "/models/rx-small", (done, total) => { seen.Add(done); last = total; }))
            Expect(seen.First() == 0 && seen.Last() == last && last > 0, "progress");
        Expect(Host.AbiVersion == 1 && Host.Version.Split('.').Length == 3, "versions");
    }

    static int Main(string[] arguments)
    {
        source = arguments[0];
        foreach (Action test in new Action[] { StreamsAndValues, Images, Cancelling, Disposing, ThreadsAtOnce, Callbacks, Batches, WrongArguments, ErrorsLogAndProgress })
            try
            {
                test();
                GC.Collect();
                GC.WaitForPendingFinalizers();
                Console.WriteLine("ok   " + test.Method.Name);
            }
            catch (Exception e)
            {
                failures++;
                Console.WriteLine("FAIL " + test.Method.Name + ": " + e);
            }
        return failures;
    }
}

// Reads a prescription: opens a pipeline, shows that the reader is at work, stops cleanly on Ctrl-C (or after the seconds given as third
// argument), and prints what was found as a table.
//
//     Read MANIFEST IMAGE [SECONDS]
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;

static class Program
{
    static void ShowProgress(ulong done, ulong total)
    {
        Console.Error.Write($"\rloading {100 * done / Math.Max(total, 1),3} %");
    }

    // [ask]
    /// <summary>The rows of a page are read side by side; every part of text says which of them it belongs to.</summary>
    static Vlm.Result Ask(Vlm.Session session, string image, CancellationToken cancellation)
    {
        var rows = new HashSet<int>();
        int characters = 0;
        using (Vlm.Answering answering = session.Stream(new Vlm.Request(image), cancellation))
        {
            foreach (Vlm.Part part in answering)
            {
                rows.Add(part.Answer);
                characters += part.Text.Length;
                Console.Error.Write($"\rreading {rows.Count,3} rows, {characters,5} characters");
            }
            return answering.Result;
        }
    }
    // [ask]

    static string Value(Vlm.Result result, int drug, string member)
    {
        string text = result.Find($"/drugs/{drug}/{member}");
        return string.IsNullOrEmpty(text) ? "-" : text;
    }

    static void PrintTable(Vlm.Result result)
    {
        Console.WriteLine($"{"status",-11} {"name",-16} {"dosage",-10} printed");
        for (int drug = 0; result.Find($"/drugs/{drug}") != null; drug++)
            Console.WriteLine($"{Value(result, drug, "status"),-11} {Value(result, drug, "name"),-16} " +
                              $"{Value(result, drug, "dosage"),-10} {Value(result, drug, "printed")}");
    }

    // [main]
    static int Main(string[] arguments)
    {
        if (arguments.Length < 2)
        {
            Console.Error.WriteLine("usage: Read MANIFEST IMAGE [SECONDS]");
            return 2;
        }
        using (var cancellation = new CancellationTokenSource())
        {
            Console.CancelKeyPress += (sender, e) => { e.Cancel = true; cancellation.Cancel(); };
            try
            {
                using (var host = new Vlm.Host())
                using (Vlm.Pipeline pipeline = host.Open(arguments[0], ShowProgress))
                using (Vlm.Session session = pipeline.CreateSession())
                {
                    if (arguments.Length > 2)
                        cancellation.CancelAfter(TimeSpan.FromSeconds(double.Parse(arguments[2], CultureInfo.InvariantCulture)));
                    using (Vlm.Result result = Ask(session, arguments[1], cancellation.Token))
                    {
                        Console.Error.WriteLine();
                        PrintTable(result);
                    }
                }
                return 0;
            }
            catch (OperationCanceledException)
            {
                Console.Error.WriteLine("\ncancelled");
                return 130;
            }
            catch (Vlm.VlmException e)
            {
                Console.Error.WriteLine($"\n{e.Name}: {e.Message}");
                return 1;
            }
        }
    }
    // [main]
}

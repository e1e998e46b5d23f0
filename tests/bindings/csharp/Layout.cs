// Prints size and offsets of every struct as JSON, to be compared with what C says.
using System;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;

static class Layout
{
    static void Main()
    {
        var structs = typeof(Vlm.Native.Api).Assembly.GetTypes().Where(t => t.Namespace == "Vlm.Native" && t.IsValueType && !t.IsEnum);
        var lines = structs.Select(type =>
        {
            var members = type.GetFields(BindingFlags.Public | BindingFlags.Instance)
                              .Select(field => $", \"{field.Name}\": {Marshal.OffsetOf(type, field.Name)}");
            return $"  \"{type.Name}\": {{\"sizeof\": {Marshal.SizeOf(type)}{string.Concat(members)}}}";
        });
        Console.WriteLine("{\n" + string.Join(",\n", lines) + "\n}");
    }
}

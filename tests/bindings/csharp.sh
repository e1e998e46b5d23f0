#!/bin/sh
# Compiles the C# library with Mono's compiler, and runs its tests, the layout comparison and the sample on Mono, and on .NET where there
# is one.
# Usage: csharp.sh SOURCE WORK LAYOUT_PROGRAM PYTHON
set -eu
source=$1
work=$2
layout=$3
python=$4
for tool in mcs mono; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed (Debian: mono-mcs, mono-runtime)"; exit 77; }
done
rm -rf "$work"
mkdir -p "$work"
cd "$work"
compile="mcs -langversion:7.2 -warnaserror -r:System.Core.dll" # 7.2 is what Mono's compiler knows of 7.3
$compile -target:library -out:Vlm.dll "$source"/bindings/csharp/Vlm/*.cs
$compile -r:Vlm.dll -out:Layout.exe "$source/tests/bindings/csharp/Layout.cs"
$compile -r:Vlm.dll -out:Read.exe "$source/samples/csharp/Program.cs"
$compile -r:Vlm.dll -out:Tests.exe "$source/tests/bindings/csharp/Tests.cs"
"$python" "$source/tests/bindings/layout.py" "$layout" mono Layout.exe
if [ ! -e "$source/models/rx-small/model.safetensors" ]; then
    echo "skipped: models/rx-small has no weights"
    exit 77
fi
mono --debug Tests.exe "$source"
"$python" "$source/tests/bindings/sample.py" "$source" mono Read.exe

# Where .NET is installed (no more than its runtime is needed), the same assemblies run on it.
command -v dotnet >/dev/null || { echo "not tried on .NET: there is no dotnet"; exit 0; }
runtime=$(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([0-9.]*\) .*/\1/p' | tail -n 1)
[ -n "$runtime" ] || { echo "FAILED: dotnet has no Microsoft.NETCore.App"; exit 1; }
for program in Layout Tests Read; do
    cat >$program.runtimeconfig.json <<END
{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "$runtime"},
                    "configProperties": {"System.Globalization.Invariant": true}}}
END
done
"$python" "$source/tests/bindings/layout.py" "$layout" dotnet exec Layout.exe
dotnet exec Tests.exe "$source"
"$python" "$source/tests/bindings/sample.py" "$source" dotnet exec Read.exe
echo "also on .NET $runtime"

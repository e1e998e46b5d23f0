#!/bin/sh
# Everything that only a GPU can show, in one run, with a report: the tests, the reference folders in f32 and bf16, compute-sanitizer,
# and speed side by side with PyTorch.
#
# Usage: tools/bench/gpu.sh [OUTPUT_FOLDER]        (default: gpu-report)
# Environment: BUILD (build; a folder that has been built with VLM_CUDA=on), PYTHON (an interpreter with torch and transformers; none: speed
# is measured alone), SHAPES ("llava-1.5-7b qwen2-vl-2b"), GOLDEN (reference folders for the parity runs), NSYS=1 (a profile of decoding as
# well). A step that fails is reported and the others go on; the status is that of the worst.
set -u
cd "$(dirname "$0")/../.."
out=$(mkdir -p "${1:-gpu-report}" && cd "${1:-gpu-report}" && pwd)
build=${BUILD:-build}
shapes=${SHAPES:-llava-1.5-7b qwen2-vl-2b}
vlmhost=$build/vlmhost
report=$out/report.md
worst=0

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi >"$out/nvidia-smi.txt" 2>&1; then
    echo "this machine has no NVIDIA GPU or no driver: nothing of this can run" >&2
    exit 2
fi
{
    echo "# GPU report"
    echo
    echo "$(date -u +%Y-%m-%d), $(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)," \
         "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([^,]*\).*/CUDA \1/p'), commit $(git rev-parse --short HEAD 2>/dev/null)"
    echo
    echo "| step | result | seconds | log |"
    echo "|---|---|---|---|"
} >"$report"

# step NAME COMMAND...: runs it with its output in NAME.log, and reports.
step() {
    name=$1
    shift
    echo "== $name: $*" >&2
    begin=$(date +%s)
    if "$@" >"$out/$name.log" 2>&1; then result=passed; else result="FAILED ($?)"; worst=1; fi
    # A test that was skipped has shown nothing.
    if grep -q "skipped: \|(Skipped)\|SKIPPED" "$out/$name.log"; then result="$result, SOME SKIPPED"; fi
    echo "| $name | $result | $(($(date +%s) - begin)) | $name.log |" >>"$report"
}

step open "$vlmhost" bench --shape tiny --device cuda --starts 0 --runs 1
step tests ctest --test-dir "$build" -L gpu --output-on-failure
if [ -n "${GOLDEN:-}" ]; then
    for folder in "$GOLDEN"/*/; do
        for dtype in f32 bf16; do
            step "parity-$dtype-$(basename "$folder")" "$vlmhost" parity --device cuda --dtype "$dtype" "$folder"
        done
    done
fi
if command -v compute-sanitizer >/dev/null; then
    # Each of them slows kernels down by a factor of ten and more.
    for tool in memcheck racecheck synccheck; do
        step "sanitizer-$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 --kernel-name-exclude kns=cutlass \
            "$build/tests/gpu/test_gpu" --gtest_brief=1
    done
else
    echo "| sanitizer | NOT RUN: no compute-sanitizer | | |" >>"$report"
fi
for shape in $shapes; do
    for weights in auto int8 int4; do
        step "bench-$shape-$weights" "$vlmhost" bench --shape "$shape" --device cuda --weights "$weights" --starts 0 --batches 1,8,64 --json
    done
    if [ -n "${PYTHON:-}" ]; then
        step "peers-$shape" tools/bench/peers/peers.py --vlmhost "$vlmhost" --shape "$shape" --device cuda --python "$PYTHON" \
            --batches 1,8,64 --runs 5 --steps 32
    else
        echo "| peers-$shape | NOT RUN: set PYTHON | | |" >>"$report"
    fi
    case $shape in llava-*)  # the hybrid of DyMU and FastV among others
        step "reducers-$shape" "$vlmhost" bench --shape "$shape" --device cuda --sweep reducers --out "$out/reducers-$shape.json" ;;
    esac
    if [ "${NSYS:-0}" = 1 ] && command -v nsys >/dev/null; then
        step "nsys-$shape" nsys profile --force-overwrite true --stats true -o "$out/nsys-$shape" \
            "$vlmhost" bench --shape "$shape" --device cuda --starts 0 --runs 1 --batches 1
    fi
done
{
    for shape in $shapes; do
        [ -f "$out/peers-$shape.log" ] && { echo; cat "$out/peers-$shape.log"; }
    done
} >>"$report"
cat "$report"
exit $worst

#!/bin/sh
# Everything that only a GPU can show, in one run, with a report: the tests, the reference folders in f32 and bf16, compute-sanitizer,
# and speed side by side with PyTorch. performance.md beside the report is the table for docs/performance.md.
#
# Usage: tools/bench/gpu.sh [OUTPUT_FOLDER]        (default: gpu-report)
# Environment:
#   BUILD     a folder that has been built with VLM_CUDA=on (build)
#   PYTHON    an interpreter with torch and transformers; none: speed is measured alone
#   SHAPES    "llava-1.5-7b qwen2-vl-2b"
#   GOLDEN    reference folders for the parity runs
#   NSYS=1    a profile of decoding as well
#   ROUNDS    of measuring in turns with PyTorch (5)
#   EMULATED=1  a dry run of this script without a GPU: kernels are executed on the CPU, SHAPES is "tiny", and nothing that is measured
#             means anything
# A step that fails is reported and the others go on; the status is that of the worst.
set -u
cd "$(dirname "$0")/../.."
out=$(mkdir -p "${1:-gpu-report}" && cd "${1:-gpu-report}" && pwd)
build=${BUILD:-build}
emulated=${EMULATED:-0}
vlmhost=$build/vlmhost
report=$out/report.md
worst=0

if [ "$emulated" = 1 ]; then
    VLM_CUDA_LIBRARY=$(find "$(cd "$build" && pwd)" -name 'libvlm_compute_cuda_emulated.so' | head -n 1)
    export VLM_CUDA_LIBRARY
    [ -n "$VLM_CUDA_LIBRARY" ] || { echo "$build has no emulated CUDA library: build vlm_compute_cuda_emulated" >&2; exit 2; }
    shapes=${SHAPES:-tiny}
    gpu="NO GPU: a dry run of the script with kernels executed on the CPU; no time in it means anything"
    tests="ctest --test-dir $build -L emulated --output-on-failure"
    # Tensor cores are slow to emulate, thread by thread.
    export VLM_CUDA_ATTENTION=reference
    batches=1,2
    small="--context 64 --decode-steps 4"
    fp8=fp8
    peers="--torch-device cpu --context 64"
elif ! command -v nvidia-smi >/dev/null || ! nvidia-smi >"$out/nvidia-smi.txt" 2>&1; then
    echo "this machine has no NVIDIA GPU or no driver: nothing of this can run (EMULATED=1 tries the script itself)" >&2
    exit 2
else
    shapes=${SHAPES:-llava-1.5-7b qwen2-vl-2b}
    gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)
    tests="ctest --test-dir $build -L gpu --output-on-failure"
    batches=1,8,64
    small=
    # Ada and later; older GPUs refuse it.
    fp8=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | awk 'NR == 1 && $1 >= 8.9 { print "fp8" }')
    peers=
fi
{
    echo "# GPU report"
    echo
    echo "$(date -u +%Y-%m-%d), $gpu," \
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

# In bf16 most numbers differ from the reference, which is f32; every tensor must point where it does: cosine 0.99 and more.
parity_bf16() {
    "$vlmhost" parity --device cuda --dtype bf16 "$1" | tee "$out/bf16.txt"
    # What the f32 run found to be the same rows in another order cannot be compared row by row.
    turned=$(sed -n 's/^ *\([^ ]*\) .*in another order.*/\1/p' "$out/parity-f32-$(basename "$1").log" | sort -u | tr '\n' ' ')
    awk -v turned="$turned" 'BEGIN { n = split(turned, names, " "); for (i = 1; i <= n; ++i) skip[names[i]] = 1 }
         $1 in skip { next }
         { for (i = 1; i < NF; ++i) if ($i == "cosine") { ++tensors; if (low == "" || $(i + 1) + 0 < low) low = $(i + 1) + 0 } }
         END { print "lowest cosine of " tensors + 0 " tensors: " low; exit !(tensors > 0 && low >= 0.99) }' "$out/bf16.txt"
}

# weights_table SHAPE: medians of its stages with each type of weights, from the logs of its benchmarks.
weights_table() {
    echo
    echo "| $1, ms per stage, by weights | encode | prefill |$(echo "$batches" | tr , '\n' | sed 's/.*/ decode x& |/' | tr -d '\n')"
    echo "|---|---|---|$(echo "$batches" | tr , '\n' | sed 's/.*/---|/' | tr -d '\n')"
    for weights in auto int8 int4 $fp8; do
        line="| $weights |"
        for stage in encode 'prefill [0-9]*' $(echo "$batches" | sed 's/\([0-9]*\),*/decode.x\1 /g'); do
            line="$line $(sed -n "s/.*\"$stage\":{\"ms\":{\"min\":[^,]*,\"median\":\([^,]*\),.*/\1/p" "$out/bench-$1-$weights.log" | head -n 1) |"
        done
        echo "$line"
    done
}

# shellcheck disable=SC2086  # lists of words, here and below
step open "$vlmhost" bench --shape tiny --device cuda --starts 0 --runs 1 $small
step tests $tests
if [ -n "${GOLDEN:-}" ]; then
    for folder in "$GOLDEN"/*/; do
        step "parity-f32-$(basename "$folder")" "$vlmhost" parity --device cuda "$folder"
        # Which tokens a reducer merges or drops hangs on the last bits of scores: in bf16 it may choose others, and more or fewer.
        if grep -q '"reducer"' "$folder/expected.json" 2>/dev/null; then
            echo "| parity-bf16-$(basename "$folder") | NOT COMPARED: a reducer may choose other tokens in bf16 | | |" >>"$report"
        else
            step "parity-bf16-$(basename "$folder")" parity_bf16 "$folder"
        fi
    done
fi
if [ "$emulated" = 1 ]; then
    echo "| sanitizer | NOT RUN: no GPU | | |" >>"$report"
elif command -v compute-sanitizer >/dev/null; then
    # Each of them slows kernels down by a factor of ten and more.
    for tool in memcheck racecheck synccheck; do
        step "sanitizer-$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 --kernel-name-exclude kns=cutlass \
            "$build/tests/gpu/test_gpu" --gtest_brief=1
    done
else
    echo "| sanitizer | NOT RUN: no compute-sanitizer | | |" >>"$report"
fi
[ -n "$fp8" ] || echo "| fp8 | NOT RUN: the GPU has none | | |" >>"$report"
# What quantised weights do to the shipped model's answers.
for weights in int8 $fp8; do
    step "quality-$weights" "$vlmhost" quality --manifest samples/medical/medical.json --image samples/medical/prescription.png --device cuda \
        --weights "$weights" --min-agreement 97
done
for shape in $shapes; do
    for weights in auto int8 int4 $fp8; do
        step "bench-$shape-$weights" "$vlmhost" bench --shape "$shape" --device cuda --weights "$weights" --starts 0 --batches "$batches" --json $small
    done
    # Steps as CUDA graphs, refused when those do not work here, beside steps launched one operation at a time.
    for graphs in on off; do
        step "bench-$shape-graphs-$graphs" env VLM_CUDA_GRAPHS=$graphs \
            "$vlmhost" bench --shape "$shape" --device cuda --starts 0 --batches "$batches" --json $small
    done
    if [ -n "${PYTHON:-}" ]; then
        step "peers-$shape" "$PYTHON" tools/bench/peers/peers.py --vlmhost "$vlmhost" --shape "$shape" --device cuda --python "$PYTHON" \
            --batches "$batches" --runs 5 --steps 32 --rounds "${ROUNDS:-5}" $peers --json "$out/peers-$shape.json"
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
    echo "Measured $(date -u +%Y-%m-%d) with \`tools/bench/gpu.sh\` on $gpu."
    for shape in $shapes; do
        weights_table "$shape"
        [ -f "$out/peers-$shape.log" ] && sed -n '/^|/p; /^[a-z].* rounds in turns/p' "$out/peers-$shape.log" | sed 's/^\([^|]\)/\n\1/'
    done
} >"$out/performance.md"
{
    echo
    cat "$out/performance.md"
} >>"$report"
cat "$report"
exit $worst

#!/bin/sh
# Checks layout (clang-format) and looks for likely faults (clang-tidy, .clang-tidy) in the C and C++ files that differ from
# the last commit, or in those given, or with --all in every one. clang-tidy reads how files are compiled from
# build/compile_commands.json (VLM_BUILD for another folder).
#   tools/lint.sh [--format] [--all | FILE…]        --format: the layout only
set -eu
cd "$(dirname "$0")/.."
build=${VLM_BUILD:-build}
tidy=1
if [ "${1:-}" = --format ]; then tidy=; shift; fi
sources() { grep -E '\.(c|h|cpp|hpp|cu)$' | grep -v '^tests/abi/frozen/' || true; }
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then echo "skipped: not a git checkout"; exit 77; fi
case ${1:-} in
    --all) files=$(git ls-files | sources) ;;
    "") files=$( (git diff --name-only --diff-filter=d HEAD; git ls-files --others --exclude-standard) | sources) ;;
    *) files=$(printf '%s\n' "$@" | sources) ;;
esac
if [ -z "$files" ]; then echo "nothing to check"; exit 0; fi
if ! command -v clang-format >/dev/null; then echo "skipped: clang-format is not installed"; exit 77; fi
status=0
# shellcheck disable=SC2086  # no file here has a space in its name
clang-format --dry-run -Werror $files || status=1
[ -n "$tidy" ] || exit $status
if ! command -v clang-tidy >/dev/null; then echo "skipped: clang-tidy is not installed"; exit 77; fi
if [ ! -f "$build/compile_commands.json" ]; then echo "no $build/compile_commands.json; configure first: cmake -S . -B $build"; exit 1; fi
# Headers are looked at through the sources that include them; GPU sources need a CUDA toolkit.
for file in $(echo "$files" | grep -E '^(host|plugins|sdk)/.*\.cpp$' | grep -v '^host/compute/cuda/'); do
    clang-tidy -p "$build" --quiet "$file" || status=1
done
exit $status

#!/bin/sh
# Builds the crates without network or other crates, and runs their tests, the layout comparison and the sample.
# Usage: rust.sh debian|path SOURCE LIBRARY_FOLDER WORK LAYOUT_PROGRAM PYTHON
set -eu
source=$2
export VLM_LIB_DIR=$3 CARGO_TARGET_DIR=$4 VLM_SOURCE_DIR=$2
layout=$5
python=$6
if [ "$1" = debian ]; then
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || { echo "skipped: Debian's rustc and cargo are not installed"; exit 77; }
    export PATH="/usr/bin:$PATH"
else
    command -v cargo >/dev/null && command -v rustc >/dev/null || { echo "skipped: there is no cargo in the path"; exit 77; }
    if [ "$(command -v cargo)" = /usr/bin/cargo ]; then echo "skipped: the cargo in the path is Debian's"; exit 77; fi
fi
rustc --version
export RUSTFLAGS="-D warnings"
# Cargo.lock differs between versions of cargo, so each builds a copy.
mkdir -p "$4/source"
rm -rf "$4/source/bindings" "$4/source/samples"
mkdir -p "$4/source/bindings" "$4/source/samples"
cp -r "$source/bindings/rust" "$4/source/bindings/rust"
cp -r "$source/samples/rust" "$4/source/samples/rust"
cd "$4/source/bindings/rust"
cargo build --offline --quiet --example layout -p vlm-sys
"$python" "$source/tests/bindings/layout.py" "$layout" "$CARGO_TARGET_DIR/debug/examples/layout"
cargo test --offline --quiet -p vlm --lib
RUSTDOCFLAGS="-D warnings" cargo doc --offline --quiet --no-deps
if [ "$1" = path ] && cargo clippy --version >/dev/null 2>&1; then
    # Its opinions change with every version; what it takes for wrong does not.
    RUSTFLAGS="" cargo clippy --offline --quiet --all-targets -- -D clippy::correctness -D clippy::suspicious
else
    echo "not tried: clippy"
fi
cd "$4/source/samples/rust"
cargo build --offline --quiet
if [ ! -e "$source/models/rx-small/model.safetensors" ]; then
    echo "skipped: models/rx-small has no weights"
    exit 77
fi
"$python" "$source/tests/bindings/sample.py" "$source" "$CARGO_TARGET_DIR/debug/vlm-sample"
cd "$4/source/bindings/rust"
cargo test --offline --quiet -p vlm --test reading

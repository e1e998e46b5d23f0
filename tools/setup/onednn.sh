#!/bin/sh
# Puts oneDNN 3.2 (headers and libdnnl.so.3) into .onednn/, from the two wheels that Intel publishes on PyPI: Debian 12's is older
# than its version 3 interface. The wheels' checksums are fixed here, so what is linked is what was tested. Does nothing when
# the folder is there; without network the build goes on with the own kernels.
set -eu
cd "$(dirname "$0")/../.."
version=2023.2.0
target=.onednn
if [ "$(uname -m)" != x86_64 ]; then
    echo "oneDNN: no wheel for $(uname -m); the build uses the own kernels" >&2
    exit 0
fi
if [ -e $target/lib/libdnnl.so.3 ] && [ -e $target/include/oneapi/dnnl/dnnl.hpp ]; then exit 0; fi
part=$(mktemp -d "$PWD/.onednn.XXXXXX")
trap 'rm -rf "$part"' EXIT
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$part" \
    onednn-devel-cpu-gomp==$version onednn-cpu-gomp==$version; then
    echo "oneDNN: the wheels cannot be downloaded; the build uses the own kernels" >&2
    exit 0
fi
(
    cd "$part"
    sha256sum --check --quiet <<SUMS
9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284  onednn_devel_cpu_gomp-$version-py2.py3-none-manylinux1_x86_64.whl
2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb  onednn_cpu_gomp-$version-py2.py3-none-manylinux1_x86_64.whl
SUMS
    for wheel in *.whl; do python3 -m zipfile -e "$wheel" unpacked; done
)
mkdir -p "$part/ready/lib"
cp -r "$part/unpacked/onednn_devel_cpu_gomp-$version.data/data/include" "$part/ready/"
cp "$part/unpacked/onednn_cpu_gomp-$version.data/data/lib/libdnnl.so.3" "$part/ready/lib/"
cp "$part/unpacked/onednn_cpu_gomp-$version.data/data/share/doc/onednn/LICENSE" \
    "$part/unpacked/onednn_cpu_gomp-$version.data/data/share/doc/onednn/THIRD-PARTY-PROGRAMS" "$part/ready/"
rm -rf $target
mv "$part/ready" $target

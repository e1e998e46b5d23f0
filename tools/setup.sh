#!/bin/sh
# Installs what a fresh Debian 12 machine needs to build and test: Debian packages, and oneDNN from PyPI (Debian's is too old).
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends \
    g++ cmake ninja-build ccache pkg-config dpkg-dev python3 python3-pip python3-jsonschema \
    nlohmann-json3-dev libboost-dev libboost-filesystem-dev libboost-program-options-dev \
    libonig-dev libutf8proc-dev libsodium-dev libseccomp-dev libjpeg-dev libpng-dev libwebp-dev \
    libgtest-dev libgmock-dev libbenchmark-dev \
    python3-cffi python3-numpy python3-pil python3-setuptools python3-wheel mypy \
    mono-mcs mono-runtime libmono-system-core4.0-cil rustc cargo abigail-tools doxygen \
    clang-format >/dev/null
tools/setup/onednn.sh

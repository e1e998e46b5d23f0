#!/bin/sh
# Installs what is needed, builds, and runs all tests; then those that read untrusted files again under AddressSanitizer and
# UndefinedBehaviorSanitizer.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build build
ctest --test-dir build --output-on-failure -j "$(nproc)"
cmake -S . -B build-sanitize -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVLM_SANITIZE=address,undefined \
      -DVLM_WERROR=OFF  # GCC 12 warns falsely when it instruments
cmake --build build-sanitize --target test_host_base test_host_image test_host_json test_host_weights test_host_tokenizer \
      test_fuzz
ctest --test-dir build-sanitize --output-on-failure -j "$(nproc)" -R '^(host/(base|image|json|weights|tokenizer)|fuzz)/'

#!/bin/sh
# With raised privileges the environment decides nothing (VLM-H-09): neither where plugins are looked for nor how far they are
# trusted. Tried with a copy of vlmhost that changes its user; exits 77 where that cannot be made. Usage:
# raised_privileges.sh VLMHOST PLUGIN.so
set -eu
vlmhost=$1
plugin=$2
[ "$(id -u)" -eq 0 ] || { echo "needs root, to make a program that changes its user"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$vlmhost" "$work/plain"
cp "$vlmhost" "$work/raised"
chown 65534 "$work/raised"
chmod 4755 "$work/raised"
mkdir "$work/folder"
cp "$plugin" "$work/folder/libvlm_probe.so"
chmod -R a+rX "$work/folder"

VLM_PLUGIN_PATH=$work/folder "$work/plain" plugins 2>/dev/null | grep -q "$work/folder" ||
    { echo "FAILED: without raised privileges the search path is not used, so this test shows nothing"; exit 1; }
VLM_TRUST=nonsense "$work/plain" plugins --plugin-path "$work/folder" 2>&1 | grep -q "VLM_TRUST" ||
    { echo "FAILED: without raised privileges VLM_TRUST is not read, so this test shows nothing"; exit 1; }

"$work/raised" --help >/dev/null 2>&1 || { echo "a program with raised privileges does not start here"; exit 77; }
if VLM_PLUGIN_PATH=$work/folder "$work/raised" plugins 2>/dev/null | grep -q "$work/folder"; then
    echo "FAILED: VLM_PLUGIN_PATH is used with raised privileges"
    exit 1
fi
if VLM_TRUST=nonsense "$work/raised" plugins --plugin-path "$work/folder" 2>&1 | grep -q "VLM_TRUST"; then
    echo "FAILED: VLM_TRUST is read with raised privileges"
    exit 1
fi
echo "the environment decides nothing"

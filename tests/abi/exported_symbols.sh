#!/bin/sh
# A plugin exports vlm_plugin_entry and nothing else; libvlmhost exports vlm_* functions and nothing else.
# Usage: exported_symbols.sh PLUGIN_FOLDER LIBVLMHOST
set -eu
status=0
count=0
for plugin in "$1"/*.so; do
    count=$((count + 1))
    found=$(nm -D --defined-only "$plugin" | awk '$2 != "A" {print $3}' | tr '\n' ' ')
    if [ "$found" != "vlm_plugin_entry " ]; then
        echo "$plugin exports: $found"
        status=1
    fi
done
foreign=$(nm -D --defined-only "$2" | awk '$2 != "A" {print $3}' | grep -v '^vlm_' || true)
if [ -n "$foreign" ]; then
    echo "$2 exports: $foreign"
    status=1
fi
[ "$count" -gt 0 ] || { echo "no plugins in $1"; status=1; }
exit $status

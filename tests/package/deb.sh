#!/bin/sh
# Makes the Debian packages, unpacks them into an empty root, and tries what is there. What they depend on is taken from this system;
# that the packages name it is checked.
# Usage: deb.sh BUILD WORK CC
set -eu
BUILD=$1 WORK=$2 CC=$3
PREFIX=$WORK/root/usr
for tool in cpack dpkg-deb dpkg-shlibdeps; do
    command -v $tool > /dev/null || { echo "skipped: $tool is not installed (Debian: dpkg-dev)"; exit 77; }
done
rm -rf "$WORK"
mkdir -p "$WORK"
(cd "$BUILD" && cpack -G DEB -B "$WORK/packages") > "$WORK/cpack.log" 2>&1 || { cat "$WORK/cpack.log"; exit 1; }
for name in vlmhost vlmhost-plugins vlmhost-dev vlmhost-models; do
    package=$(find "$WORK/packages" -maxdepth 1 -name "${name}_*.deb")
    [ -n "$package" ] || { echo "there is no package $name"; cat "$WORK/cpack.log"; exit 1; }
    dpkg-deb -x "$package" "$WORK/root"
    echo "$name: $(dpkg-deb -f "$package" Depends)"
done
depends=$(dpkg-deb -f "$WORK"/packages/vlmhost_*.deb Depends)
for library in libc6 libpng16-16 libsodium23 libseccomp2; do
    case $depends in *$library*) ;; *) echo "vlmhost does not depend on $library, but on: $depends"; exit 1 ;; esac
done
. "$(dirname "$0")/try.sh"
rm -rf "$WORK/root" "$WORK/packages"

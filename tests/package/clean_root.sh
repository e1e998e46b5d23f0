#!/bin/sh
# Installs the Debian packages, signed, into a Debian 12 that has nothing but its base system, and does there what the README
# promises: reads a prescription as a user without rights, in one process and isolated; refuses what the operator's policy does
# not trust; builds, checks and runs the sample application and plugins. Then the packages are removed again.
# The base system is fetched once (debootstrap) and kept in WORK/base.tar. Needs root, the network and cpack; exits 77 without.
# Usage: clean_root.sh BUILD WORK [MIRROR]
set -eu
BUILD=$1 WORK=$2 MIRROR=${3:-http://deb.debian.org/debian}
ROOT=$WORK/root
skip() { echo "skipped: $1"; exit 77; }
fail() { echo "FAILED: $1"; exit 1; }
[ "$(id -u)" -eq 0 ] || skip "needs root, to change into another root folder"
for tool in debootstrap cpack dpkg-shlibdeps unshare; do
    command -v $tool >/dev/null || skip "$tool is not installed (Debian: debootstrap, cmake, dpkg-dev, util-linux)"
done
unshare --mount true 2>/dev/null || skip "this system lets nobody mount anything"
mkdir -p "$WORK"
if [ ! -e "$WORK/base.tar" ]; then
    rm -rf "$ROOT"
    debootstrap --variant=minbase bookworm "$ROOT" "$MIRROR" >"$WORK/debootstrap.log" 2>&1 ||
        { tail -n 3 "$WORK/debootstrap.log"; skip "no Debian from $MIRROR"; }
    tar -C "$ROOT" -cf "$WORK/base.part" . && mv "$WORK/base.part" "$WORK/base.tar"
fi
rm -rf "$ROOT" "$WORK/packages" "$WORK/keys"
mkdir -p "$ROOT" "$WORK/keys"
tar -C "$ROOT" -xf "$WORK/base.tar"

"$BUILD/vlmhost" keygen "$WORK/keys/maker.key" --comment "clean root" >/dev/null
(cd "$BUILD" && VLM_SIGNING_KEY=$WORK/keys/maker.key cpack -G DEB -B "$WORK/packages") >"$WORK/cpack.log" 2>&1 ||
    { tail -n 20 "$WORK/cpack.log"; fail "cpack"; }
mkdir "$ROOT/packages"
# An earlier version, with a file that the present one does not have, to upgrade from.
rm -rf "$WORK/earlier"
dpkg-deb -R "$WORK"/packages/vlmhost_*.deb "$WORK/earlier"
sed -i 's/^Version: .*/Version: 0.0.1/' "$WORK/earlier/DEBIAN/control"
mkdir -p "$WORK/earlier/usr/share/doc/vlmhost"
echo "of an earlier version" >"$WORK/earlier/usr/share/doc/vlmhost/earlier.txt"
dpkg-deb -b "$WORK/earlier" "$ROOT/packages/earlier.deb" >/dev/null
cp "$WORK"/packages/*.deb "$WORK/keys/maker.key.pub" "$(dirname "$0")/clean_root_inside.sh" "$ROOT/packages"
cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
# What was mounted goes with the process that mounted it.
unshare --mount sh -eu -c "
    mount -t proc proc '$ROOT/proc'
    mount --bind /dev '$ROOT/dev'
    exec chroot '$ROOT' /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root sh /packages/clean_root_inside.sh"
rm -rf "$ROOT" "$WORK/packages" "$WORK/earlier"

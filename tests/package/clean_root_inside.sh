# Runs inside the root of clean_root.sh, where /packages holds the packages and the public key of who signed their plugins.
set -eu
export DEBIAN_FRONTEND=noninteractive
fail() { echo "FAILED: $1"; exit 1; }
quietly() { "$@" >/tmp/quiet.log 2>&1 || { tail -n 20 /tmp/quiet.log; fail "$*"; }; }
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp "$@"; }
quietly apt-get update
find / -xdev -path /proc -prune -o -path /var -prune -o -path /tmp -prune -o -type f -print | sort >/tmp/before.txt

echo "== operator: an earlier vlmhost, upgraded; plugins, models"
quietly apt-get install -y --no-install-recommends /packages/earlier.deb
[ -e /usr/share/doc/vlmhost/earlier.txt ] || fail "the earlier version is not there, so the upgrade shows nothing"
quietly apt-get install -y --no-install-recommends /packages/vlmhost_*.deb /packages/vlmhost-plugins_*.deb /packages/vlmhost-models_*.deb
[ ! -e /usr/share/doc/vlmhost/earlier.txt ] || fail "the upgrade leaves a file of the earlier version"
vlmhost --version | grep -q "$(dpkg-query -W -f '${Version}' vlmhost)" || fail "vlmhost is not of the version that is installed"
medical=/usr/share/vlm/samples/medical
read_page() { as_user vlmhost --manifest "$1" --image $medical/prescription.png --json 2>/tmp/log.txt >/tmp/answer.json; }
read_page $medical/medical.json || { cat /tmp/log.txt; fail "the README's main command"; }
grep -q '"name":"tacrolimus"' /tmp/answer.json || { cat /tmp/answer.json; fail "the prescription was not read"; }
sed 's/"plugin": "org.vlmhost.drug_validator"/&, "isolate": {"memory_mb": 500}/' $medical/medical.json >$medical/isolated.json
read_page $medical/isolated.json || { cat /tmp/log.txt; fail "isolated"; }
grep -q '"name":"tacrolimus"' /tmp/answer.json || { cat /tmp/answer.json; fail "the prescription was not read isolated"; }
rm $medical/isolated.json

echo "== policy: require"
mkdir -p /etc/vlm/keys
echo '{"policy": "require", "keys": ["keys"]}' >/etc/vlm/trust.json
if read_page $medical/medical.json; then fail "without any key, plugins are trusted: /etc/vlm/trust.json is not read"; fi
grep -q "is not trusted" /tmp/log.txt || { cat /tmp/log.txt; fail "the refusal does not say why"; }
cp /packages/maker.key.pub /etc/vlm/keys/
read_page $medical/medical.json || { cat /tmp/log.txt; fail "signed plugins are refused"; }
validator=$(find /usr/lib -name libvlm_drug_validator.so)
cp "$validator" /tmp/kept.so
printf x >>"$validator"
if read_page $medical/medical.json; then fail "a changed plugin is trusted"; fi
rm "$validator.json" "$validator.json.sig"
cp /tmp/kept.so "$validator"
if read_page $medical/medical.json; then fail "an unsigned plugin is trusted"; fi
vlmhost keygen /tmp/site.key >/dev/null
cp /tmp/site.key.pub /etc/vlm/keys/
vlmhost sign "$validator" --key /tmp/site.key >/dev/null
read_page $medical/medical.json || { cat /tmp/log.txt; fail "a plugin that the operator signed is refused"; }
rm -r /etc/vlm

echo "== GPU: said clearly where there is none"
if as_user vlmhost --manifest $medical/medical.json --device cuda --image $medical/prescription.png 2>/tmp/log.txt >/dev/null; then
    fail "--device cuda works without a GPU"
fi
cat /tmp/log.txt
if ls /packages/vlmhost-cuda_*.deb >/dev/null 2>&1; then
    quietly apt-get install -y --no-install-recommends /packages/vlmhost-cuda_*.deb
    if as_user vlmhost --manifest $medical/medical.json --device cuda --image $medical/prescription.png 2>/tmp/log.txt >/dev/null; then
        fail "--device cuda works without a driver"
    fi
    cat /tmp/log.txt
fi

echo "== developer: vlmhost-dev"
quietly apt-get install -y --no-install-recommends /packages/vlmhost-dev_*.deb gcc g++ libc6-dev make cmake pkg-config nlohmann-json3-dev
samples=/usr/share/vlm/samples
mkdir /tmp/work
# shellcheck disable=SC2046 # flags are words
gcc -std=c11 -D_POSIX_C_SOURCE=200809L $samples/c/read.c -o /tmp/work/read $(pkg-config --cflags --libs vlmhost) -pthread
as_user /tmp/work/read $medical/medical.json $medical/prescription.png 2>/tmp/log.txt >/tmp/table.txt ||
    { cat /tmp/log.txt; fail "the sample in C"; }
grep -q tacrolimus /tmp/table.txt || fail "the sample in C read nothing"
gcc -std=c11 -O2 -shared -fPIC -fvisibility=hidden $samples/vendor_plugin_c/unsure_tokens.c -lm -Wl,--no-undefined -o /tmp/work/libvlm_unsure_tokens.so
quietly vlmhost check /tmp/work/libvlm_unsure_tokens.so
vlmhost new-plugin token_reducer my_reducer /tmp/work/my_reducer >/dev/null
quietly cmake -S /tmp/work/my_reducer -B /tmp/work/my_reducer/build
quietly cmake --build /tmp/work/my_reducer/build
quietly ctest --test-dir /tmp/work/my_reducer/build --output-on-failure
quietly vlmhost --manifest /tmp/work/my_reducer/manifest.json --model /usr/share/vlm/models/rx-small --plan
quietly apt-get install -y --no-install-recommends python3-cffi python3-pip python3-setuptools python3-wheel python3-venv
as_user env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/usr/share/vlm/bindings/python python3 $samples/python/read.py $medical/medical.json \
    $medical/prescription.png 2>/tmp/log.txt >/tmp/table.txt || { cat /tmp/log.txt; fail "the sample in Python"; }
grep -q tacrolimus /tmp/table.txt || fail "the sample in Python read nothing"
# Into an environment of its own, from a copy, with Debian's cffi.
cp -r /usr/share/vlm/bindings/python /tmp/work/python
python3 -m venv --system-site-packages /tmp/work/venv
quietly /tmp/work/venv/bin/pip install --no-build-isolation --no-index /tmp/work/python
/tmp/work/venv/bin/python $samples/python/read.py $medical/medical.json $medical/prescription.png 2>/tmp/log.txt >/tmp/table.txt ||
    { cat /tmp/log.txt; fail "the wheel in a fresh environment"; }
grep -q tacrolimus /tmp/table.txt || fail "the wheel read nothing"
[ -e /usr/share/doc/vlm/vendors.md ] || fail "the documentation is missing"

echo "== removed"
quietly apt-get purge -y 'vlmhost*'
find / -xdev -path /proc -prune -o -path /var -prune -o -path /tmp -prune -o -type f -print | sort >/tmp/after.txt
left=$(comm -13 /tmp/before.txt /tmp/after.txt | grep -i vlm | grep -v '^/packages' || true)
[ -z "$left" ] || fail "purging leaves: $left"
echo "the packages work on a clean Debian 12"

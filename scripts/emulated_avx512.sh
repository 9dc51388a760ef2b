#!/usr/bin/env bash
# Runs the AVX-512 rows of every kernel table under the Bochs emulator, on any processor: a Linux
# kernel of Debian's with nothing but the test programs, on a CD that the emulator boots. Needs the
# built tests; takes 15 to 30 minutes. Usage: scripts/emulated_avx512.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
scripts/deps.sh emulator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{iso,root/bin,root/dev,root/proc,root/tmp}

kernel=$(apt-cache depends linux-image-cloud-amd64 | grep -o 'linux-image-[0-9].*' | head -1)
(cd "$work" && apt-get -q download "$kernel" 2>/dev/null && dpkg -x linux-image-*.deb kernel)
cp "$work"/kernel/boot/vmlinuz-* "$work/iso/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso/"

tests=(kernels_test ops_test)
cp "$(command -v busybox)" "$work/root/bin/"
for test in "${tests[@]}"; do
  strip -o "$work/root/bin/$test" "$build/tests/$test"
  for library in $(ldd "$build/tests/$test" | grep -o '/[^ ]*\.so[^ ]*'); do
    mkdir -p "$work/root$(dirname "$library")"
    cp -Lu "$library" "$work/root$library"
  done
done
cat > "$work/root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec > /dev/ttyS0 2>&1
export OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=1
cd /tmp
/bin/kernels_test --gtest_color=no --gtest_filter='*avx512*' && /bin/ops_test --gtest_color=no \
  --gtest_filter='Descent.*:Lanes.*:ValueRounder.*:Pruning.*:KernelTables.*' && echo "emulated: passed"
/bin/busybox poweroff -f
INIT
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/iso/initrd.gz"

# What Bochs 2.7 describes wrongly, or Linux would use without need, is hidden from the kernel; the
# tests ask the processor themselves.
hidden=pku,ospke,xsaves,xsavec,aperfmperf,rdpid,fsrm,erms,umip,movdiri,movdir64b,waitpkg,gfni,vaes,vpclmulqdq,sha_ni
cat > "$work/iso/isolinux.cfg" <<CFG
DEFAULT tests
LABEL tests
 KERNEL vmlinuz
 APPEND initrd=initrd.gz console=ttyS0,115200 rdinit=/init mitigations=off nokaslr tsc=reliable quiet clearcpuid=$hidden lsm= nofsgsbase nopti no_timer_check
CFG
xorriso -as mkisofs -quiet -o "$work/tests.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
  -boot-info-table "$work/iso"
cat > "$work/bochsrc" <<CFG
cpu: model=corei7_icelake_u, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=$work/tests.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
display_library: rfb, options="timeout=0"
log: $work/log
clock: sync=none
CFG
touch "$work/serial"
tail -f --pid=$$ "$work/serial" &
# Debian's Bochs is built with its debugger, which waits for a word before it starts.
timeout 7200 bochs -q -f "$work/bochsrc" > "$work/bochs.out" 2>&1 \
  < <(echo c; exec tail -f --pid=$$ /dev/null) || true
grep -qa 'emulated: passed' "$work/serial" || { echo "emulated_avx512.sh: not passed" >&2; exit 1; }

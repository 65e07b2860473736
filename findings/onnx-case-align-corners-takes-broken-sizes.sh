#!/usr/bin/env bash
# ONNX's own cases of Resize with align_corners and scales (1.12.0, Debian's libonnx-testdata): a map of 2 x 4 times 0.6 has a result of 1 x 2, and the expected
# numbers are those of a result that is 2.4 wide: x = 1 (4 - 1) / (2.4 - 1) = 2.14. The specification divides by `length_resized - 1`; the
# corner is not kept. onnxruntime 1.30.0 takes the size that the result has, 2, and gives the corner itself. Whoever compares a reader of ONNX with the
# cases finds it wrong in test_resize_downsample_scales_linear_align_corners and in the cubic one where it is right.
#   the case:    1 3.142857
#   onnxruntime: 1 4
set -euo pipefail
version=1.12.0-2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq "libonnx-testdata=$version" 2> /dev/null
dpkg-deb -x libonnx-testdata_*.deb .
npm init -y > /dev/null
# Its install script would fetch libraries for GPUs.
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-node@1.30.0
cat > seen.mjs <<'JS'
import { readFileSync } from 'node:fs'
import ort from 'onnxruntime-node'
const folder = 'usr/share/libonnx-testdata/data/node/test_resize_downsample_scales_linear_align_corners'
// The two numbers are the last eight bytes but for the name 'Y' of the tensor, or stand behind it.
const file = readFileSync(`${folder}/test_data_set_0/output_0.pb`)
const raw = file.indexOf(Buffer.of(0x4a, 8))
const want = [file.readFloatLE(raw + 2), file.readFloatLE(raw + 6)].map((v) => +v.toPrecision(7))
const session = await ort.InferenceSession.create(`${folder}/model.onnx`)
const { Y } = await session.run({
  X: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [1, 1, 2, 4]),
  scales: new ort.Tensor('float32', Float32Array.of(1, 1, 0.6, 0.6), [4]),
})
console.log('the case:   ', ...want)
console.log('onnxruntime:', ...Y.data)
if (want.join() !== '1,3.142857' || [...Y.data].join() !== '1,4') throw new Error('they do otherwise now')
JS
node seen.mjs

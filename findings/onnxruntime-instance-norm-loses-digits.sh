#!/usr/bin/env bash
# InstanceNormalization of onnxruntime 1.30.0 on the CPU loses digits where a mean is large beside the deviation: values of 1000 +- 0.01, exact in float32, come out wrong
# by percents of the deviation. What two passes over float32 give (the mean first, then squares of the differences) is right to 1e-6 or so: the runtime itself
# gives that when the same numbers come with 1000 already taken away. The model is ONNX's own case (1.12.0, Debian's libonnx-testdata), the numbers are ours.
#   1000 +- 0.01: wrong by more than 0.001
#      0 +- 0.01: wrong by less than 0.00001
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
import ort from 'onnxruntime-node'
const session = await ort.InferenceSession.create('usr/share/libonnx-testdata/data/node/test_instancenorm_epsilon/model.onnx', { logSeverityLevel: 3 })
const [rows, n, eps] = [2 * 3, 4 * 5, 0.01]
/** The largest error, as a share of the largest value, against float64. */
async function error(mean) {
  // Values around 1000 are multiples of 2^-14; what is taken away leaves them exact.
  const x = Float32Array.from({ length: rows * n }, (_, i) => Math.fround(1000 + 0.01 * Math.sin(7 * i)) - 1000 + mean)
  const ones = new ort.Tensor('float32', new Float32Array(3).fill(1), [3])
  const zeros = new ort.Tensor('float32', new Float32Array(3), [3])
  const { y } = await session.run({ x: new ort.Tensor('float32', x, [2, 3, 4, 5]), s: ones, bias: zeros })
  let [worst, scale] = [0, 0]
  for (let row = 0; row < rows; row++) {
    const values = [...x.subarray(row * n, row * n + n)]
    const centre = values.reduce((a, b) => a + b, 0) / n
    const variance = values.reduce((a, b) => a + (b - centre) ** 2, 0) / n
    values.forEach((value, i) => {
      const want = (value - centre) / Math.sqrt(variance + eps)
      worst = Math.max(worst, Math.abs(y.data[row * n + i] - want))
      scale = Math.max(scale, Math.abs(want))
    })
  }
  return worst / scale
}
const [far, near] = [await error(1000), await error(0)]
console.log('1000 +- 0.01: wrong by', far > 1e-3 ? 'more than 0.001' : 'less than 0.001')
console.log('   0 +- 0.01: wrong by', near < 1e-5 ? 'less than 0.00001' : 'more than 0.00001')
if (far <= 1e-3 || near >= 1e-5) throw new Error('it does otherwise now')
JS
node seen.mjs

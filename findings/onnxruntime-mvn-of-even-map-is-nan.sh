#!/usr/bin/env bash
# MeanVarianceNormalization of onnxruntime 1.30.0 on the CPU gives NaN for a channel whose numbers are all equal. ONNX defines the operator as a function that adds 1e-9 to
# the deviation, so that 0 comes out; onnxruntime itself gives 0 when it runs that function written out. Both models are ONNX's own case (1.12.0, Debian's
# libonnx-testdata): test_mvn has the operator, test_mvn_expanded its function; the numbers are ours: channel 1 holds 2 everywhere.
#   operator: NaN in 9 of 9 places of the even channel, right elsewhere
#   function: 0 in 9 of 9 places of the even channel, right elsewhere
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
const [n, channels, points] = [3, 3, 3]
const channelOf = (i) => Math.floor(i / points) % channels
const x = Float32Array.from({ length: n * channels * points }, (_, i) => (channelOf(i) === 1 ? 2 : Math.sin(7 * i)))
/** (x - mean) / (deviation + 1e-9) of each channel, in float64. */
const want = Float64Array.from(x, (value, i) => {
  const all = [...x].filter((_, j) => channelOf(j) === channelOf(i))
  const mean = all.reduce((a, b) => a + b, 0) / all.length
  return (value - mean) / (Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length) + 1e-9)
})
const seen = []
for (const [what, name] of [['operator', 'test_mvn'], ['function', 'test_mvn_expanded']]) {
  const session = await ort.InferenceSession.create(`usr/share/libonnx-testdata/data/node/${name}/model.onnx`, { logSeverityLevel: 3 })
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', x, [n, channels, points, 1]) })
  const y = [...results[session.outputNames[0]].data]
  const even = y.filter((_, i) => channelOf(i) === 1)
  const isRight = y.every((value, i) => channelOf(i) === 1 || Math.abs(value - want[i]) < 1e-4)
  const value = even.every(Number.isNaN) ? 'NaN' : even.every((v) => v === 0) ? '0' : even.join(' ')
  seen.push(`${what}: ${value} in ${even.length} of 9 places of the even channel, ${isRight ? 'right' : 'wrong'} elsewhere`)
}
console.log(seen.join('\n'))
if (!/^operator: NaN .* right.*\nfunction: 0 .* right/.test(seen.join('\n'))) throw new Error('it does otherwise now')
JS
node seen.mjs

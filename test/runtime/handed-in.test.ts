import { expect, test } from 'vitest'
import { compile, inspect, inspectManifest } from '../../compiler/index.ts'
import { exportCaffe, exportOnnx, exportOnnxStep, exportTorch } from '../../export/index.ts'
import { bytesSource, formatOf, importModel, importReport, safetensorsParts, tensorBytes, writeNet } from '../../import/index.ts'
import { arrays, augment, checkBundle, cifar10Dataset, matchWeights, open, packBundle, part, readIdx, readSafetensors, wasm, webgpu,
  writeSafetensors } from '../../runtime/index.ts'
import { loadData, loadDataset, readBundle, readSnapshot, writeBundle, writeSnapshot } from '../../runtime/node.ts'

const TEXT = 'net n { input x: f32[2] output y = x -> fc(1) as f }'
const bundle = compile(TEXT)
const model = {
  name: 'n',
  inputs: [{ value: 'x', shape: [2] }],
  layers: [{ op: 'relu', inputs: ['x'], arguments: {}, output: 'y', from: [] }],
  results: [{ kind: 'output', name: 'y', value: 'y' }],
  notes: [],
}
const column = { shape: [2], type: 'f32', data: new Float32Array(4) } as const
const said = async (work: () => unknown): Promise<string> => {
  try {
    await work()
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  return 'nothing'
}
const any = (value: unknown): never => value as never

/** These have no names of their own: taken as options or tensors they would count as empty, and a net would answer from its initial weights. */
test.each([['a promise', Promise.resolve(new Map())], ['a Set', new Set()], ['a date', new Date(0)]])(
  '%s is neither options nor tensors nor columns',
  async (_, value) => {
    const device = await wasm({ threads: 1 })
    const net = await open(bundle, { device })
    const works = {
      weights: () => open(bundle, { device, weights: any(value) }),
      options: () => open(bundle, any(value)),
      compile: () => compile('', any(value)),
      run: () => net.run({ x: [1, 2] }, any(value)),
      parameters: () => net.setParameters(any(value), { strict: false }),
      columns: () => arrays(any(value)),
    }
    for (const [name, work] of Object.entries(works)) expect(await said(work), name).toMatch(/^InputError: .*(wanted|options as an object)/)
    net.close()
    device.close()
  },
)

test('promises are told as such', async () => {
  expect(await said(() => open(bundle, { weights: any(Promise.resolve()) }))).toBe(
    'InputError: weights are wanted as a Map or an object, { name: { shape, data } }; here is a promise that was not awaited',
  )
})

test('a column with a name that there is not is refused: pictures would not be scaled, labels would have no classes', async () => {
  expect(await said(() => arrays({ x: { ...column, scal: 1 / 255 } as never }))).toBe(
    'InputError: column x: there is no scal; did you mean scale? (a column has shape, type, data, scale, classes, classNames, columns)',
  )
  expect(await said(() => arrays({ x: { ...column, constructor: 3 } as never }))).toMatch(/there is no constructor/)
})

test.each<[string, () => unknown, RegExp]>([
  ['part', () => part(arrays({ x: column }), NaN, 2), /part takes samples by whole numbers from 0 on, not NaN/],
  ['part', () => part(arrays({ x: column }), 0, any('2')), /not "2"/],
  ['part', () => part(any(loadDataset('mnist')), 0, 1), /a dataset is wanted.*a promise that was not awaited/],
  ['augment', () => augment(arrays({ x: column }), any(['mirror'])), /augment takes a list of calls/],
  ['augment', () => augment(any(null), []), /a dataset is wanted/],
  ['readSafetensors', () => readSafetensors(any(new ArrayBuffer(9))), /takes a Uint8Array, not an ArrayBuffer: new Uint8Array\(buffer\)/],
  ['readIdx', () => readIdx(any('train')), /readIdx takes a Uint8Array, not "train"/],
  ['cifar10Dataset', () => cifar10Dataset(any(new Uint8Array(3))), /takes a list of files/],
  ['webgpu', () => webgpu({ gpu: any(import('webgpu')) }), /webgpu: gpu a promise that was not awaited: a GPU as navigator.gpu is one/],
  [
    'a Map of files',
    () => open(any(new Map([['bundle.json', new ArrayBuffer(9)]]))),
    /Map of a bundle's files, for bundle.json, takes a Uint8Array, not an ArrayBuffer/,
  ],
  ['writeBundle', () => writeBundle(any(Promise.resolve(bundle)), 'nowhere/at/all'), /a bundle is wanted.*a promise that was not awaited/],
  ['writeBundle', () => writeBundle(bundle, any(undefined)), /to the path of a folder, not to undefined/],
  ['writeSafetensors', () => writeSafetensors(any({ w: 1 })), /takes a Map of tensors, not an object/],
  ['readBundle', () => readBundle(any(undefined)), /readBundle takes the path of a folder, not undefined/],
  ['loadDataset', () => loadDataset('mnist', any({ splt: 'test' })), /loadDataset has no option splt; did you mean split\?/],
  ['loadDataset', () => loadDataset('mnist', any({ testData: 'mnist' })), /loadDataset has no option testData/],
  ['loadData', () => loadData('mnist', { shape: any([28, 28]) }), /loadData: shape a list of 2: \[channels, height, width\]/],
  ['readBundle', () => readBundle('nowhere', any({ program: ['infer'] })), /readBundle has no option program; did you mean programs\?/],
  ['checkBundle', () => checkBundle(any(undefined)), /a bundle is wanted.*here is undefined/],
  ['matchWeights', () => matchWeights(any(Promise.resolve(bundle)), new Map()), /a bundle is wanted.*a promise that was not awaited/],
  ['matchWeights', () => matchWeights(bundle, new Map(), any({ frsh: [] })), /matchWeights has no option frsh; did you mean fresh\?/],
  ['inspectManifest', () => inspectManifest(any(bundle), 'wasm', 1), /takes the manifest of a bundle, not an object/],
  ['inspectManifest', () => inspectManifest(bundle.manifest, 'wsm', 1), /"wsm" is none of the bundle's plans \(webgpu, wasm\)/],
  ['inspectManifest', () => inspectManifest(bundle.manifest, 'wasm', any(undefined)), /batch undefined: a positive integer/],
  [
    'compile',
    () => compile(TEXT, { schedules: any({ wsm: {} }) }),
    /schedules an object: an object \{ TARGET: \{ KERNEL: schedule \} \}.*webgpu, wasm/,
  ],
  ['compile', () => compile(TEXT, { schedules: { wasm: { key: any(3) } } }), /schedules an object: an object \{ TARGET/],
  [
    'compile',
    () => compile('nets/digits.net'),
    /compile takes the text of a net, not the name of its file: .*readFile\("nets\/digits.net", 'utf8'\)/,
  ],
  ['inspect', () => inspect('./digits.net'), /inspect takes the text of a net, not the name of its file/],
  ['loadDataset', () => loadDataset('package.csv'), /there is no (file|dataset)/],
  ['exportOnnx', () => exportOnnx(any(undefined)), /exportOnnx takes a bundle, as compile.*here is undefined/],
  ['exportOnnx', () => exportOnnx(bundle, any({ opst: 13 })), /exportOnnx has no option opst; did you mean opset\?/],
  ['exportOnnx', () => exportOnnx(bundle, { parameters: any({ w: 1 }) }), /parameters an object: a Map of \{ shape, data \}/],
  ['exportOnnxStep', () => exportOnnxStep(any('net')), /exportOnnxStep takes a bundle.*here is "net"/],
  ['exportOnnxStep', () => exportOnnxStep(bundle, any({ style: 'spilt' })), /style "spilt": 'merged' or 'split' is wanted/],
  ['exportCaffe', () => exportCaffe(any(bundle.manifest)), /exportCaffe takes a bundle/],
  ['exportCaffe', () => exportCaffe(bundle, { fold: any('yes') }), /exportCaffe: fold "yes": true or false is wanted/],
  ['exportTorch', () => exportTorch(any({ manifest: {} })), /exportTorch takes a bundle/],
  ['exportTorch', () => exportTorch(bundle, any({ traind: false })), /exportTorch has no option traind; did you mean trained\?/],
  ['bytesSource', () => bytesSource('net.onnx', any('bytes')), /bytesSource takes a Uint8Array, not "bytes"/],
  ['bytesSource', () => bytesSource(any(new Uint8Array(2)), any(undefined)), /takes the name of a file first/],
  ['importModel', () => importModel(any(new Uint8Array(2))), /importModel takes a ByteSource, bytesSource\('net.onnx', bytes\)/],
  [
    'importModel',
    () => importModel(bytesSource('net.onnx', new Uint8Array(2)), any({ shape: 1 })),
    /no option shape; did you mean shapes\?/,
  ],
  [
    'writeNet',
    () => writeNet(any(importModel(bytesSource('net.cfg', new Uint8Array(2))).catch(() => 0))),
    /writeNet takes a model.*a promise that was not awaited/,
  ],
  [
    'importReport',
    () => importReport(any(undefined), any(undefined), []),
    /importReport takes a model, as await importModel.*not undefined/,
  ],
  [
    'importReport',
    () => importReport(any(model), any(model), []),
    /importReport takes a written net, as writeNet\(model\) gives it, not an object/,
  ],
  ['importReport', () => importReport(any(model), writeNet(any(model)), any('net.onnx')), /files "net.onnx": a list of names is wanted/],
  ['safetensorsParts', () => safetensorsParts(any({ w: column })), /takes a list of tensors, writeNet\(model\).tensors, not an object/],
  [
    'safetensorsParts',
    () => safetensorsParts(any([column])),
    /number 1 of the tensors is no \{ name, tensor: \{ shape, values \} \}: an object/,
  ],
  ['safetensorsParts', () => safetensorsParts([], any(3)), /progress 3: a function is wanted/],
  ['tensorBytes', () => tensorBytes(any(importModel(bytesSource('a.cfg', new Uint8Array(2))).catch(() => 0))), /tensorBytes.*not awaited/],
  ['packBundle', () => packBundle(bundle, any({ 'a.txt': new Uint8Array(1) })), /files beside a bundle are wanted as a Map of bytes/],
  ['readSnapshot', () => readSnapshot(any(5)), /readSnapshot takes the path of a file, not 5/],
  ['writeSnapshot', () => writeSnapshot(any({}), any(undefined)), /writeSnapshot writes to the path of a file, not to undefined/],
  ['formatOf', () => formatOf(any(undefined)), /formatOf takes a ByteSource/],
  ['loadDataset', () => loadDataset(any(undefined)), /data are named by a text, not undefined \(there are mnist/],
])('%s', async (_, work, message) => expect(await said(work)).toMatch(message))

test('a net of outputs alone cannot be evaluated, and no other way of compiling it is proposed', async () => {
  const device = await wasm({ threads: 1 })
  const net = await open(bundle, { device })
  expect(await said(() => net.evaluate(arrays({ x: column })))).toBe(
    'InputError: this net has no program eval: it has no loss and no metric',
  )
  net.close()
  device.close()
})

import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkOnnxStep } from '../../cli/check-onnx-step.ts'
import { compile } from '../../compiler/index.ts'
import { exportOnnxStep, type OnnxStepOptions } from '../../export/index.ts'
import { randomNet } from '../support/random-net.ts'
import { variedNet } from '../support/varied-net.ts'
import { bytesOf, hasPythonOnnx, onnxRuntime, onnxRuntimeFolder, temporaryFile, trained } from './onnx-runtime.ts'
import { compareSteps } from './step-runner.ts'

const samples = join(import.meta.dirname, '../../samples')
const tiny = readFileSync(join(samples, 'onnx-step/tiny.net'), 'utf8')
const exported = (text: string, options: OnnxStepOptions = {}) => {
  const bundle = compile(text, { targets: [], programs: ['train'] })
  return exportOnnxStep({ ...bundle, weights: trained(bundle) }, options)
}
const net = (body: string, train = '') => `net one {\n  input x: f32[6]\n  input label: class[3]\n  ${body}\n}\n${train}`
const head = net('loss = softmax_loss(x -> fc(8) -> dropout(0.5) -> fc(3), label)')

test('takes data, the rate and the state, and gives losses, metrics and the state behind it', () => {
  const { graph, state, start } = exported(tiny)
  expect(graph.inputs.slice(0, 3)).toEqual([
    { name: 'image', type: 'f32', shape: ['N', 1, 8, 8] },
    { name: 'label', type: 'i32', shape: ['N'] },
    { name: 'rate', type: 'f32', shape: [] },
  ])
  expect(state).toEqual([
    ...['conv1.weight', 'bn1.gamma', 'bn1.beta', 'bn1.running_mean', 'bn1.running_var', 'head.weight', 'head.bias'],
    'solver/step',
    ...['conv1.weight', 'bn1.gamma', 'bn1.beta', 'head.weight', 'head.bias'].map((name) => `history/history.h/${name}`),
  ])
  expect(graph.inputs.slice(3).map(({ name }) => name)).toEqual(state)
  expect(graph.outputs.map(({ name }) => name)).toEqual(['loss', 'count/non_finite', ...state.map((name) => `next/${name}`)])
  expect(start.graph.inputs).toEqual([])
  expect(start.graph.outputs.map(({ name, shape }) => [name, shape])).toEqual(graph.inputs.slice(3).map(({ name, shape }) => [name, shape]))
})

test('asks for the numbers of dropout, and for the labels of several batches', () => {
  expect(exported(head).feeds).toEqual({ rate: 'rate', random: [{ name: 'random/dropout_1', layer: 'dropout_1' }], divisors: [] })
  const { feeds, state } = exported(`${head}train { batch 4 steps 9 accumulate 2 solver adam(lr: 0.01) }`)
  expect(feeds.divisors).toEqual([{ name: 'divisor.label.-1', input: 'label', ignore: -1 }])
  expect(state.filter((name) => name.includes('fc_1.bias'))).toEqual([
    'fc_1.bias',
    'solver/sum/fc_1.bias',
    'history/history.m/fc_1.bias',
    'history/history.v/fc_1.bias',
  ])
})

test('gradient descent without momentum keeps no history; what is frozen is not among what changes', () => {
  expect(exported(net('loss = softmax_loss(x -> fc(3), label)', 'train { solver sgd(lr: 0.1) steps 3 }')).state).toEqual(
    ['fc_1.weight', 'fc_1.bias', 'solver/step'],
  )
  const { graph } = exported(net('loss = softmax_loss(x -> fc(3, lr_mult: [1, 0]), label)'))
  expect(graph.nodes.find(({ outputs }) => outputs[0] === 'next/fc_1.bias')?.op).toBe('Identity')
})

test('no two values and no two nodes have one name, and all are standard operators', () => {
  const ops = new Set<string>()
  for (let seed = 20; seed < 26; seed++) {
    const { nodes, inputs } = exported(randomNet(seed)).graph
    const values = [...inputs.map(({ name }) => name), ...nodes.flatMap(({ outputs }) => outputs)]
    expect(new Set(values).size).toBe(values.length)
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length)
    for (const { op } of nodes) ops.add(op)
  }
  for (const op of ops) expect(STANDARD).toContain(op)
})

/** Operators that every opset from 13 on has. */
const STANDARD = [
  ...['Abs', 'Add', 'And', 'ArgMax', 'AveragePool', 'Cast', 'Concat', 'Constant', 'Conv', 'ConvTranspose', 'Div', 'Equal', 'Erf', 'Exp'],
  ...[
    'Expand',
    'Floor',
    'Gather',
    'Gemm',
    'Identity',
    'Less',
    'LessOrEqual',
    'Log',
    'MatMul',
    'Max',
    'MaxPool',
    'Min',
    'Mod',
    'Mul',
    'Neg',
  ],
  ...['Pad', 'Pow', 'ReduceMax', 'ReduceSum', 'Relu', 'Reshape', 'Shape', 'Sign', 'Slice', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh'],
  ...['Transpose', 'Unsqueeze', 'Where'],
]

test('says why there is nothing to train', () => {
  expect(() => exported('net one {\n input x: f32[2]\n output y = x -> fc(1)\n}')).toThrow()
  const bundle = compile('net one {\n input x: f32[2]\n output y = x -> fc(1)\n}', { targets: [] })
  expect(() => exportOnnxStep({ ...bundle, weights: trained(bundle) })).toThrow('it has no loss: there is nothing to train')
  const fixed = compile('net one {\n input x: f32[2]\n loss = sum(x)\n}', { targets: [] })
  expect(() => exportOnnxStep({ ...fixed, weights: new Map() })).toThrow('no layer of it learns anything')
  expect(() => exported(tiny, { opset: 12 })).toThrow('models are written for opsets 13 to 23')
  expect(() => exportOnnxStep(compile(tiny, { targets: [] }))).toThrow('conv1.weight: the bundle has no weights')
})

describe.skipIf(!onnxRuntime())('onnxruntime trains as the float64 interpreter does', () => {
  const solvers = [
    'sgd(lr: 1, momentum: 0.9, weight_decay: 0.01, clip_gradients: 0.5)',
    'nesterov(lr: 1, weight_decay: 0.01, regularize: l1)',
    'adagrad(lr: 1, delta: 0.01)',
    'rmsprop(lr: 1, decay: 0.9, delta: 0.01)',
    'adadelta(lr: 1, delta: 0.01)',
    'adam(lr: 1, weight_decay: 0.01)',
    'adamw(lr: 1)',
  ]
  test.each(solvers)('%s', async (solver) => {
    expect((await compareSteps(`${head}train { solver ${solver} steps 9 }`, { steps: 4 })).worst).toBeLessThan(1e-6)
    const several = `${head}train { solver ${solver} steps 9 accumulate 3 }`
    expect((await compareSteps(several, { steps: 2 })).worst).toBeLessThan(1e-6)
  })

  test('the command checks updates of several batches, some of whose labels are ignored', async () => {
    const text = `net one {
      input x: f32[3]
      input label: class[4]
      loss = softmax_loss(x -> fc(4), label, ignore: 2)
    }
    train { solver sgd(lr: 0.1) accumulate 3 steps 9 }`
    const compiled = compile(text, { targets: ['wasm'], programs: ['train', 'accumulate'] })
    const bundle = { ...compiled, weights: trained(compiled, 1) as never }
    const step = exportOnnxStep(bundle)
    const models = { start: bytesOf(step.start), step: bytesOf(step) }
    expect(await checkOnnxStep(onnxRuntime()! as never, models as never, step, bundle)).toBeLessThan(1e-6)
  })

  // Relative to what float32 loses in nets as these: rates adapted to a gradient that is rounding alone would follow the rounding.
  const plain = (text: string): string => `${text.replace(/\ntrain [^]*/, '')}\ntrain { solver sgd(lr: 0.05, momentum: 0.9) steps 9 }\n`
  test.each([1, 2, 3, 5])('random net %i', async (seed) => {
    expect((await compareSteps(plain(randomNet(seed)), { steps: 2, batch: 5, seed, opset: 13 + seed })).worst).toBeLessThan(2e-5)
  })
  test.each([0, 1, 3])('varied net %i', async (seed) => {
    expect((await compareSteps(plain(variedNet(seed, 4)), { steps: 2, batch: 5, seed })).worst).toBeLessThan(2e-5)
  })

  test.each(['batch_norm', 'group_norm(2)', 'layer_norm(axis: 3)'])('%s of values about 1000', async (layer) => {
    const text = `net one {\n  input x: f32[4, 5, 5]\n  input label: class[3]\n  loss = softmax_loss(x -> ${layer} -> fc(3), label)\n}\n`
    expect((await compareSteps(text, { made: (normal) => 1000 + 0.01 * normal })).worst).toBeLessThan(2e-6)
  })

  test('and by twenty lines of a driver, whose weights come back', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fusenet-onnx-step-'))
    cpSync(join(samples, 'onnx-step'), folder, { recursive: true })
    symlinkSync(join(onnxRuntimeFolder(), 'node_modules'), join(folder, 'node_modules'))
    const { start, ...step } = exported(tiny)
    writeFileSync(join(folder, 'step.onnx'), bytesOf(step))
    writeFileSync(join(folder, 'step.start.onnx'), bytesOf(start))
    const said = execFileSync(process.execPath, ['train.mjs'], { cwd: folder, encoding: 'utf8' })
    expect(Number(/step 100: loss (.*)/.exec(said)![1])).toBeLessThan(0.05)
    const file = readFileSync(join(folder, 'trained.safetensors'))
    const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())).toString()) as object
    expect(Object.keys(header)).toEqual(compile(tiny, { targets: [] }).manifest.parameters.map(({ name }) => name))
  })
})

test.skipIf(!hasPythonOnnx())("onnx.checker finds nothing wrong with steps of Debian's opset", () => {
  const files = [tiny, variedNet(2, 4), randomNet(7)].flatMap((text) => {
    const { start, ...step } = exported(text, { opset: 15 })
    return [temporaryFile('step.onnx', bytesOf(step)), temporaryFile('start.onnx', bytesOf(start))]
  })
  const check = 'import onnx, sys\nfor f in sys.argv[1:]: onnx.checker.check_model(onnx.load(f), full_check=True)'
  execFileSync('/usr/bin/python3', ['-c', check, ...files])
})

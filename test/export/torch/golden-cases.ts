import type { TensorData } from '../../../bundle/format.ts'
import { compile } from '../../../compiler/index.ts'
import { readCase } from '../../golden/golden-file.ts'
import { netText } from '../../golden/net-text.ts'
import { folder, names } from '../../golden/suite.ts'
import type { TorchCase } from './cases.ts'
import { fed } from './cases.ts'
import { trained } from '../onnx-runtime.ts'

/** The golden nets, with their own inputs and parameters. */
export function goldenCases(): TorchCase[] {
  return names.flatMap((name): TorchCase[] => {
    const golden = readCase(folder, name)
    // Statistics of one value mean nothing: fusenet and net.py refuse them.
    if (golden.kind !== 'net' || /_one_value/.test(name)) return []
    const { text, parameterNames, inputs, batch } = netText(golden, {
      spelling: 'as given',
      everyBlob: true,
      train: 'train { solver sgd(lr: 0) }',
    })
    const bundle = compile(text, { targets: [], allowOneValue: true })
    const given = new Map<string, TensorData>()
    for (const [theirs, ours] of parameterNames) {
      const tensor = golden.tensors.get(`param.${theirs}`)
      for (const one of ours) if (tensor) given.set(one, { shape: [], type: 'f32', data: Float32Array.from(tensor.data) })
    }
    const weights = new Map(
      [...trained(bundle)].map(([key, { shape, type, data }]) => [key, { shape, type, data: given.get(key)?.data ?? data }]),
    )
    const random = fed(bundle, batch)
    const own = Object.fromEntries(bundle.manifest.inputs.map(({ name: input, type }) => {
      const tensor = golden.tensors.get(inputs.get(input) ?? '')
      return [input, tensor ? (type === 'i32' ? Int32Array.from(tensor.data) : Float32Array.from(tensor.data)) : random[input]!]
    }))
    return [{ name, text, batch, weights, inputs: own }]
  })
}

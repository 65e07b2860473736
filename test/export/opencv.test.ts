import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { exportCaffe } from '../../export/index.ts'
import { open } from '../../runtime/index.ts'
import { normals } from '../support/random-net.ts'
import { trained } from './onnx-runtime.ts'

const PYTHON = '/usr/bin/python3'
const hasOpenCv = (): boolean => {
  try {
    execFileSync(PYTHON, ['-c', 'import cv2'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Reads NAME.prototxt, NAME.caffemodel and NAME.in of float32, writes the output NAME.out. */
const SCRIPT = `
import sys, cv2, numpy as np
for name, output, *shape in (a.split(' ') for a in sys.argv[1:]):
  net = cv2.dnn.readNetFromCaffe(name + '.prototxt', name + '.caffemodel')
  net.setInput(np.fromfile(name + '.in', np.float32).reshape([int(n) for n in shape]))
  (net.forward() if output == 'y' else net.forward(output)).astype(np.float32).tofile(name + '.out')
`

const sample = (name: string): string => readFileSync(join(import.meta.dirname, `../../samples/${name}.net`), 'utf8')

const TEXTS: readonly (readonly [name: string, text: string])[] = [
  ['mnist', sample('mnist').replace('f32[1, 28, 28]', 'f32[1, 16, 16]')],
  ['resnet20', sample('resnet20').replace('f32[3, 32, 32]', 'f32[3, 8, 8]')],
  [
    'parts',
    `net parts {
      input x: f32[4, 9, 9]
      main = x -> conv(6, 3, pad: [2, 0, 1, 1], groups: 2) -> leaky_relu(slope: 0.2) -> max_pool(3, stride: 2, pad: 1) -> prelu
      up = main -> clip(-0.5, 0.75) -> deconv(6, 2, stride: 2, groups: 3, bias: false) -> silu -> hard_swish -> elu
      wide = concat(up, up -> lrn(size: 3, alpha: 0.5)) -> avg_pool(3, stride: 2, round: floor) -> softplus
      output y = add(wide, wide -> tanh, coeff: [1, 0.5]) -> mul(0.5) -> upsample(2) -> abs -> fc(7)
    }`,
  ],
]

test.skipIf(!hasOpenCv())('OpenCV computes what the float64 interpreter does, one sample (python3-opencv)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fusenet-caffe-'))
  const cases = await Promise.all(TEXTS.map(async ([name, text]) => {
    const bundle = compile(text, { targets: [], programs: ['infer'] })
    const weights = trained(bundle)
    const { prototxt, caffemodel, inputs: [input], outputs: [output] } = exportCaffe({ ...bundle, weights })
    const data = normals(input!.shape.reduce((a, b) => a * b, 1), 3)
    const path = join(folder, name)
    writeFileSync(`${path}.prototxt`, prototxt)
    writeFileSync(`${path}.caffemodel`, Buffer.concat([...caffemodel.parts()]))
    writeFileSync(`${path}.in`, data)
    const net = await open(bundle, { device: interpreter(), batch: 1, programs: ['infer'], weights: weights as never })
    const want = (await net.run({ [input!.name]: data } as never) as unknown as Record<string, Float64Array>)[output!]!
    net.close()
    return { path, want, call: [path, output, ...input!.shape].join(' ') }
  }))
  execFileSync(PYTHON, ['-c', SCRIPT, ...cases.map(({ call }) => call)], { stdio: 'pipe' })
  for (const { path, want } of cases) {
    const got = new Float32Array(Uint8Array.from(readFileSync(`${path}.out`)).buffer)
    expect(got.length, path).toBe(want.length)
    const worst = Math.max(...Array.from(got, (v, i) => Math.abs(v - want[i]!))) / Math.max(...want.map(Math.abs))
    expect(worst, path).toBeLessThan(1e-5)
  }
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { TensorData } from '../../bundle/format.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'

export const LINE = `net line {
  input x: f32[2]
  input label: class[2]
  logits = x -> fc(2) as fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.5) }
`
const CONV = `net conv {
  input image: f32[1, 6, 6]
  input label: class[3]
  logits = image -> conv(4, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(3) as fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1, momentum: 0.9) batch 4 }
`
const DEEP = `net deep {
  input image: f32[4, 12, 12]
  input label: class[3]
  x = image
  for i in 0..6 {
    x = x -> conv(8, 3, pad: 1) as conv{i} -> batch_norm as bn{i} -> relu as relu{i}
  }
  logits = x -> global_avg_pool -> fc(3)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1) batch 8 }
`
const TWO_ERRORS = `net wrong {
  input image: f32[1, 6, 6]
  a = image -> conw(4, 3)
  b = image -> conv(4, 9)
  output y = add(a, b)
}
`

export const f32 = (shape: number[], values: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(values) })

/** A folder with these programs and weights of `line`, while a test file runs: gives the path of a file in it. */
export function programFiles(): (name: string) => string {
  let folder: string
  const at = (name: string): string => join(folder, name)
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fusenet-programs-'))
    await writeFile(at('line.net'), LINE)
    await writeFile(at('conv.net'), CONV)
    await writeFile(at('wrong.net'), TWO_ERRORS)
    await writeFile(at('deep.net'), DEEP)
    await writeFile(
      at('line.safetensors'),
      writeSafetensors(new Map([['fc.weight', f32([2, 2], [1, 0, 0, 1])], ['fc.bias', f32([2], [0, 0])]])),
    )
    await writeFile(
      at('in.safetensors'),
      writeSafetensors(
        new Map([['x', f32([2, 2], [Math.log(3), 0, 0, 0])], ['label', { shape: [2], type: 'i32', data: Int32Array.of(0, 1) }]]),
      ),
    )
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  return at
}

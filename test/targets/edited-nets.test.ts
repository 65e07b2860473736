import { createHash } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import type { CompileOptions } from '../../compiler/compile-options.ts'
import type { Bundle } from '../../bundle/format.ts'
import { generator } from '../support/random-net.ts'

/** A net as somebody edits it: what stands at each place is one of a few. */
interface Choices {
  readonly first: number
  readonly hidden: number
  readonly activation: string
  readonly normalized: boolean
  readonly inserted: string
  readonly named: boolean
  readonly lr: number
  readonly options: CompileOptions
}

const text = ({ first, hidden, activation, normalized, inserted, named, lr }: Choices): string => {
  const bn = normalized ? ' -> batch_norm' : ''
  return `net edited {
  input x: f32[3, 4, 4]
  input label: class[3]
  a = x -> conv(${first}, 3, pad: 1)${named ? ' as stem' : ''}${bn}${inserted} -> ${activation}
  logits = a -> max_pool(2) -> fc(${hidden}) -> ${activation} -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 4  steps 10  solver sgd(lr: ${lr}, momentum: 0.9) }
`
}

const PLACES: { readonly [K in keyof Choices]: readonly Choices[K][] } = {
  first: [4, 8, 12],
  hidden: [5, 8],
  activation: ['relu', 'tanh', 'elu'],
  normalized: [true, false],
  named: [false, true],
  lr: [0.1, 0.01],
  inserted: ['', ' -> dropout(0.3)', ' -> leaky_relu(0.2)'],
  options: [
    {},
    { style: 'split' },
    { memory: 'small' },
    { precise: true },
    { estimates: true, programs: ['infer'], targets: ['wasm'] },
    { without: ['inline-elementwise'], programs: ['step'] },
    { storage: 'f16', software: true, programs: ['infer'] },
  ],
}

/** So many nets, each the one before it but for one place. */
function edits(count: number, seed: number): Choices[] {
  const random = generator(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  let now = Object.fromEntries(Object.entries(PLACES).map(([place, list]) => [place, list[0]])) as unknown as Choices
  return Array.from({ length: count }, () => {
    const place = pick(Object.keys(PLACES) as (keyof Choices)[])
    return now = { ...now, [place]: pick(PLACES[place] as readonly unknown[]) }
  })
}

function hashOf({ manifest, files }: Bundle): string {
  const hash = createHash('sha256').update(JSON.stringify(manifest))
  for (const [name, data] of files) hash.update(name).update(data)
  return hash.digest('hex')
}

/** The compiler as a process has it that has compiled nothing yet, with nothing remembered anywhere. */
async function freshCompiler(): Promise<(net: Choices) => string> {
  vi.resetModules()
  const { compile } = await import('../../compiler/index.ts')
  return (net) => {
    // Who edits breaks it in between.
    expect(() => compile(text(net).replace('max_pool(2)', 'max_pool(9)'), net.options)).toThrow()
    return hashOf(compile(text(net), net.options))
  }
}

test('a bundle is the same to the byte, whatever was compiled before it', async () => {
  const seed = Math.floor(Math.random() * 1e9)
  const nets = edits(6, seed)
  const forward = await freshCompiler()
  const wanted = nets.map(forward)
  const backward = await freshCompiler()
  const found = nets.toReversed().map(backward).reverse()
  expect(found, `edits of seed ${seed}`).toEqual(wanted)
}, 120_000)

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, inspectManifest } from '../../compiler/index.ts'
import { type LiveRange, planMemory } from '../../compiler/plan/memory-planner.ts'
import type { Memory, Plan, Style } from '../../bundle/format.ts'
import { placesAt } from '../../bundle/layout.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { randomNet } from '../support/random-net.ts'

/** Tensors of a program of `length` dispatches: written by one or two of them, read by some of those that follow. */
const ranges = fc.integer({ min: 1, max: 24 }).chain((length) =>
  fc.array(
    fc.record({
      size: fc.oneof(
        fc.nat(4000).map((n) => ({ fixed: 4 + 4 * n, perSample: 0 })),
        fc.nat(2000).map((n) => ({ fixed: 0, perSample: 4 + 4 * n })),
      ),
      at: fc.nat(length - 1),
      written: fc.integer({ min: 1, max: 2 }),
      read: fc.array(fc.nat(length), { maxLength: 4 }),
    }).map(({ size, at, written: times, read }): LiveRange => {
      const written = Array.from({ length: times }, (_, i) => at + i)
      const later = [...new Set(read)].filter((r) => r > written.at(-1)!).sort((a, b) => a - b)
      return { size, first: at, last: Math.max(...written, ...later), written, read: later }
    }),
    { minLength: 1, maxLength: 40 },
  )
)

const bytesAt = ({ size }: LiveRange, n: number): number => size.fixed + size.perSample * n

describe('any tensors', () => {
  /** Bytes from and to, at a batch, as a runtime finds them: each tensor starts after those that it follows. */
  function intervals(
    all: readonly LiveRange[],
    batch: number,
    n: number,
    sharesBuffers: boolean,
  ): { buffer: number; from: number; to: number }[] {
    const { places } = planMemory({ ranges: all, batch, sharesBuffers })
    const found: ({ buffer: number; from: number; to: number } | undefined)[] = []
    const find = (i: number): { buffer: number; from: number; to: number } => {
      if (found[i]) return found[i]
      const { buffer, after } = places[i]!
      const from = Math.max(
        0,
        ...after.map((b) => {
          expect(places[b]!.buffer).toBe(buffer)
          return Math.ceil(find(b).to / 256) * 256
        }),
      )
      return found[i] = { buffer, from, to: from + bytesAt(all[i]!, n) }
    }
    return all.map((_, i) => find(i))
  }

  test('no two that are alive at once share bytes, at whatever batch', () => {
    fc.assert(
      fc.property(
        ranges,
        fc.boolean(),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 64 }),
        (all, sharesBuffers, batch, n) => {
          const places = intervals(all, batch, n, sharesBuffers)
          all.forEach((a, i) =>
            all.forEach((b, j) => {
              if (j <= i || a.last < b.first || b.last < a.first || places[i]!.buffer !== places[j]!.buffer) return
              expect(places[i]!.to <= places[j]!.from || places[j]!.to <= places[i]!.from).toBe(true)
            })
          )
        },
      ),
      { numRuns: 300 },
    )
  })

  test('where buffers are not shared: what a dispatch reads and what it writes lie apart, and no buffer exceeds twice the largest tensor', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 1, max: 64 }), (all, batch) => {
        const places = intervals(all, batch, batch, false)
        all.forEach((a, i) =>
          all.forEach((b, j) => {
            if (a.written.some((at) => b.read.includes(at))) expect(places[i]!.buffer).not.toBe(places[j]!.buffer)
          })
        )
        const largest = Math.max(...all.map((r) => bytesAt(r, batch)))
        for (const { to } of places) expect(to).toBeLessThanOrEqual(2 * Math.ceil(largest / 256) * 256)
      }),
      { numRuns: 300 },
    )
  })

  test('nothing less than what is alive at once, and in one memory nothing more where all have one size', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 1, max: 64 }), (all, batch) => {
        const total = (buffers: readonly { fixed: number; perSample: number }[]): number =>
          buffers.reduce((sum, b) => sum + b.fixed + b.perSample * batch, 0)
        for (const sharesBuffers of [true, false]) {
          const { buffers, lowerBound } = planMemory({ ranges: all, batch, sharesBuffers })
          expect(total(buffers)).toBeGreaterThanOrEqual(lowerBound.fixed + lowerBound.perSample * batch)
        }
        const alike = all.map((r) => ({ ...r, size: { fixed: 256, perSample: 0 } }))
        // Intervals of one size, placed in the order in which they start, need no more than are alive at once.
        const { buffers, lowerBound } = planMemory({ ranges: [...alike].sort((a, b) => a.first - b.first), batch, sharesBuffers: true })
        expect(total(buffers)).toBe(lowerBound.fixed)
      }),
      { numRuns: 200 },
    )
  })

  test('the same plan for the same tensors', () => {
    fc.assert(
      fc.property(ranges, (all) => {
        expect(planMemory({ ranges: all, batch: 8, sharesBuffers: false })).toEqual(
          planMemory({ ranges: all, batch: 8, sharesBuffers: false }),
        )
      }),
      { numRuns: 50 },
    )
  })
})

/**
 * Goes through a program and keeps who wrote each stretch of scratch last: whoever reads must find what was written for it. A tensor that
 * nothing writes is another shape of one that lies at the same place.
 */
function clobbered(plan: Plan, name: string, n: number): string[] {
  const { dispatches, results } = plan.programs[name]!
  const { offsets, sizes } = placesAt(plan, n, [name])
  const owners = plan.buffers.map(() => new Map<number, number>())
  const blocks = (t: number): number[] =>
    Array.from({ length: Math.ceil(elementCount(plan.tensors[t]!.shape, n) / 64) }, (_, i) => offsets[t]! / 64 + i)
  const isScratch = (t: number): boolean => plan.buffers[plan.tensors[t]!.buffer]!.role === 'scratch'
  const written = new Set(
    dispatches.flatMap((d) => d.tensors.filter((_, b) => plan.kernels[d.kernel]!.bindings[b]!.access === 'read_write')),
  )
  const problems: string[] = []
  const read = (t: number, by: string): void => {
    const here = plan.tensors[t]!
    for (const block of blocks(t)) {
      const owner = owners[here.buffer]!.get(block)
      const fits = owner === t ||
        (owner !== undefined && !written.has(t) && offsets[owner] === offsets[t] &&
          elementCount(plan.tensors[owner]!.shape, n) === elementCount(here.shape, n))
      if (!fits) {
        problems.push(`${by} reads ${here.name}, there is ${owner === undefined ? 'nothing' : plan.tensors[owner]!.name}`)
        return
      }
    }
  }
  for (const { tensors, kernel, name: by } of dispatches) {
    const { bindings } = plan.kernels[kernel]!
    tensors.forEach((t, b) => {
      if (isScratch(t) && bindings[b]!.access === 'read') read(t, by)
    })
    tensors.forEach((t, b) => {
      if (!isScratch(t) || bindings[b]!.access === 'read') return
      for (const block of blocks(t)) owners[plan.tensors[t]!.buffer]!.set(block, t)
      if (offsets[t]! + elementCount(plan.tensors[t]!.shape, n) > sizes[plan.tensors[t]!.buffer]!)
        problems.push(`${plan.tensors[t]!.name} ends behind its buffer`)
    })
  }
  for (const [result, t] of Object.entries(results)) if (isScratch(t)) read(t, `result ${result}`)
  return problems
}

describe('nets', () => {
  const kinds: [Style, Memory][] = [['merged', 'fast'], ['merged', 'small'], ['split', 'fast'], ['split', 'small']]
  test.each(kinds)('%s, memory %s: every kernel of random nets finds what was written for it', (style, memory) => {
    for (const seed of [1, 3, 8, 21, 55]) {
      const { plans } = compile(randomNet(seed).replace('train {', 'train {\n  batch 4\n'), { style, memory }).manifest
      for (const plan of Object.values(plans)) {
        for (const name of Object.keys(plan.programs))
          for (const n of [1, 4, 33]) expect(clobbered(plan, name, n), `seed ${seed}, ${plan.target}, ${name}, batch ${n}`).toEqual([])
      }
    }
  })

  const sample = (name: string): string =>
    readFileSync(new URL(`../../samples/${name}.net`, import.meta.url), 'utf8').replace(/batch +\d+/, 'batch 32').replace(
      'f32[3, 224, 224]',
      'f32[3, 64, 64]',
    )
  test.each(['cifar10_quick', 'resnet20', 'resnet18'])(
    '%s: a training step takes at most 1.15 of what is alive at once, on the CPU 1.02',
    (name) => {
      for (const style of ['merged', 'split'] as const) {
        const { manifest } = compile(sample(name), { style, targets: ['webgpu', 'wasm'], programs: ['train'], estimates: true })
        for (const [target, share] of [['webgpu', 1.15], ['wasm', 1.02]] as const) {
          const { peakBytes, lowerBound } = inspectManifest(manifest, target, 32).programs['train']!
          expect(peakBytes, `${style} ${target}`).toBeLessThanOrEqual(share * lowerBound.peakBytes)
        }
      }
    },
  )
})

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { randomNet } from '../support/random-net.ts'

const samples = join(import.meta.dirname, '../../samples')
const texts = [
  ...readdirSync(samples).filter((name) => name.endsWith('.net')).map((name) => [name, readFileSync(join(samples, name), 'utf8')] as const),
  ...Array.from({ length: 10 }, (_, i) => [`random net ${i + 1}`, randomNet(i + 1)] as const),
]

describe('modules that the compiler writes', () => {
  test.each(texts)('%s is valid, in both styles', (_, text) => {
    for (const style of ['merged', 'split'] as const) {
      const { manifest, files } = compile(text, { style, targets: ['wasm'] })
      for (const group of ['infer', 'train'])
        expect(WebAssembly.validate(files.get(`wasm/${group}.wasm`) as Uint8Array<ArrayBuffer>), group).toBe(true)
      expect(manifest.plans['wasm']!.kernels.length).toBeGreaterThan(0)
    }
  })
})

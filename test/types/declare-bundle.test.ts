import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bundleTypes, declareBundle } from '../../runtime/declare-bundle.ts'
import type { Bundle } from '../../runtime/index.ts'

const read = (name: string): string => readFileSync(fileURLToPath(new URL(name, import.meta.url)), 'utf8')
const made = (text: string, programs?: readonly string[]): Bundle => compile(text, { targets: ['wasm'], programs })
const code = (bundle: Bundle): string => declareBundle(bundle).code.replace(/\s+/g, ' ')

// What the names in it mean to a compiler: typed.ts beside it.
test('the types that typed.ts is compiled with are those of pets.net', () => {
  expect(read('pets/bundle.d.ts')).toBe(bundleTypes(compile({ file: 'pets.net', text: read('pets.net') })))
})

test('what programs that are not there take and give is never', () => {
  const text = code(made(read('pets.net'), ['infer']))
  expect(text).toContain('readonly programs: "infer"')
  for (const field of ['trainInputs', 'losses', 'metrics', 'gradients']) expect(text).toContain(`readonly ${field}: never`)
  expect(code(made(read('pets.net'), ['gradients']))).toContain('readonly inputs: never')
})

test('inputs behind flatten alone, integers that are given back, names that are none for an interface', () => {
  const text = code(made(`net _2_x { input x: f32[2, 2] input label: class[2] input t: f32[2]
    y = x -> flatten -> fc(2)
    output same = label  output prob = softmax(y)
    loss = softmax_loss(y, label)  loss other = squared_loss(y, t) }`))
  expect(text).toMatch(/^export interface Net2X \{/)
  expect(text).toMatch(/readonly inputs: \{ [^}]*readonly x: 'f32' [^}]*readonly label: 'i32' [^}]*readonly t\?: 'f32' \}/)
  expect(text).toMatch(/readonly outputs: \{ [^}]*readonly same: 'i32' [^}]*readonly prob: 'f32' \}/)
  expect(text).toMatch(/readonly losses: \{ [^}]*readonly loss: 'f32' [^}]*readonly other: 'f32' \}/)
})

test('what a bundle says stays within its comments and texts', () => {
  const bundle = made(read('pets.net'), ['infer', 'step'])
  const inputs = bundle.manifest.inputs.map((input) => (input.classNames ? { ...input, classNames: ['*/ evil', "it's", '"\n'] } : input))
  const text = declareBundle({ ...bundle, manifest: { ...bundle.manifest, inputs } }).code
  expect(text).toContain('readonly classes: readonly ["*/ evil", "it\'s", "\\"\\n"]')
  expect(text).not.toMatch(/\/\*\*[^\n]*\*\/ evil/)
})

test('a name that the file has for something else is not taken', () => {
  const bundle = made('net dataset { input x: f32[2] output y = x -> fc(2) }', ['infer'])
  expect(declareBundle(bundle).name).toBe('Dataset')
  expect(declareBundle(bundle, new Set(['Dataset', 'DatasetNet'])).name).toBe('DatasetNetNet')
})

import { expect } from 'vitest'
import { loadProgram, render } from '../../dsl/index.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { LayerCall, Program } from '../../dsl/program.ts'
import type { Source } from '../../dsl/source.ts'
import { vocabulary } from './vocabulary.ts'

export type Files = Readonly<Record<string, string>>

/** A net around the lines of its body: `x` and `y` are pictures, `label` is a class. */
export const net = (body: string): string =>
  `net test {\n  input x: f32[4, 6, 6]\n  input y: f32[4, 6, 6]\n  input label: class[3]\n  ${body}\n}\n`

export const load = (text: string, files: Files = {}): ReturnType<typeof loadProgram> =>
  loadProgram({ file: 'test.net', text }, {
    vocabulary,
    readImport: (path: string): Source | undefined => {
      const file = path.replace(/^\.\//, '')
      return files[file] === undefined ? undefined : { file, text: files[file] }
    },
  })

/** The program of a text without mistakes. */
export function program(text: string, files: Files = {}): Program {
  const { program, diagnostics } = load(text, files)
  expect(diagnostics.map((d) => render(d)).join('\n\n')).toBe('')
  return program!
}

export const layers = (body: string): readonly LayerCall[] => program(net(body)).layers
export const names = (body: string): string[] => layers(body).map((layer) => layer.name)

/** The mistakes of a text; a text with mistakes gives no program. */
export function mistakes(text: string, files: Files = {}): readonly Diagnostic[] {
  const { program, diagnostics } = load(text, files)
  const errors = diagnostics.filter((d) => d.severity === 'error')
  expect(program !== undefined).toBe(errors.length === 0)
  return errors
}

export const codes = (text: string, files: Files = {}): string[] => mistakes(text, files).map((d) => d.code)
/** The text that the first label underlines. */
export const underlined = ({ labels: [first] }: Diagnostic): string => first!.span.source.text.slice(first!.span.start, first!.span.end)
export const drawn = (text: string, files: Files = {}): string => mistakes(text, files).map((d) => render(d)).join('\n\n')

/** An input of a layer, for reading: `x`, `conv_1`. */
export function inputsOf(all: readonly LayerCall[], name: string): string[] {
  const layer = all.find((l) => l.name === name)!
  return layer.inputs.map((ref) => (ref.kind === 'input' ? ref.name : all[ref.index]!.name))
}

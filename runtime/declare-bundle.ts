/**
 * TypeScript declarations of a bundle's inputs and outputs: the one source of `bundle.d.ts`, of the types of ES modules, and of imported
 * `.net` files.
 */
import type { Bundle, InputEntry, OutputEntry, Plan, Shape } from '../bundle/format.ts'
import { inputsOf } from './needed.ts'
import { plain } from '../bundle/plain.ts'
import type { NetSpec } from './net-spec.ts'

export interface BundleDeclaration {
  /** Name of the interface: `Mnist` for a net `mnist`. */
  readonly name: string
  /** `export interface Mnist { ... }`, which needs no import: a `NetSpec`. */
  readonly code: string
}

/** A text of the bundle made safe for a comment in generated code: it ends neither the line nor the comment. */
export const inComment = (text: string): string => plain(text, 1000).replaceAll('*/', '* /')

/** The file `bundle.d.ts`: what lies beside `bundle.json` for `import type { Mnist } from './mnist/bundle.js'`. */
export function bundleTypes(bundle: Bundle): string {
  const { name, code } = declareBundle(bundle)
  return `${headOf(bundle)}
// open<${name}>('...') of fusenet knows these names; so do Net<${name}> and the functions that take one.

${code}`
}

/** The first lines of generated code. */
export const headOf = ({ manifest }: Bundle): string =>
  `// ${inComment(`${manifest.name} (${manifest.style})`)}, compiled by fusenet. n is the batch that the net is opened with.`

/** `reserved`: names that the interface may not have, since the file that it goes into has them for something else. */
export function declareBundle(bundle: Bundle, reserved: ReadonlySet<string> = new Set()): BundleDeclaration {
  const { manifest } = bundle
  const plans = Object.values(manifest.plans)
  const programs = [...new Set(plans.flatMap((plan) => Object.keys(plan.programs)))].filter((program) => program !== 'prepare')
  const [infers, evaluates, trains] = [INFERS, EVALUATES, TRAINS].map((some) => programs.filter((program) => some.test(program)))
  const by = (role: OutputEntry['role']): readonly OutputEntry[] => manifest.outputs.filter((output) => output.role === role)
  const measured = (
    role: OutputEntry['role'],
  ): string => (evaluates!.length + trains!.length > 0 ? results(plans, by(role), manifest.inputs) : 'never')
  const label = manifest.inputs.find(({ classes }) => classes !== undefined)
  const fields: Record<keyof NetSpec, readonly [comment: string, type: string]> = {
    name: ['', JSON.stringify(manifest.name)],
    programs: ['', programs.map((program) => JSON.stringify(program)).join(' | ') || 'never'],
    inputs: ['What `run` takes.', infers!.length > 0 ? inputs(plans, infers!, manifest.inputs, true) : 'never'],
    trainInputs: ['What `step` and `trainStep` take.', trains!.length > 0 ? inputs(plans, trains!, manifest.inputs, false) : 'never'],
    outputs: ['What `run` gives.', infers!.length > 0 || trains!.length > 0 ? results(plans, by('output'), manifest.inputs) : 'never'],
    losses: ['', measured('loss')],
    loss: ['', manifest.outputs.some(({ role }) => role === 'loss') ? 'number' : 'undefined'],
    metrics: ['', measured('metric')],
    gradients: ['What `step` gives as `grads`.', trains!.length > 0 ? gradients(plans, manifest) : 'never'],
    parameters: ['Statistics too.', block(manifest.parameters.map(({ name, shape }) => [name, showShape(shape), `'f32'`]))],
    labels: [
      'What the classes are called, label 0 first.',
      block(
        manifest.inputs.filter(({ classes }) => classes !== undefined).map((
          input,
        ) => [input.name, `0..${input.classes! - 1}`, namesOf(input)]),
      ),
    ],
    classes: ['', label ? namesOf(label) : 'undefined'],
  }
  const name = nameOf(manifest.name, reserved)
  const lines = Object.entries(fields).map(([field, [comment, type]]) =>
    `${comment && `  /** ${comment} */\n`}  readonly ${field}: ${type}\n`
  )
  return { name, code: `export interface ${name} {\n${lines.join('')}}\n` }
}

const INFERS = /^infer/
const EVALUATES = /^eval/
const TRAINS = /^(gradients|step|train)/

/** `cifar10_quick` -> `Cifar10Quick`: an identifier, whatever a bundle says it is called. */
function nameOf(name: string, reserved: ReadonlySet<string>): string {
  const pascal = name.split(/(?:_|[^\p{ID_Continue}])+/u).map((part) => part.slice(0, 1).toUpperCase() + part.slice(1)).join('')
  let free = /^[A-Z]/.test(pascal) ? pascal : `Net${pascal}`
  while (reserved.has(free)) free += 'Net'
  return free
}

/** A field, what its comment says, its type; `optional`. */
type Row = readonly [name: string, comment: string, type: string, optional?: boolean]

const block = (rows: readonly Row[]): string =>
  rows.length === 0 ? '{}'
    : `{\n${
      rows.map(([name, comment, type, optional]) =>
        `    /** ${inComment(comment)} */\n    readonly ${/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)}${
          optional ? '?' : ''
        }: ${type}\n`
      ).join('')
    }  }`

const showShape = (shape: Shape): string => `[${shape.join(', ')}]`

/** Classes that a comment names. */
const MOST_NAMED = 20
const called = (names: readonly string[]): string => names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ', ...' : '')

const namesOf = (
  { classNames }: InputEntry,
): string => (classNames ? `readonly [${classNames.map((name) => JSON.stringify(name)).join(', ')}]` : 'readonly string[] | undefined')

/** All inputs may be handed to any program; those that it does not read are `optional`, or left out. */
function inputs(plans: readonly Plan[], programs: readonly string[], all: readonly InputEntry[], optional: boolean): string {
  const needed = new Set(plans.flatMap((plan) => programs.flatMap((program) => inputsOf(plan, program, all).map(({ name }) => name))))
  return block(
    all.filter(({ name }) => optional || needed.has(name)).map((input) => {
      const numbers = input.classes !== undefined ? `0..${input.classes - 1}` : input.type === 'f32' ? 'float32' : 'integers'
      const comment = `${numbers} ${showShape(input.shape)}${input.classNames ? `: ${called(input.classNames)}` : ''}`
      return [
        input.name,
        needed.has(input.name) ? comment : `${comment}; only training reads it`,
        `'${input.type}'`,
        !needed.has(input.name),
      ]
    }),
  )
}

function results(plans: readonly Plan[], outputs: readonly OutputEntry[], inputs: readonly InputEntry[]): string {
  const typeOf = (name: string): string => {
    for (const { programs, tensors } of plans) {
      for (const { results } of Object.values(programs))
        if (Object.hasOwn(results, name)) return tensors[results[name]!]!.type === 'i32' ? 'i32' : 'f32'
    }
    return 'f32'
  }
  return block(outputs.map(({ name, shape, scores }) => {
    const names = inputs.find((input) => input.name === scores)?.classNames
    return [name, `${showShape(shape)}${names ? `: of ${called(names)}` : ''}`, `'${typeOf(name)}'`]
  }))
}

/** Names of the gradients that a program with a backward pass gives: of parameters that learn, and of inputs. */
function gradients(plans: readonly Plan[], { inputs, parameters }: Bundle['manifest']): string {
  const given = new Set(
    plans.flatMap(({ programs }) =>
      Object.entries(programs).flatMap(([name, { results }]) => (TRAINS.test(name) ? Object.keys(results) : []))
    ),
  )
  return block(
    [...parameters, ...inputs].filter(({ name }) => given.has(`grad/${name}`)).map(({ name, shape }) => [name, showShape(shape), `'f32'`]),
  )
}

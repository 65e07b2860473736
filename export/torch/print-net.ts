import type { Graph, NamedOutput, Value } from '../../compiler/graph/graph.ts'
import { type Span, textOf } from '../../dsl/source.ts'
import { carriedFor } from './carried.ts'
import { type BlockClass, type Classes, classesOf } from './classes.ts'
import type { Instance } from './instances.ts'
import { commentLines, member, TAKEN, TAKEN_CLASSES, variableName } from './names.ts'
import { type Body, bodyOf } from './print-class.ts'
import { type Assignment, printAssignments } from './runs.ts'
import type { Statements } from './statements.ts'

export interface PrintedNet {
  readonly text: string
  /** What each input is called as an argument of `forward`. */
  readonly inputNames: ReadonlyMap<string, string>
}

/** A layer that reads the parameters of another one: both by their full names. */
export interface Sharing {
  readonly layer: string
  readonly owner: string
}

export interface NetToPrint {
  readonly graph: Graph
  readonly root: Instance
  readonly statements: Statements
  readonly file: string
  readonly sharing: readonly Sharing[]
  /** Names of parameters that do not learn. */
  readonly frozen: readonly string[]
}

const indented = (lines: readonly string[], depth: number): string[] =>
  lines.map((line) => (line === '' ? '' : ' '.repeat(4 * depth) + line))

/** net.py: a class for each block, the net's own, and behind them what PyTorch lacks. */
export function printNet(net: NetToPrint): PrintedNet {
  const classes = classesOf(net.root, TAKEN_CLASSES)
  const inputNames = namesOfInputs(net.graph)
  const blocks = classes.all.flatMap((one) => ['', '', ...printBlock(one, classes, net.statements)])
  const own = printRoot(net, classes, inputNames)
  const written = [...blocks, ...own].join('\n')
  const { imports, definitions } = carriedFor(written)
  return {
    inputNames,
    text: `${
      [
        ...commentLines(
          `The net ${net.graph.name} of ${net.file}, written by fusenet: names of modules and of parameters are those of the text.`,
        )
          .map((line) => `# ${line}`),
        ...imports,
        ...blocks,
        '',
        '',
        ...own,
        ...(definitions.length > 0 ? ['', '', '# Layers that PyTorch lacks, or computes otherwise.', ...definitions] : []),
      ].join('\n')
    }\n`,
  }
}

const docstring = (text: string): string => `"""${text.replaceAll('\\', '\\\\').replaceAll('"""', '\\"\\"\\"').replace(/"$/, '\\"')}"""`

function headline(statements: Statements, { block, instances }: BlockClass): string {
  const head: Span | undefined = statements.headOf(block)
  const text = head ? commentLines(textOf(head)).map((line) => line.trim()).join(' ').trim() : block
  const names = instances.map(({ prefix }) => prefix.slice(0, -1))
  return `${text}: ${names.length > 4 ? `${names.slice(0, 2).join(', ')} ... ${names.at(-1)}` : names.join(', ')}`
}

function printBlock(one: BlockClass, classes: Classes, statements: Statements): string[] {
  const [instance] = one.instances as readonly [Instance]
  const body = bodyOf(instance, one, classes, statements)
  const parameters = one.parameters.map(({ name }) => `, ${name}`).join('')
  const results = instance.outputs.map((value) => body.nameOf(value))
  return [
    `class ${one.name}(nn.Module):`,
    ...indented([docstring(headline(statements, one)), '', `def __init__(self${parameters}):`], 1),
    ...indented([
      'super().__init__()',
      ...one.parameters.filter(({ isKept }) => isKept).map(({ name }) => `self.${name} = ${name}`),
      ...body.made,
    ], 2),
    '',
    ...indented([`def forward(self${body.inputs.map((name) => `, ${name}`).join('')}):`], 1),
    ...indented([...printAssignments(body.assignments), ...(results.length > 0 ? [`return ${results.join(', ')}`] : ['return None'])], 2),
  ]
}

function namesOfInputs({ inputs }: Graph): Map<string, string> {
  // An input whose name is free keeps it.
  const given = new Set(inputs.map(({ name }) => name).filter((name) => !TAKEN.has(name)))
  return new Map(inputs.map(({ name }) => {
    const own = given.has(name) ? name : variableName(name, (free) => !given.has(free))
    given.add(own)
    return [name, own]
  }))
}

/** Lists for each value of the net itself the inputs that may be left out and that it needs. */
function optionalInputs(
  { graph, root }: NetToPrint,
): { readonly optional: readonly Value[]; needs(values: readonly Value[]): readonly Value[] } {
  const needs = new Map<Value, ReadonlySet<Value>>(graph.inputs.map((input) => [input, new Set([input])]))
  const of = (values: readonly Value[]): Set<Value> => new Set(values.flatMap((value) => [...(needs.get(value) ?? [])]))
  for (const unit of root.units) {
    const all = of(unit.inputs)
    for (const out of unit.outputs) needs.set(out, all)
  }
  const outputs = graph.outputs.filter(({ role }) => role === 'output').map(({ value }) => value)
  const wanted = of(outputs)
  const optional = outputs.length === 0 ? [] : graph.inputs.filter((input) => !wanted.has(input))
  return { optional, needs: (values) => optional.filter((input) => of(values).has(input)) }
}

function printRoot(net: NetToPrint, classes: Classes, inputNames: ReadonlyMap<string, string>): string[] {
  const { graph, root, statements } = net
  const { optional, needs } = optionalInputs(net)
  // What needs no label comes first.
  const always = root.units.filter(({ inputs }) => needs(inputs).length === 0)
  const ordered = { ...root, inputs: [...graph.inputs], units: [...always, ...root.units.filter((unit) => !always.includes(unit))] }
  const body = bodyOf(ordered, undefined, classes, statements, graph.inputs.map(({ name }) => inputNames.get(name)!))
  const isOptional = (input: Value): boolean => optional.includes(input)
  const args = [...graph.inputs.filter((input) => !isOptional(input)), ...graph.inputs.filter(isOptional)]
    .map((input) => `, ${inputNames.get(input.name)}${isOptional(input) ? '=None' : ''}`).join('')
  return [
    'class Net(nn.Module):',
    ...indented([docstring(`net ${graph.name}`), '', 'def __init__(self):'], 1),
    ...indented(['super().__init__()', 'self.moment = Moment()  # training moves it', ...body.made, ...endOfInit(net)], 2),
    '',
    ...indented([`def forward(self${args}):`], 1),
    ...indented(printForward(graph, body, inputNames, needs), 2),
    '',
    ...indented(objective(graph.outputs), 1),
  ]
}

function endOfInit({ sharing, frozen, root }: NetToPrint): string[] {
  const path = (layer: string): string => layer.split('.').reduce((of, name) => member(of, name), 'self')
  const drops = (instance: Instance): boolean =>
    instance.units.some((unit) => (unit.kind === 'block' ? drops(unit.instance) : unit.node.op === 'dropout'))
  return [
    ...sharing.map(({ layer, owner }) => `share(${path(layer)}, ${path(owner)})  # weights: ${owner}`),
    ...(frozen.length > 0
      ? [
        '# What was frozen does not learn.',
        'learned = dict(self.named_parameters())',
        `for name in ${JSON.stringify(frozen)}:`,
        '    learned[name].requires_grad_(False)',
      ]
      : []),
    ...(drops(root)
      ? ['for name, module in self.named_modules():', '    if isinstance(module, Dropout):', '        module.settle(name, self.moment)']
      : []),
  ]
}

/** Outputs are always computed; losses and metrics where what they compare with was given. */
function printForward(
  graph: Graph,
  body: Body,
  inputNames: ReadonlyMap<string, string>,
  needs: (values: readonly Value[]) => readonly Value[],
): string[] {
  const groups: Group[] = [{ needed: [], all: [], results: [] }]
  const isOf = (needed: readonly Value[]) => (group: Group): boolean =>
    group.needed.length === needed.length && group.needed.every((value, i) => value === needed[i])
  for (const assignment of body.assignments) {
    const needed = needs(assignment.unit.inputs)
    if (!isOf(needed)(groups.at(-1)!)) groups.push({ needed, all: [], results: [] })
    groups.at(-1)!.all.push(assignment)
  }
  for (const result of graph.outputs) {
    const needed = needs([result.value])
    let group = groups.findLast(isOf(needed))
    if (!group) groups.push(group = { needed, all: [], results: [] })
    group.results.push(result)
  }
  const nameOf = ({ value }: NamedOutput): string => (graph.inputs.includes(value) ? inputNames.get(value.name)! : body.nameOf(value))
  const pairs = (results: readonly NamedOutput[]): string =>
    results.map((result) => `${JSON.stringify(result.name)}: ${nameOf(result)}`).join(', ')
  const [always, ...others] = groups as [Group, ...Group[]]
  const lines = printAssignments(always.all)
  if (others.length === 0) return [...lines, `return {${pairs(always.results)}}`]
  return [
    ...lines,
    `results = {${pairs(always.results)}}`,
    ...others.flatMap(({ needed, all, results }) => [
      `if ${needed.map(({ name }) => `${inputNames.get(name)} is not None`).join(' and ')}:`,
      ...indented([...printAssignments(all), ...results.map((result) => `results[${JSON.stringify(result.name)}] = ${nameOf(result)}`)], 1),
    ]),
    'return results',
  ]
}

/** Statements that need the same inputs, of those that may be left out. */
interface Group {
  readonly needed: readonly Value[]
  readonly all: Assignment[]
  readonly results: NamedOutput[]
}

/** The sum that training makes small. */
function objective(outputs: readonly NamedOutput[]): string[] {
  const losses = outputs.filter(({ role }) => role === 'loss')
  if (losses.length === 0) return []
  const terms = losses.map(({ name, weight = 1 }) => `${weight === 1 ? '' : `${weight} * `}results[${JSON.stringify(name)}]`)
  return [
    'def objective(self, results):',
    `    """What training makes small: the losses, each with its weight."""`,
    `    return ${terms.join(' + ')}`,
  ]
}

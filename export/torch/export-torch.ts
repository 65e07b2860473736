import type { Style } from '../../bundle/format.ts'
import { flag, oneOf, type Rule, text } from '../../bundle/options.ts'
import { CompileError } from '../../compiler/compile-error.ts'
import { frontEnd } from '../../compiler/front-end/front-end.ts'
import type { Graph, Node } from '../../compiler/graph/graph.ts'
import type { Source } from '../../dsl/index.ts'
import { checkExport } from '../check-export.ts'
import { ExportError, type ExportProblem } from '../export-error.ts'
import type { ExportSource } from '../inference-net.ts'
import type { StoredTensor, Streamed } from '../streamed.ts'
import { instancesOf } from './instances.ts'
import type { Written } from './layer.ts'
import { ROWS } from './layers/table.ts'
import { printNet } from './print-net.ts'
import { BESIDE } from './python-texts.ts'
import { readmeOf } from './readme.ts'
import { printSettings, settingsOf, type TorchSettings } from './settings.ts'
import { sharedParameters } from './sharing.ts'
import { statementsOf } from './statements.ts'
import { writeWeights } from './write-weights.ts'

export interface TorchOptions {
  /** The spelling of batch normalization: `split` computes it as two layers. Absent: as the text has it. */
  readonly style?: Style
  /** The version of fusenet, for `settings.json`. */
  readonly version?: string
  /** Whether the weights are those of a training. Default: true. */
  readonly trained?: boolean
}

const RULES: Readonly<Record<keyof TorchOptions, Rule>> = { style: oneOf('merged', 'split'), version: text, trained: flag }

/** A net as a folder of PyTorch: texts by file name, and the weights to be written piece by piece. */
export interface ExportedTorch {
  /** `net.py`, `settings.json`, `train.py` and its parts, `README.md`. */
  readonly texts: ReadonlyMap<string, string>
  /** `weights.safetensors`: all of the module's state_dict, by the names of fusenet. */
  readonly weights: Streamed
  readonly settings: TorchSettings
}

/**
 * The net of a bundle, with all that training needs, as a module of PyTorch 1.13 or later: `net.py` has a class for the net and one for
 * each block, whose modules and parameters have the text's names. Throws ExportError with everything that cannot be exported.
 */
export function exportTorch(source: ExportSource, options: TorchOptions = {}): ExportedTorch {
  checkExport('exportTorch', source, options, RULES)
  const { style, version = '', trained = true } = options
  const { manifest } = source
  const [main, ...others] = manifest.source.files.map(({ name, text }) => ({ file: name, text }))
  if (!main) throw new ExportError([{ where: '', what: 'this bundle carries no text, of which nets are exported' }])
  const readImport = (path: string): Source | undefined => others.find(({ file }) => file.endsWith(path.replace(/^\.\//, '')))
  const { program, graph, diagnostics } = frontEnd(main, {
    ...(style && { style }),
    ...(manifest.freeze && { freeze: manifest.freeze }),
    allowOneValue: true,
    readImport,
  })
  if (!program || !graph) throw new CompileError(diagnostics)
  const problems: ExportProblem[] = []
  const { ownerWithin, shared } = sharedParameters(graph)
  const statements = statementsOf(main, readImport)
  const root = instancesOf(program, graph, statements, (node) => {
    const row = ROWS.get(node.op)
    if (!row) problems.push({ where: node.layer, what: `${node.op} is not written in PyTorch` })
    if (node.layer.split('.').includes(OWN_ATTRIBUTE))
      problems.push({
        where: node.layer,
        what: `a module of PyTorch cannot hold one called ${OWN_ATTRIBUTE}: it is an attribute that train() and eval() set`,
        mend: 'give the layer or block another name with `as`',
      })
    return row ? withOwner(row(layerOf(node)), ownerWithin.get(node)) : { value: [] }
  })
  const tensors = tensorsOf(graph, source, problems)
  if (problems.length > 0) throw new ExportError(problems)
  const printed = printNet({
    graph,
    root,
    statements,
    file: main.file,
    sharing: shared,
    frozen: graph.parameters.filter(({ frozen, name }) => frozen && !KEPT.test(name)).map(({ name }) => name),
  })
  const settings = settingsOf(manifest, graph, printed.inputNames, { version, trained })
  return {
    texts: new Map([
      ['net.py', printed.text],
      ...Object.entries(BESIDE),
      ['settings.json', printSettings(settings)],
      ['README.md', readmeOf(settings)],
    ]),
    weights: writeWeights(tensors, { format: 'pt', net: manifest.name }),
    settings,
  }
}

/** The attribute of every module that is set again and again; all other names of modules can be had. */
const OWN_ATTRIBUTE = 'training'

/** What batch_norm keeps: buffers of its module, no parameters. */
const KEPT = /\.(running_mean|running_var|count|scale_factor)$/

const layerOf = (node: Node) => ({
  node,
  attributes: node.attributes,
  shapes: node.inputs.map(({ shape }) => shape),
  shape: node.outputs[0]!.shape,
  has: (role: string) => node.parameters[role] !== undefined,
})

/** A layer that reads another one's parameters in the same way is that one, called again. */
const withOwner = (written: Written, owner: string | undefined): Written => owner === undefined ? written : { value: written.value, owner }

function tensorsOf(graph: Graph, { weights }: ExportSource, problems: ExportProblem[]): StoredTensor[] {
  return graph.parameters.flatMap(({ name, value }): StoredTensor[] => {
    const shape = value.shape as readonly number[]
    const found = weights?.get(name)
    if (!found) problems.push({ where: name, what: weights ? 'the weights do not have it' : 'the bundle has no weights' })
    else if (found.shape.join() !== shape.join())
      problems.push({ where: name, what: `the weights have it as [${found.shape.join(', ')}], the net as [${shape.join(', ')}]` })
    else return [{ name, type: 'f32', shape, values: () => Float32Array.from(found.data as ArrayLike<number>) }]
    return []
  })
}

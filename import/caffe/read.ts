import { didYouMean } from '../../bundle/nearest.ts'
import type { ByteSource } from '../byte-source.ts'
import { ImportError, type ImportProblem } from '../import-error.ts'
import type { ModelNet, ModelTraining } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'
import { type CaffeLayer, DATA_TYPES, dataflowOf, neededFor } from './dataflow.ts'
import { definitionOf, tellStrangers, weightsOf } from './files.ts'
import { convertLayer } from './layer-view.ts'
import { CONVERTERS, REFUSED } from './layers/converters.ts'
import { pythonSource } from './layers/data.ts'
import { NetBuilder } from './net-builder.ts'
import { statesOf } from './phases.ts'
import { extraLosses, resultsOf, wantedRefs } from './results.ts'
import { solverSettings } from './solver.ts'
import { upgradeNet } from './upgrade.ts'

/**
 * A net of Caffe: a `.prototxt` of a net, or of a solver that names one (found by `beside`), with the weights of a `.caffemodel`.
 * Throws ImportError with all problems.
 */
export function readCaffe(source: ByteSource, options: ReadOptions = {}): ModelNet {
  const problems: ImportProblem[] = []
  const { file, net: written, solver } = definitionOf(source, options, problems)
  const settings = solver && solverSettings(source.name, solver, problems)
  const states = statesOf(written, solver)
  const net = upgradeNet(file, written, problems)
  const flow = dataflowOf(file, net, states, problems)
  // What follows would only tell what follows from these.
  if (problems.length > 0) throw new ImportError(problems)
  const wanted = options.outputs && wantedRefs(options.outputs, flow, problems)
  const layers = wanted ? neededFor(wanted, flow.layers) : flow.layers
  const builder = new NetBuilder({ ...options, file, fileLayers: weightsOf(options, problems) }, problems)
  convertLayers(builder, layers, file)
  const results = resultsOf(builder, flow, layers, wanted)
  const inputs = builder.inputs()
  notesOnWeights(builder)
  if (problems.length === 0 && results.length === 0)
    problems.push({
      where: file,
      what: 'the net has no outputs',
      mend: written.has('layer') || written.has('layers') ?
        'its layers are for other phases, levels or stages, by their rules include and exclude'
        : 'a net is made of layers',
    })
  if (problems.length > 0) throw new ImportError(problems)
  const learns = results.some(({ kind }) => kind === 'loss')
  const training = trainingOf(builder, settings?.training, learns)
  return {
    name: net.text('name', '') || (solver ? file : source.name).replace(/^.*[\\/]|\.[^.]*$/g, ''),
    inputs,
    layers: builder.layers,
    results,
    ...(training && { training }),
    notes: [...(settings?.notes ?? []), ...builder.notes],
    facts: {
      format: 'caffe',
      ...(solver && { solver: source.name }),
      ...(builder.styles.size > 0 && { batchNorm: [...builder.styles].join(' and ') }),
      definition: written.has('layers') ? (written.messages('layers').some((layer) => layer.has('layer')) ? 'V0' : 'V1') : 'layer',
    },
  }
}

// ---- layers ------------------------------------------------------------------------------------------------------------

function convertLayers(builder: NetBuilder, layers: readonly CaffeLayer[], file: string): void {
  for (const layer of layers) {
    const converter = layer.type === 'Python' && layer.bottoms.length === 0 ? pythonSource : CONVERTERS.get(layer.type)
    if (layer.type === 'HDF5Output') {
      builder.note(`layer ${layer.name}`, 'left out', 'it writes to a file; `fusenet run -o` does')
      continue
    }
    if (!converter) {
      const [what, mend] = REFUSED.get(layer.type) ??
        [
          layer.type === '' ? 'it has no type' : `layers of type ${layer.type} have no equal${didYouMean(layer.type, CONVERTERS.keys())}`,
          layer.type === '' ? 'say what it is, e.g. type: "ReLU"' : 'cut the net in front of it by --outputs',
        ]
      builder.problems.push({ where: layer.where, what, mend })
      continue
    }
    tellStrangers(file, ` layer ${layer.name}`, layer.message.strangers(), builder.problems)
    convertLayer(builder, layer, converter)
    extraLosses(builder, layer)
    const stopped = layer.message.all('propagate_down').findIndex((down, i) =>
      down === false && !DATA_TYPES.has(layer.bottoms[i]?.layer.type ?? 'Input')
    )
    if (stopped >= 0)
      builder.note(
        `layer ${layer.name}`,
        'differs',
        `propagate_down: false has no equal: ${layer.bottoms[stopped]!.blob} gets a gradient in training`,
      )
  }
}

// ---- what is left ------------------------------------------------------------------------------------------------------

function notesOnWeights({ options, used, bare, fillerless, notes, problems }: NetBuilder): void {
  const { fileLayers, weights } = options
  // A net without parameters has a file without weights.
  if (fileLayers?.size === 0 && bare.length > 0) {
    problems.push({
      where: weights!.name,
      what: 'it has no weights',
      mend: 'a .caffemodel is what Caffe writes in training, not a .solverstate',
    })
  }
  if (fileLayers && fileLayers.size > 0) {
    const left = [...fileLayers.keys()].filter((name) => !used.has(name))
    if (used.size === 0 && problems.length === 0) {
      problems.push({
        where: weights!.name,
        what: 'none of its layers has the name of one of the net',
        mend: `they are called ${left.slice(0, 8).join(', ')}${left.length > 8 ? ', ...' : ''}`,
      })
    }
    if (left.length > 0)
      notes.push({ about: weights!.name, kind: 'left out', text: `the net has no layers for its weights of ${left.join(', ')}` })
    if (bare.length > 0)
      notes.push({ about: weights!.name, kind: 'changed', text: `it has no weights for ${bare.join(', ')}: they start anew` })
  }
  if (fillerless.length > 0) {
    notes.push({
      about: fillerless.length > 3 ? `${fillerless.length} layers` : fillerless.join(', '),
      kind: 'differs',
      text: "without weights and without a filler Caffe starts them with 0; here with the language's own filler",
    })
  }
}

function trainingOf(builder: NetBuilder, solver: ModelTraining | undefined, learns: boolean): ModelTraining | undefined {
  const { data, batch, augment } = builder
  const changes = augment.filter((call, i) => augment.findIndex((other) => other.call === call.call) === i)
  if (!learns) {
    if (solver) builder.note('', 'left out', 'the solver: no loss is among what was imported')
    return undefined
  }
  if (!solver) {
    const said = [...(batch === undefined ? [] : [`batch ${batch}`]), ...changes.map(({ call }) => `augment ${call}`)]
    builder.note(
      '',
      'left out',
      `${said.length > 0 ? `${said.join(', ')}: ` : ''}a train block is made of a solver's prototxt; import that, with this net beside it`,
    )
    return undefined
  }
  return {
    ...(data && { data }),
    ...(changes.length > 0 && { augment: changes }),
    ...(batch !== undefined && { batch }),
    ...solver,
  }
}

import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { type ExportedOnnx, exportOnnx, OPSETS } from '../../export/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, syncFolder, tryFile } from '../../runtime/loading/node/files.ts'
import { UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { VERSION } from '../package.ts'
import { type Screen, showBytes } from '../screen.ts'
import { refuseOthers } from '../outputs.ts'
import { writeParts } from './files.ts'
import type { Target } from './target.ts'
import { countOf } from '../../bundle/plain.ts'

/** How far outputs of a model may be from fusenet's own, over the largest value: float32 in another order of additions. */
const TOLERANCE = 2e-5

export function refuseOpset(opset: number | undefined): void {
  if (opset !== undefined && (opset < OPSETS.first || opset > OPSETS.last))
    throw new UsageError(`--opset ${opset}: models are written for opsets ${OPSETS.first} to ${OPSETS.last}`)
}

/** Whether a file is fusenet's, as its first bytes tell: the producer is the second field of what it writes (see write-model.ts). */
export const isOurOnnx = (head: string): boolean => head.slice(0, 16).includes('\x12\x07fusenet')

/** A model of ONNX, with a file of weights beside it where the model does not hold them. */
export const toOnnx: Target = {
  ending: '.onnx',
  says: 'a model of ONNX ends in .onnx',
  async prepare(file, { opset }) {
    refuseOpset(opset)
    await refuseOthers(file, { isOurs: isOurOnnx })
    await tryFile(file)
  },
  async write(file, bundle, { opset, fold, style, check, isTrained }, screen) {
    const beside = `${basename(file)}.data`
    const besideFile = resolve(dirname(file), beside)
    const exported = exportOnnx(bundle, { beside, version: VERSION, fold, ...(opset !== undefined && { opset }), ...(style && { style }) })
    if (exported.data && await kindOf(besideFile)) throw new InputError(`${besideFile} is there already: name another file`)

    const draft = draftOf(resolve(file))
    await withFile(file, 'written', () => mkdir(dirname(resolve(file)), { recursive: true }))
    await removeLeftOvers(resolve(file))
    let isDone = false
    try {
      if (exported.data) await writeParts(besideFile, exported.data, screen)
      await writeParts(draft, exported.model, screen)
      const found = !check ? 'not checked: --no-check' : await checked(draft, exported, bundle)
      await withFile(file, 'written', () => rename(draft, resolve(file)))
      await syncFolder(dirname(resolve(file)))
      isDone = true
      tell(screen, file, exported, bundle, isTrained, found, exported.data && besideFile)
    } finally {
      if (!isDone) { for (const each of [draft, ...(exported.data ? [besideFile] : [])]) await rm(each, { force: true }).catch(() => {}) }
    }
  },
}

/** What onnxruntime makes of the file, or why nobody knows. Throws InputError where it computes something else. */
async function checked(file: string, exported: ExportedOnnx, bundle: Bundle): Promise<string | { readonly difference: number }> {
  const { checkOnnx, findOnnxRuntime } = await import('../check-onnx.ts')
  const runtime = await findOnnxRuntime([process.cwd(), dirname(resolve(file))])
  if (!runtime) return 'not checked: onnxruntime-node is not installed here (npm install onnxruntime-node)'
  const found = await checkOnnx(runtime, file, exported, bundle).catch((error: unknown) => {
    throw new InputError(`onnxruntime does not run the model: ${(error as Error).message}\n--no-check writes it all the same`)
  })
  const wrong = found.filter(({ difference }) => !(difference <= TOLERANCE))
  if (wrong.length > 0)
    throw new InputError(
      `onnxruntime computes something else from the model: ${
        wrong.map(({ output, difference }) => `${output} differs by ${difference.toPrecision(2)} of its largest value`).join(', ')
      }\n--no-check writes it all the same`,
    )
  return { difference: Math.max(0, ...found.map(({ difference }) => difference)) }
}

function tell(
  screen: Screen,
  file: string,
  { opset, graph, model, data, notes }: ExportedOnnx,
  bundle: Bundle,
  isTrained: boolean,
  check: string | { readonly difference: number },
  besideFile: string | undefined,
): void {
  const shown = (values: typeof graph.inputs): string => values.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ')
  screen.print(`${file}: ${bundle.manifest.name}, opset ${opset}, ${countOf(graph.nodes.length, 'node')}, ${showBytes(model.bytes)}`)
  if (data && besideFile !== undefined)
    screen.print(`${besideFile}: its weights, ${showBytes(data.bytes)}; the two files stay in one folder under their names`)
  screen.print(`  inputs   ${shown(graph.inputs)}`)
  screen.print(`  outputs  ${shown(graph.outputs)}`)
  if (!isTrained) screen.print('  weights  as they start: no training and no --weights gave others')
  screen.print(
    typeof check === 'string' ? `  ${check}`
      : `  checked  onnxruntime's outputs are within ${check.difference.toPrecision(2)} of fusenet's, over the largest value`,
  )
  for (const note of notes) screen.print(`  ${note}`)
  screen.result({
    file,
    ...(besideFile !== undefined && data && { data: besideFile }),
    opset,
    nodes: graph.nodes.length,
    bytes: model.bytes + (data?.bytes ?? 0),
    inputs: graph.inputs,
    outputs: graph.outputs,
    trained: isTrained,
    checked: typeof check === 'string' ? false : check,
    notes,
  })
}

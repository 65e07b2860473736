import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { type ExportedOnnxStep, exportOnnxStep, type Streamed } from '../../export/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, syncFolder, tryFile } from '../../runtime/loading/node/files.ts'
import { UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { VERSION } from '../package.ts'
import { type Screen, showBytes } from '../screen.ts'
import { refuseOthers } from '../outputs.ts'
import { firstValues, writeParts } from './files.ts'
import type { Target } from './target.ts'
import { isOurOnnx, refuseOpset } from './to-onnx.ts'
import { countOf } from '../../bundle/plain.ts'

/** How far losses of a few steps may be from fusenet's own, over the largest: float32 in another order of additions. */
const TOLERANCE = 1e-4

/** `step.onnx` has its beginning in `step.start.onnx`. */
const startOf = (file: string): string => file.replace(/\.onnx$/i, '.start.onnx')

/** A step of training as a model of ONNX, and what it starts with as another. */
export const toOnnxStep: Target = {
  ending: '.onnx',
  says: 'a model of ONNX ends in .onnx; what a training starts with goes to the .start.onnx beside it',
  programs: ['train'],
  started: (bundle) => ({ ...bundle, weights: firstValues(bundle.manifest) }),
  async prepare(file, { opset, fold }) {
    refuseOpset(opset)
    if (fold) throw new UsageError('--fold is of nets that infer: a step trains batch normalizations')
    for (const each of [file, startOf(file)]) await refuseOthers(each, { isOurs: isOurOnnx })
    await tryFile(file)
  },
  async write(file, bundle, { opset, style, check, isTrained }, screen) {
    const start = startOf(file)
    const beside = `${basename(start)}.data`
    const exported = exportOnnxStep(bundle, { version: VERSION, beside, ...(opset !== undefined && { opset }), ...(style && { style }) })
    const besideFile = resolve(dirname(file), beside)
    if (exported.start.data && await kindOf(besideFile)) throw new InputError(`${besideFile} is there already: name another file`)
    const written: readonly (readonly [file: string, what: Streamed])[] = [[resolve(start), exported.start.model], [
      resolve(file),
      exported.model,
    ]]
    const drafts = written.map(([path, what]) => ({ path, what, draft: draftOf(path) }))
    await withFile(file, 'written', () => mkdir(dirname(resolve(file)), { recursive: true }))
    let isDone = false
    try {
      if (exported.start.data) await writeParts(besideFile, exported.start.data, screen)
      for (const { path, what, draft } of drafts) {
        await removeLeftOvers(path)
        await writeParts(draft, what, screen)
      }
      const models = { start: drafts[0]!.draft, step: drafts[1]!.draft }
      const found = !check ? 'not checked: --no-check' : await checked(models, exported, bundle, file)
      for (const { path, draft } of drafts) await withFile(path, 'written', () => rename(draft, path))
      await syncFolder(dirname(resolve(file)))
      isDone = true
      tell(screen, { file, start, ...(exported.start.data && { data: besideFile }) }, exported, bundle, isTrained, found)
    } finally {
      const left = [...drafts.map(({ draft }) => draft), ...(exported.start.data ? [besideFile] : [])]
      if (!isDone) { for (const each of left) await rm(each, { force: true }).catch(() => {}) }
    }
  },
}

/** How far onnxruntime's losses are from fusenet's, or why nobody knows. Throws InputError where it trains something else. */
async function checked(
  models: { readonly start: string; readonly step: string },
  exported: ExportedOnnxStep,
  bundle: Bundle,
  file: string,
): Promise<string | { readonly difference: number }> {
  const { findOnnxRuntime } = await import('../check-onnx.ts')
  const { checkOnnxStep } = await import('../check-onnx-step.ts')
  const runtime = await findOnnxRuntime([process.cwd(), dirname(resolve(file))])
  if (!runtime) return 'not checked: onnxruntime-node is not installed here (npm install onnxruntime-node)'
  const difference = await checkOnnxStep(runtime, models, exported, bundle).catch((error: unknown) => {
    throw new InputError(`onnxruntime does not run the step: ${(error as Error).message}\n--no-check writes it all the same`)
  })
  if (difference <= TOLERANCE) return { difference }
  throw new InputError(
    `onnxruntime trains something else by the step: its losses differ by ${
      difference.toPrecision(2)
    } of the largest\n--no-check writes it all the same`,
  )
}

function tell(
  screen: Screen,
  { file, start, data }: { readonly file: string; readonly start: string; readonly data?: string },
  { opset, graph, model, start: first, state, feeds }: ExportedOnnxStep,
  bundle: Bundle,
  isTrained: boolean,
  check: string | { readonly difference: number },
): void {
  const isState = new Set(state)
  const fed = graph.inputs.filter(({ name }) => !isState.has(name))
  const results = graph.outputs.filter(({ name }) => !name.startsWith('next/'))
  screen.print(
    `${file}: a step of ${bundle.manifest.name}, opset ${opset}, ${countOf(graph.nodes.length, 'node')}, ${showBytes(model.bytes)}`,
  )
  screen.print(`${start}: what it starts with, ${showBytes(first.model.bytes)}`)
  if (data !== undefined) screen.print(`${data}: its values; the two files stay in one folder under their names`)
  screen.print(`  feeds    ${fed.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ')}`)
  screen.print(`  state    ${state.length} tensors: NAME of the next step is next/NAME of this one`)
  screen.print(`  results  ${results.map(({ name }) => name).join(', ')}`)
  if (!isTrained) screen.print('  weights  as they start: no training and no --weights gave others')
  screen.print(
    typeof check === 'string' ? `  ${check}`
      : `  checked  losses of three steps in onnxruntime are within ${check.difference.toPrecision(2)} of fusenet's, over the largest`,
  )
  screen.result({
    file,
    start,
    ...(data !== undefined && { data }),
    opset,
    nodes: graph.nodes.length,
    bytes: model.bytes,
    feeds: fed,
    state,
    results: results.map(({ name }) => name),
    randomFeeds: feeds.random.map(({ name }) => name),
    trained: isTrained,
    checked: typeof check === 'string' ? false : check,
  })
}

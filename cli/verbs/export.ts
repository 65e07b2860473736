import { mkdir, open as openFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { Option } from 'commander'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { WASM } from '../../bundle/plans.ts'
import type { ExportedOnnx, Streamed } from '../../export/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, syncFolder, tryFile } from '../../runtime/loading/node/files.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { EXIT, UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { positiveInteger, style, weights } from '../options.ts'
import { VERSION } from '../package.ts'
import { progress } from '../progress.ts'
import { type Screen, showBytes } from '../screen.ts'
import type { Verb } from '../verb.ts'

/** How far outputs of a model may be from fusenet's own, over the largest value: float32 in another order of additions. */
const TOLERANCE = 2e-5

export const exportVerb: Verb = {
  name: 'export',
  summary: 'write a net as a model of ONNX, which other tools run',
  describe(command) {
    weights(style(command.argument('<net>', 'a .net file, or a bundle')))
      .addOption(new Option('--to <format>', 'what is written').choices(['onnx']).makeOptionMandatory())
      .requiredOption('-o, --output <file>', 'the file, which ends in .onnx')
      .option('--opset <n>', 'the operator set of ONNX, 13 to 23 (default: 17)', positiveInteger)
      .option('--fold', 'batch normalizations become part of the layers in front of them')
      .option('--no-check', 'not compared with onnxruntime-node, where it is installed')
      .addHelpText(
        'after',
        '\nExamples:\n  fusenet export out/mnist --to onnx -o mnist.onnx\n  fusenet export net.net --weights w.safetensors --to onnx --fold -o net.onnx',
      )
  },
  async run({ args, options, screen }) {
    const file = options['output'] as string
    if (!/\.onnx$/i.test(file)) throw new UsageError(`-o ${file}: a model of ONNX ends in .onnx`)
    const { exportOnnx, OPSETS } = await import('../../export/index.ts')
    const opset = options['opset'] as number | undefined
    if (opset !== undefined && (opset < OPSETS.first || opset > OPSETS.last))
      throw new UsageError(`--opset ${opset}: models are written for opsets ${OPSETS.first} to ${OPSETS.last}`)
    const beside = `${basename(file)}.data`
    const besideFile = resolve(dirname(file), beside)
    await refuseOthers(file)
    await tryFile(file)

    const net = await netOptions(options, screen)
    const loaded = await loadBundle(args[0]!, { ...net, only: { programs: ['infer'], targets: [WASM] }, older: true })
    const bundle = loaded.weights ? loaded : await started(loaded)
    const exported = exportOnnx(bundle, {
      beside,
      version: VERSION,
      fold: options['fold'] === true,
      ...(opset !== undefined && { opset }),
      ...(net.style && { style: net.style }),
    })
    if (exported.data && await kindOf(besideFile)) throw new InputError(`${besideFile} is there already: name another file`)

    const draft = draftOf(resolve(file))
    await withFile(file, 'written', () => mkdir(dirname(resolve(file)), { recursive: true }))
    await removeLeftOvers(resolve(file))
    let isDone = false
    try {
      if (exported.data) await write(besideFile, exported.data, screen)
      await write(draft, exported.model, screen)
      const check = options['check'] === false ? 'not checked: --no-check' : await checked(draft, exported, bundle)
      await withFile(file, 'written', () => rename(draft, resolve(file)))
      await syncFolder(dirname(resolve(file)))
      isDone = true
      tell(screen, file, exported, bundle, loaded.weights !== undefined, check, exported.data && besideFile)
    } finally {
      if (!isDone) { for (const each of [draft, ...(exported.data ? [besideFile] : [])]) await rm(each, { force: true }).catch(() => {}) }
    }
    return EXIT.done
  },
}

/** The net with the values that its fillers give. */
async function started(bundle: Bundle): Promise<Bundle> {
  const { open, wasm } = await import('../../runtime/index.ts')
  const net = await open(bundle, { device: await wasm(), batch: 1, programs: ['infer'], allowOneValue: true })
  try {
    return { ...bundle, weights: await net.parameters() }
  } finally {
    net.close()
  }
}

/** A model that fusenet wrote is replaced; another file is not. */
async function refuseOthers(file: string): Promise<void> {
  const kind = await kindOf(file)
  if (kind === 'folder') throw new InputError(`${file} is a folder; a model is a file`)
  if (kind !== 'file') return
  const head = await withFile(file, 'read', async () => {
    const handle = await openFile(file, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0)
      return buffer.subarray(0, bytesRead).toString('latin1')
    } finally {
      await handle.close()
    }
  })
  // The producer is the second field of what fusenet writes: see write-model.ts.
  if (!head.includes('\x12\x07fusenet')) throw new InputError(`${file} is there already, and fusenet did not write it: name another file`)
}

async function write(file: string, { bytes, parts }: Streamed, screen: Screen): Promise<void> {
  const writing = progress(screen, 'writing', bytes, 'bytes')
  try {
    await withFile(file, 'written', async () => {
      const handle = await openFile(file, 'w')
      try {
        for (const part of parts((done) => writing.update(Math.round(done * bytes), Math.round(done * bytes)))) await handle.writeFile(part)
        await handle.sync()
      } finally {
        await handle.close()
      }
    })
  } finally {
    writing.stop()
  }
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
  screen.print(`${file}: ${bundle.manifest.name}, opset ${opset}, ${graph.nodes.length} nodes, ${showBytes(model.bytes)}`)
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

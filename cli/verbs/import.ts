import { createHash } from 'node:crypto'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { ImportReport, NamedTensor, Note } from '../../import/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, replaceFiles, syncFolder, tryFolder } from '../../runtime/loading/node/files.ts'
import { EXIT, UsageError } from '../exit.ts'
import { type FileSource, filesBeside, fileSource } from '../file-source.ts'
import { kindOf, mustExist, readText } from '../files.ts'
import { collect, names } from '../options.ts'
import { VERSION } from '../package.ts'
import { progress } from '../progress.ts'
import { type Screen, showBytes, showCount } from '../screen.ts'
import type { Verb } from '../verb.ts'
import { quoted } from '../../bundle/quoted.ts'

const WEIGHTS = 'weights.safetensors'
const REPORT = 'import.json'

export const importVerb: Verb = {
  name: 'import',
  summary: 'bring a model of ONNX, Caffe or Darknet: a .net text and weights',
  describe(command) {
    command.argument('<model>', '.onnx; .prototxt of Caffe; .cfg of Darknet')
      .argument('[weights]', 'the weights that lie in a file of their own: .caffemodel, .weights')
      .requiredOption('-o, --output <dir>', `the folder of NAME.net, ${WEIGHTS} and ${REPORT}`)
      .option('--name <name>', "the net's name (default: as the model's file; of a solver, as its net)")
      .option('--shape <input=CxHxW>', 'the shape of one sample of an input that the model leaves open; may be repeated', collect)
      .option('--outputs <names>', "the model's names of the values that become outputs; what only others need is left out", names)
      .addHelpText('after', '\nThen: fusenet compile DIR/NAME.net --weights DIR/weights.safetensors -o BUNDLE')
  },
  async run({ args, options, screen }) {
    const [file, weightsFile] = args as readonly [string, string | undefined]
    const folder = options['output'] as string
    const name = options['name'] as string | undefined
    if (name !== undefined && !/^[A-Za-z_]\w*$/.test(name))
      throw new UsageError(`--name ${JSON.stringify(name)}: the name of a net has letters, digits and _, and no digit in front`)
    const shapes = shapesOf((options['shape'] ?? []) as readonly string[])
    for (const path of [file, ...(weightsFile === undefined ? [] : [weightsFile])])
      if (await mustExist(path) === 'folder') throw new InputError(`${path} is a folder; a model is a file`)
    await checkFolder(folder)

    const opened: FileSource[] = []
    const openFile = (path: string): FileSource => {
      const source = fileSource(path)
      opened.push(source)
      return source
    }
    const { importModel, importReport, safetensorsParts, tensorBytes, writeNet } = await import('../../import/index.ts')
    const reading = progress(screen, 'reading', 100, 'percent')
    try {
      const model = await importModel(openFile(file), {
        shapes,
        ...(options['outputs'] !== undefined && { outputs: options['outputs'] as readonly string[] }),
        ...(weightsFile !== undefined && { weights: openFile(weightsFile) }),
        beside: filesBeside(file, (source) => opened.push(source)),
        progress: (done) => reading.update(Math.round(100 * done), Math.round(100 * done)),
      })
      // A solver's file is called after what it does, and not after its net.
      const own = model.facts?.['solver'] === undefined ? basename(file, extname(file)) : model.name
      const written = writeNet({ ...model, name: name ?? own })
      reading.stop()
      const paths = [`${written.name}.net`, WEIGHTS, REPORT].map((each) => join(folder, each)) as [string, string, string]
      await refuseOthers(folder, written.name)
      const names = [file, ...(weightsFile === undefined ? [] : [weightsFile])].map((path) => basename(path))
      const notes: Note[] = []
      const bytes = tensorBytes(written.tensors)
      const writing = progress(screen, 'writing weights', bytes, 'bytes')
      try {
        const parts = safetensorsParts(
          watched(written.tensors, notes),
          (done) => writing.update(Math.round(done * bytes), Math.round(done * bytes)),
        )
        // Weights of an earlier import would not fit what has none.
        await (written.tensors.length === 0 ? withFile(paths[1], 'written', () => rm(paths[1], { force: true }))
          : writeParts(paths[1], parts))
      } finally {
        writing.stop()
      }
      const report = importReport(model, { ...written, notes: [...written.notes, ...notes] }, names)
      const kept = { fusenet: VERSION, ...report, sha256: hashOf(written.text) }
      await replaceFiles(new Map([[paths[0], written.text], [paths[2], `${JSON.stringify(kept, null, 1)}\n`]]))
      tell(screen, folder, paths, report, { layerCount: model.layers.length, bytes, trains: model.training !== undefined })
    } finally {
      reading.stop()
      for (const source of opened) source.close()
    }
    return EXIT.done
  },
}

/** The tensors, which add a note for each that holds NaN or an infinite number when its values are written. */
function watched(tensors: readonly NamedTensor[], notes: Note[]): readonly NamedTensor[] {
  return tensors.map(({ name, tensor }) => ({
    name,
    tensor: {
      shape: tensor.shape,
      values() {
        const values = tensor.values()
        let wrong = 0
        for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) wrong++
        if (wrong > 0)
          notes.push({
            about: name,
            kind: 'differs',
            text: `${wrong} of its ${values.length} values are NaN or infinite: are the weights those of this net, and whole?`,
          })
        return values
      },
    },
  }))
}

/** `data=3x224x224`: without the batch. */
function shapesOf(given: readonly string[]): ReadonlyMap<string, readonly number[]> {
  return new Map(given.map((text): [string, readonly number[]] => {
    const match = /^(.+)=(\d+(?:x\d+)*)$/.exec(text.trim())
    if (!match) throw new UsageError(`--shape ${text}: say it as NAME=3x224x224, one sample's sizes without the batch`)
    const shape = match[2]!.split('x').map(Number)
    if (shape.some((size) => size < 1 || !Number.isSafeInteger(size)))
      throw new UsageError(`--shape ${text}: sizes are whole numbers from 1 on`)
    return [match[1]!, shape]
  }))
}

/** Refuses a place that cannot be written to, or that holds something else than an import, before the work is done. */
async function checkFolder(folder: string): Promise<void> {
  const kind = await kindOf(folder)
  if (kind === 'file') throw new InputError(`${folder} is a file; an import is a folder`)
  if (kind === undefined && /\.(net|safetensors|json)$/i.test(folder))
    throw new UsageError(`-o ${folder}: an import is a folder, of a text and its weights; name it without the ending`)
  const found = kind === 'folder' ? await withFile(folder, 'read', () => readdir(folder)) : []
  if (found.length > 0 && !found.includes(REPORT))
    throw new InputError(`${folder} holds other files (${found.sort().slice(0, 3).join(', ')}): name a new folder`)
  await tryFolder(folder)
}

/** An import of the same name is replaced; another net is not, nor is a text that somebody changed since. */
async function refuseOthers(folder: string, name: string): Promise<void> {
  const found = await kindOf(folder) === 'folder' ? await withFile(folder, 'read', () => readdir(folder)) : []
  const other = found.find((each) => each.endsWith('.net') && each !== `${name}.net`)
  if (other !== undefined) throw new InputError(`${folder} holds ${other}, another net: name a new folder`)
  const net = join(folder, `${name}.net`)
  if (!found.includes(`${name}.net`)) return
  const before = JSON.parse(await readText(join(folder, REPORT)).catch(() => '{}')) as { sha256?: unknown }
  if (before.sha256 !== hashOf(await readText(net)))
    throw new InputError(`${net} was changed since it was imported, and would be lost: name a new folder`)
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Writes a file of any size: the old one, if there is one, stays until the new one is complete. */
async function writeParts(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  await withFile(path, 'written', async () => {
    await mkdir(join(path, '..'), { recursive: true })
    await removeLeftOvers(path)
    const draft = draftOf(path)
    const handle = await open(draft, 'wx')
    try {
      try {
        for (const part of parts) await handle.writeFile(part)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(draft, path)
      await syncFolder(join(path, '..'))
    } finally {
      await rm(draft, { force: true }).catch(() => {})
    }
  })
}

function tell(
  screen: Screen,
  folder: string,
  [net, weights]: readonly [string, string, string],
  report: ImportReport,
  { layerCount, bytes, trains }: { readonly layerCount: number; readonly bytes: number; readonly trains: boolean },
): void {
  const { inputs, outputs, notes, parameters } = report
  const say = (rows: readonly { readonly model: string; readonly name: string }[]): string =>
    rows.map(({ model, name }) => (model === name ? name : `${name} (${model})`)).join(', ')
  screen.print(
    `${net}: ${layerCount} ${layerCount === 1 ? 'layer' : 'layers'}, ${
      parameters === 0 ? 'nothing to learn'
        : `${showCount(parameters)} parameters, ${bytes === 0 ? 'no weights: training starts fresh' : `${showBytes(bytes)} of weights`}`
    }`,
  )
  screen.print(`  inputs   ${say(inputs)}`)
  screen.print(`  outputs  ${say(outputs)}`)
  const differing = notes.filter(({ kind }) => kind === 'differs')
  for (const { about, text } of differing) screen.print(`  ${screen.colors.yellow('differs')}  ${about === '' ? '' : `${about}: `}${text}`)
  const others = notes.length - differing.length
  if (others > 0) screen.print(`  ${others} ${others === 1 ? 'note' : 'notes'} on what was changed or left out: ${join(folder, REPORT)}`)
  const from = bytes === 0 ? quoted(net) : `${quoted(net)} --weights ${quoted(weights)}`
  const bundle = quoted(`${folder}-bundle`)
  // What has learned nothing yet infers nothing of use.
  const next = [
    ...(trains ? [`fusenet train ${from} --data my-data -o ${bundle}`] : []),
    ...(trains && bytes === 0 ? [] : [`fusenet compile ${from} -o ${bundle}`]),
  ]
  screen.print(['\nWhat to type next:', ...next.map((line) => `  ${line}`)].join('\n'))
  screen.result({ folder, written: [`${report.name}.net`, ...(bytes === 0 ? [] : [WEIGHTS]), REPORT], bytes, ...report })
}

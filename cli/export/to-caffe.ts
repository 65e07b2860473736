import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import { exportCaffe, type Streamed, WRITTEN_BY } from '../../export/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, syncFolder, tryFile } from '../../runtime/loading/node/files.ts'
import { kindOf } from '../files.ts'
import { showBytes } from '../screen.ts'
import { refuseOthers } from '../outputs.ts'
import { writeParts } from './files.ts'
import type { Target } from './target.ts'
import { countOf } from '../../bundle/plain.ts'

const weightsOf = (file: string): string => file.replace(/\.prototxt$/i, '.caffemodel')

/** A prototxt, and its weights in a caffemodel beside it. */
export const toCaffe: Target = {
  ending: '.prototxt',
  says: 'a net of Caffe ends in .prototxt; its weights go to the .caffemodel beside it',
  async prepare(file) {
    await refuseOthers(file, { isOurs: (head) => head.startsWith(WRITTEN_BY) })
    // A caffemodel does not say who wrote it; that of a prototxt of fusenet is fusenet's.
    const isOurs = await kindOf(file) !== undefined
    if (!isOurs && await kindOf(weightsOf(file))) throw new InputError(`${weightsOf(file)} is there already: name another file`)
    await tryFile(file)
  },
  async write(file, bundle, { batch, fold, style, isTrained }, screen) {
    const exported = exportCaffe(bundle, { fold, ...(batch !== undefined && { batch }), ...(style && { style }) })
    const { net, prototxt, caffemodel, inputs, outputs } = exported
    const weights = weightsOf(file)
    // Caffe refuses weights without layers.
    const hasWeights = net.layers.some(({ blobs }) => blobs.length > 0)
    const written: readonly (readonly [file: string, what: Streamed])[] = [
      ...(hasWeights ? [[resolve(weights), caffemodel] as const] : []),
      [resolve(file), whole(new TextEncoder().encode(prototxt))],
    ]
    const drafts = written.map(([path, what]) => ({ path, what, draft: draftOf(path) }))
    await withFile(file, 'written', () => mkdir(dirname(resolve(file)), { recursive: true }))
    try {
      for (const { path, what, draft } of drafts) {
        await removeLeftOvers(path)
        await writeParts(draft, what, screen)
      }
      for (const { path, draft } of drafts) await withFile(path, 'written', () => rename(draft, path))
      await syncFolder(dirname(resolve(file)))
    } finally {
      for (const { draft } of drafts) await rm(draft, { force: true }).catch(() => {})
    }
    screen.print(`${file}: ${net.name}, ${countOf(net.layers.length, 'layer')}`)
    if (hasWeights) screen.print(`${weights}: its weights, ${showBytes(caffemodel.bytes)}`)
    screen.print(`  inputs   ${inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ')}`)
    screen.print(`  outputs  ${outputs.join(', ')}`)
    if (!isTrained) screen.print('  weights  as they start: no training and no --weights gave others')
    screen.result({
      file,
      ...(hasWeights && { weights }),
      layers: net.layers.length,
      bytes: prototxt.length + (hasWeights ? caffemodel.bytes : 0),
      inputs,
      outputs,
      trained: isTrained,
    })
  },
}

const whole = (bytes: Uint8Array<ArrayBuffer>): Streamed => ({
  bytes: bytes.length,
  *parts() {
    yield bytes
  },
})

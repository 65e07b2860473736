import { availableParallelism } from 'node:os'
import { InputError } from '../../../bundle/errors.ts'
import { endsOf, whatItIs } from './read.ts'
import { decodePicture, needDecoder } from './sharp.ts'

/** Cameras append bytes after the end that a format marks: the mark is looked for in this many last bytes. */
const END_BYTES = 4096

/**
 * Why a picture is broken as far as its first and last bytes tell; undefined where they look whole. What looks wrong is decoded, since
 * there are more formats and appendices than are known here.
 */
export async function brokenPicture(path: string): Promise<string | undefined> {
  try {
    const { start, end, size } = await endsOf(path, END_BYTES)
    const strange = whatItIs(start)
    if (strange !== undefined) return strange
    if (looksWhole(start, end, size)) return undefined
    return await decodePicture(path, [3, 8, 8]).then(() => undefined, (error: unknown) => {
      if (!(error instanceof InputError) || !isKnown(start)) throw error
      return `it is cut off or damaged (${error.message.split(': ').slice(1).join(': ').split('\n')[0]!.replace(/:$/, '')})`
    })
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    return error.message.replace(`${path} `, '')
  }
}

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG = [0xff, 0xd8, 0xff]
const GIF = [0x47, 0x49, 0x46, 0x38]
const RIFF = [0x52, 0x49, 0x46, 0x46]

const begin = (start: Uint8Array, bytes: readonly number[]): boolean => bytes.every((byte, i) => start[i] === byte)
const isKnown = (start: Uint8Array): boolean => [PNG, JPEG, GIF, RIFF].some((bytes) => begin(start, bytes))

function looksWhole(start: Uint8Array, end: Uint8Array, size: number): boolean {
  const text = new TextDecoder('latin1').decode(end)
  if (begin(start, PNG)) return text.includes('IEND\xaeB`\x82')
  if (begin(start, JPEG)) return text.includes('\xff\xd9')
  if (begin(start, GIF)) return text.trimEnd().replace(/\0+$/, '').endsWith(';')
  if (begin(start, RIFF)) return size >= 8 + new DataView(start.buffer, start.byteOffset).getUint32(4, true)
  return false
}

/** The broken ones of many pictures, each with its reason. `whole`: each is decoded, since one may also break off in its middle. */
export async function brokenPictures(paths: readonly string[], whole = false): Promise<Map<string, string>> {
  if (paths.length > 0) await needDecoder()
  const reasons: (string | undefined)[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < paths.length; i = next++) {
      const path = paths[i]!
      reasons[i] = await brokenPicture(path) ?? (whole ? await decodePicture(path, [3, 8, 8]).then(() => undefined, (error: unknown) => {
        if (!(error instanceof InputError)) throw error
        return error.message.replace(`${path} `, '').split('\n')[0]
      }) : undefined)
    }
  }
  await Promise.all(Array.from({ length: Math.min(paths.length, 4 * availableParallelism()) }, worker))
  return new Map(paths.flatMap((path, i) => (reasons[i] === undefined ? [] : [[path, reasons[i]] as const])))
}

/** The nets of the zoo: what people train. Each is a file, an edit or two where the file is of another size, and a batch. */
import { readFileSync } from 'node:fs'

const samples = new URL('../../../samples/', import.meta.url)
const own = new URL('nets/', import.meta.url)

/** ImageNet's nets at a size that a CPU trains. */
const AT_64 = ['f32[3, 224, 224]', 'f32[3, 64, 64]']
/** Masks are drawn by each library for itself: without them all compute the same. */
const WITHOUT_DROPOUT = ['dropout(0.2) -> ', '']

export const ZOO = [
  { name: 'resnet20', file: new URL('resnet20.net', samples), batch: 64 },
  { name: 'densenet40', file: new URL('densenet40.net', samples), batch: 32 },
  { name: 'mobilenet_v2', file: new URL('mobilenet_v2.net', samples), batch: 32, edits: [AT_64, WITHOUT_DROPOUT] },
  { name: 'resnet18', file: new URL('resnet18.net', samples), batch: 32, edits: [AT_64] },
  { name: 'inception', file: new URL('inception.net', own), batch: 32 },
  { name: 'unet', file: new URL('unet.net', own), batch: 8 },
  { name: 'shuffle', file: new URL('shuffle.net', own), batch: 32 },
  { name: 'vgg', file: new URL('vgg.net', own), batch: 32 },
  { name: 'mlp', file: new URL('mlp.net', own), batch: 128 },
]

/** A net of the zoo with its text: `{ name, text, batch }`. */
export function readZooNet({ name, file, batch, edits = [] }) {
  let text = readFileSync(file, 'utf8')
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`${name}: its file no longer says ${from}`)
    text = text.replaceAll(from, to)
  }
  return { name, text, batch }
}

import { augment } from '../runtime/data/augment.ts'
import type { Dataset } from '../runtime/data/dataset.ts'
import type { Bundle } from '../runtime/format.ts'
import { findData } from './data/find.ts'
import { decodedShape } from './data/pictures.ts'
import { pictureShape } from './images.ts'
import type { Screen } from './screen.ts'

export interface NetData {
  readonly name: string
  readonly train: Dataset
  readonly test: Dataset
  readonly classes?: readonly string[]
}

/** The data that `--data` or the file's train block names, changed as its `augment` says (in evaluation without chance). */
export async function netData(bundle: Bundle, option: string | undefined, screen: Screen): Promise<NetData> {
  const { inputs, train } = bundle.manifest
  const changes = train?.augment ?? []
  const picture = inputs.find((input) => input.type === 'f32')
  if (!picture) throw new Error(`${bundle.manifest.name} has no input for pictures`)
  const data = await findData({
    option,
    entry: train?.data,
    shape: () => decodedShape(pictureShape(picture.name, picture.shape), changes),
    root: screen.terminal.env['FUSENET_DATA'] ?? 'data',
  })
  return { ...data, train: augment(data.train, changes), test: augment(data.test, changes) }
}

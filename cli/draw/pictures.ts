import { join } from 'node:path'
import { summarize } from '../../compiler/summary.ts'
import { netText } from '../net-text.ts'
import { draw } from './draw.ts'
import { bothStyles } from './styles.ts'

/** The pictures of `docs/pictures`, and what they are of. */
export const PICTURES: Readonly<Record<string, { readonly sample: string; readonly kernels?: true }>> = {
  'mnist.svg': { sample: 'mnist' },
  'mnist-kernels.svg': { sample: 'mnist', kernels: true },
  'resnet20.svg': { sample: 'resnet20' },
  'densenet40.svg': { sample: 'densenet40' },
  'mobilenet_v2.svg': { sample: 'mobilenet_v2' },
}

/** One of them, as SVG. */
export async function picture(name: string, root: string): Promise<string> {
  const { sample, kernels } = PICTURES[name]!
  const { main, readImport } = await netText(join(root, 'samples', `${sample}.net`))
  return draw(summarize(main, { readImport }), kernels ? { kernels: bothStyles(main, { readImport }) } : {})
}

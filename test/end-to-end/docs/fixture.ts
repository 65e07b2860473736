import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { compile } from '../../../compiler/index.ts'
import { type Bundle, open, wasm } from '../../../runtime/index.ts'
import { writeBundle } from '../../../runtime/node.ts'
import { writeSafetensors } from '../../../runtime/loading/safetensors.ts'
import { root } from './pages.ts'

/** The names of samples/mnist.net in little: what it computes is asked elsewhere. */
export const SMALL = `net mnist { input image: f32[1, 28, 28] input label: class[10]
  logits = image -> avg_pool(7) -> conv(4, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(10) output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
train { data mnist batch 100 epochs 2 solver sgd(lr: 0.05, momentum: 0.9) }`

/** A folder with what the texts speak of by name: bundles, a picture. */
export async function fixture(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fusenet-docs-'))
  const at = (name: string): string => join(folder, 'given', name)
  await mkdir(at('.'), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const write = async (bundle: Bundle, ...places: string[]): Promise<void> => {
    const net = await open(bundle, { device: await wasm({ threads: 1 }) })
    for (const place of places) {
      await mkdir(dirname(at(place)), { recursive: true })
      await writeBundle(await net.save(), at(place))
    }
    net.close()
  }
  const programs = ['default', 'step/global', 'train/global']
  await write(compile(SMALL, { storage: 'f16', programs }), 'mnist', 'digits', 'models/digits', 'models/mnist')
  // What `fusenet train samples/mnist.net -o out/mnist` would have written.
  await write(compile(await readFile(join(root, 'samples/mnist.net'), 'utf8'), { targets: ['wasm'], programs }), 'out/mnist')
  await sharp({ create: { width: 28, height: 28, channels: 3, background: '#000' } }).png().toFile(at('digit.png'))
  await writeFile(
    at('one.safetensors'),
    writeSafetensors(
      new Map([
        ['image', { shape: [1, 1, 28, 28], type: 'f32', data: new Float32Array(784) }],
        ['label', { shape: [1], type: 'i32', data: Int32Array.of(3) }],
      ]),
    ),
  )
  return folder
}

/** A folder of one page, where its commands run, one after the other. */
export async function folderOf(folder: string, name: string): Promise<string> {
  const place = join(folder, name)
  await cp(join(folder, 'given'), place, { recursive: true })
  await symlink(join(root, 'samples'), join(place, 'samples'))
  return place
}

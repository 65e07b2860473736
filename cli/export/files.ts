import { open as openFile } from 'node:fs/promises'
import type { Bundle, Manifest, TensorData } from '../../bundle/format.ts'
import type { Streamed } from '../../export/index.ts'
import { initialValues } from '../../runtime/initializers.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { progress } from '../progress.ts'
import type { Screen } from '../screen.ts'

/** The values that fillers give for the seed of the text: no device is asked for them. */
export const firstValues = ({ parameters, train }: Manifest): Map<string, TensorData> =>
  new Map(parameters.map((entry) => [entry.name, { shape: entry.shape, type: 'f32', data: initialValues(entry, train?.seed ?? 1) }]))

/** The net with the values that its fillers give. */
export async function started(bundle: Bundle): Promise<Bundle> {
  const { open, wasm } = await import('../../runtime/index.ts')
  const net = await open(bundle, { device: await wasm(), batch: 1, programs: ['infer'], allowOneValue: true })
  try {
    return { ...bundle, weights: await net.parameters() }
  } finally {
    net.close()
  }
}

/** Writes a file piece by piece. */
export async function writeParts(file: string, { bytes, parts }: Streamed, screen: Screen): Promise<void> {
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

import { compile, interpreter } from '../../../compiler/index.ts'
import { bytesSource, type ByteSource, ImportError, type ModelNet, type ReadOptions, writeNet,
  type WrittenNet } from '../../../import/index.ts'
import { readDarknet } from '../../../import/darknet/read.ts'
import { type Device, type Net, open } from '../../../runtime/index.ts'
import { generator } from '../../support/random-net.ts'

/** Reads a text as `net.cfg`. */
export const readText = (text: string, options: ReadOptions = {}): ModelNet =>
  readDarknet(bytesSource('net.cfg', new TextEncoder().encode(text)), options)

/** The head of a `.weights` file of version 0.2.0, and float32. */
export function weightsFile(numbers: ArrayLike<number>, { major = 0, minor = 2, revision = 0, seen = 0 } = {}): Uint8Array {
  const long = major * 10 + minor >= 2 && major < 1000 && minor < 1000
  const head = new DataView(new ArrayBuffer(long ? 20 : 16))
  for (const [i, n] of [major, minor, revision].entries()) head.setInt32(4 * i, n, true)
  if (long) head.setBigUint64(12, BigInt(seen), true)
  else head.setInt32(12, seen, true)
  const bytes = new Uint8Array(head.byteLength + 4 * numbers.length)
  bytes.set(new Uint8Array(head.buffer))
  bytes.set(new Uint8Array(Float32Array.from(numbers).buffer), head.byteLength)
  return bytes
}

/**
 * Weights for a net as a trained one has them: of such a size that values keep theirs from layer to layer, variances around 1. Where each array
 * lies is found by recording what the reader reads of a file of zeros.
 */
export function randomWeights(text: string, seed: number): Uint8Array {
  const reads: [from: number, to: number][] = []
  const zeros = (size: number): ByteSource => ({
    name: 'net.weights',
    size,
    read: (from, to) => {
      reads.push([from, to])
      const bytes = new Uint8Array(to - from)
      // Version 0.2.0.
      if (from === 0 && to > 4) bytes[4] = 2
      return bytes
    },
  })
  const numbers = new Float32Array((bytesWanted(text, zeros) - 20) / 4)
  const random = generator(seed)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  for (const layer of readText(text, { weights: zeros(20 + 4 * numbers.length) }).layers) {
    for (const [role, tensor] of Object.entries(layer.parameters ?? {})) {
      reads.length = 0
      tensor.values()
      // Beta of [batchnorm] is in no file.
      const [from, to] = reads.at(-1) ?? [20, 20]
      const fan = tensor.shape.slice(layer.op === 'deconv' ? 0 : 1).reduce((n, d) => n * d, 1)
      const draw = role === 'weight' ? () => normal() * Math.sqrt(2 / fan) : role === 'gamma' || role === 'running_var' ? () =>
        0.5 + random() : () => 0.2 * normal()
      for (let at = from; at < to; at += 4) numbers[(at - 20) / 4] = draw()
    }
  }
  return weightsFile(numbers)
}

/** How long the file of weights must be: a file of its head alone is refused with that. */
function bytesWanted(text: string, source: (size: number) => ByteSource): number {
  try {
    readText(text, { weights: source(20) })
    return 20
  } catch (error) {
    const wanted = /of (\d+) bytes are missing/.exec((error as ImportError).message)
    if (!wanted) throw error
    return Number(wanted[1])
  }
}

/** Reasons why a text is no net, or []: those of the reader alone, and with those of the writer, who checks the layers. */
export const readProblems = (text: string, options: ReadOptions = {}): string[] => problemsIn(() => readText(text, options))
export const problemsOf = (text: string, options: ReadOptions = {}): string[] => problemsIn(() => writeNet(readText(text, options)))

function problemsIn(run: () => unknown): string[] {
  try {
    run()
    return []
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    return error.problems.map(({ where, what, mend }) => `${where}: ${what}${mend ? ` | ${mend}` : ''}`)
  }
}

export interface OpenNet {
  readonly net: Net
  readonly written: WrittenNet
}

/** Imports, compiles and opens a net with the weights of a file. */
export async function openCfg(
  text: string,
  weights: Uint8Array | undefined,
  { batch = 1, device = interpreter() as Device, programs = ['infer'], options = {} as ReadOptions } = {},
): Promise<OpenNet> {
  const written = writeNet(readText(text, { ...options, ...(weights && { weights: bytesSource('net.weights', weights) }) }))
  const net = await open(compile(written.text, { programs, targets: device.precision === 'f64' ? [] : ['wasm'] }), { device, batch })
  if (weights) await net.setParameters(new Map(written.tensors.map(({ name, tensor }) => [name, tensor.values()])), { strict: false })
  return { net, written }
}

/** Numbers of a normal distribution, the same for a seed. */
export function normals(count: number, seed: number): Float32Array {
  const random = generator(seed)
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
}

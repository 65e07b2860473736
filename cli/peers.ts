import { WEBGPU } from '../bundle/plans.ts'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Source } from '../dsl/source.ts'
import type { OpenPeer, Peer, Work } from '../measure/bench.ts'
import { type PlainNet, plainNet, plainParameters } from '../measure/peer-net.ts'
import type { Device } from '../bundle/device.ts'
import { PACKAGE_ROOT } from './package.ts'

/** Other libraries that can compute a net, by the names that test/bench gives them, and the packages that they are. */
const PACKAGES: Readonly<Record<string, string | undefined>> = {
  ort: 'onnxruntime-web',
  'ort-node': 'onnxruntime-node',
  tfjs: '@tensorflow/tfjs',
  jax: '@jax-js/jax',
  // Asked of Python itself when it is opened.
  torch: undefined,
}

export const PEERS = Object.keys(PACKAGES)

/** The peers to compare with on a device, where none is named. jax-js has WebAssembly too, a hundred times slower than the others. */
const USUAL: Readonly<Record<string, readonly string[]>> = { wasm: ['ort', 'tfjs', 'ort-node', 'torch'], webgpu: ['ort', 'tfjs', 'jax'] }

/** Seconds that a peer may take to get ready, or for one measurement. */
const LIMIT_SECONDS = 120

/** The part of test/bench/child.mjs that is used here. */
interface ChildProcess {
  ask(call: 'prepare', args: object): Promise<{ check: Record<string, Float32Array>; version: string }>
  ask(call: 'iterate', args: { atLeastMs: number }): Promise<number>
  kill(): void
}
type ChildClass = new(name: string, options: object) => ChildProcess

/**
 * Peers that are here and can be built from this net's layers, and in a line each why others are not. Each is a process of its
 * own (test/bench/competitor.mjs), which infers; training is another matter for each of them, `npm run bench` compares it.
 */
export async function findPeers(
  named: readonly string[] | undefined,
  net: { main: Source; readImport?: (path: string, from: Source) => Source | undefined },
  device: Device,
  threads: number | undefined,
): Promise<{ peers: Peer[]; notes: string[] }> {
  const wanted = named ?? USUAL[device.name] ?? []
  const folder = join(PACKAGE_ROOT, 'test', 'bench')
  if (wanted.length === 0) return { peers: [], notes: [] }
  if (!existsSync(join(folder, 'child.mjs'))) return { peers: [], notes: ['no peers: they come with the sources of fusenet (test/bench)'] }
  const isThere = (name: string): boolean =>
    PACKAGES[name] === undefined || existsSync(join(folder, 'peers', 'node_modules', PACKAGES[name]!))
  const missing = wanted.filter((name) => !isThere(name))
  const notes = missing.length > 0 ? [`not installed: ${missing.join(', ')} (npm ci in test/bench/peers)`] : []
  const present = wanted.filter(isThere)
  if (present.length === 0) return { peers: [], notes }
  const { loadProgram } = await import('../dsl/index.ts')
  const { vocabulary } = await import('../compiler/front-end/vocabulary.ts')
  const { program } = loadProgram(net.main, { vocabulary, ...(net.readImport && { readImport: net.readImport }) })
  const plain = program ? plainNet(program) : 'its text has errors'
  if (typeof plain === 'string') return { peers: [], notes: [...notes, `no peers (${present.join(', ')}): ${plain}`] }
  const { Child } = await import(pathToFileURL(join(folder, 'child.mjs')).href) as { Child: ChildClass }
  const options = { backend: device.name, env: await environmentOf(device), threads: threads ?? Math.min(16, availableParallelism()) }
  return {
    peers: present.map((name): Peer => ({ name, programs: ['infer'], open: (work) => openPeer(name, plain, work, Child, options) })),
    notes,
  }
}

/** The same adapter for all: where it is a CPU that pretends, peers are told where it lies. */
async function environmentOf(device: Device): Promise<NodeJS.ProcessEnv> {
  if (device.name !== WEBGPU || !device.software) return { ...process.env, BENCH_ADAPTER: 'any' }
  const { softwareAdapterEnvironment } = await import(
    pathToFileURL(join(PACKAGE_ROOT, 'scripts', 'software-adapter.mjs')).href
  ) as typeof import('../scripts/software-adapter.mjs')
  return { ...process.env, ...await softwareAdapterEnvironment() }
}

interface PeerOptions {
  readonly backend: string
  readonly env: NodeJS.ProcessEnv
  readonly threads: number
}

async function openPeer(
  name: string,
  net: PlainNet,
  work: Work,
  Child: ChildClass,
  { backend, env, threads }: PeerOptions,
): Promise<OpenPeer> {
  const child = new Child(name, { env, backend, limitSeconds: LIMIT_SECONDS })
  try {
    const parameters = plainParameters(net, work.parameters)
    const { check, version } = await child.ask('prepare', {
      name,
      workload: { name: net.name, mode: 'infer', batch: work.batch, net, parameters, image: work.inputs[net.input] },
      options: { batch: work.batch, backend, threads, warmUpMs: 0 },
    })
    return {
      name,
      version,
      results: { [net.result]: check['output']! },
      measure: (atLeastMs) => child.ask('iterate', { atLeastMs }),
      close: () => child.kill(),
    }
  } catch (error) {
    child.kill()
    throw error
  }
}

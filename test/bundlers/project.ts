import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TensorData } from '../../bundle/format.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'

const here = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** What a project has installed, from the sources: nothing needs to be built. */
export const alias = [
  { find: /^fusenet$/, replacement: here('runtime/index.ts') },
  { find: 'fusenet/vite/hot', replacement: here('bundlers/hot.ts') },
]

/** out = W x + b: a hand can compute it. */
export const TINY = `import "./blocks.net"

net tiny {
  input x: f32[3]
  input t: f32[2]
  y = x -> head(2) as head
  output out = y
  loss = squared_loss(y, t)
}
`
export const BLOCKS = 'block head(x, n) {\n  return x -> fc(n) as layer\n}\n'

const tensor = (shape: readonly number[], ...data: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(data) })

/** W = [1 2 3; 4 5 6], b = [10, 20]: [1, 1, 1] gives [16, 35]. */
export const WEIGHTS = new Map([['head.layer.weight', tensor([2, 3], 1, 2, 3, 4, 5, 6)], ['head.layer.bias', tensor([2], 10, 20)]])

export const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'src/tiny.net': TINY,
  'src/blocks.net': BLOCKS,
  'src/tiny.safetensors': writeSafetensors(WEIGHTS),
}

export interface Project {
  readonly root: string
  write(name: string, data: string | Uint8Array): string
  remove(): void
}

/** A folder of files. */
export function project(files: Readonly<Record<string, string | Uint8Array>>): Project {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'fusenet-bundlers-')))
  const write = (name: string, data: string | Uint8Array): string => {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, data)
    return path
  }
  for (const [name, data] of Object.entries(files)) write(name, data)
  return { root, write, remove: () => rmSync(root, { recursive: true, force: true }) }
}

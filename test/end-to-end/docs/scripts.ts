import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { doors, root } from './pages.ts'
import { kindOf, type Snippet } from './snippets.ts'

/** Blocks of a page that follow each other: the first imports what it needs, and what follows without an import goes on with its names. */
export interface Chain {
  readonly file: string
  readonly line: number
  readonly inPage: boolean
  /** The program: each block within the braces of the one before it, where it may use the same names anew. Lines are those of the page. */
  readonly code: string
  /** What the marks of the blocks say. */
  readonly mark: string
}

const imports = (text: string): boolean => /^import /m.test(text)

/** The programs of a page, in order. */
export function chainsOf(snippets: readonly Snippet[]): Chain[] {
  const chains: Snippet[][] = []
  for (const snippet of snippets) {
    if (!['script', 'page'].includes(kindOf(snippet))) continue
    if (imports(snippet.text) || chains.length === 0) chains.push([snippet])
    else chains.at(-1)!.push(snippet)
  }
  return chains.map((blocks) => {
    let code = ''
    for (const [i, { line, text }] of blocks.entries()) {
      code += `${i > 0 ? ';{' : ''}${'\n'.repeat(Math.max(0, line - 1 - (code.split('\n').length - 1)))}${text}\n`
    }
    const first = blocks[0]!
    return {
      file: first.file,
      line: first.line,
      inPage: blocks.some((block) => kindOf(block) === 'page'),
      code: code + '}\n'.repeat(blocks.length - 1),
      mark: blocks.map(({ mark }) => mark).join(' '),
    }
  })
}

/** What texts speak of without making it: a picture, labels, a dataset, a net's text; and in a page its elements. */
const GIVEN = `
import type { Dataset } from 'fusenet/runtime'
declare global {
  const image: Float32Array, images: Float32Array, label: Int32Array, labels: Int32Array
  const source: string
  const dataset: Dataset
  const show: (...what: unknown[]) => void
  const canvas: HTMLCanvasElement, video: HTMLVideoElement, button: HTMLButtonElement, status: HTMLElement, fileInput: HTMLInputElement
  const signal: AbortSignal, onProgress: (progress: { loaded: number; total?: number; file: string }) => void
}
export {}
`

/**
 * Reads all programs of all pages as one by TypeScript: without what JavaScript has no words for, types of parameters and `!`.
 * Gives the complaints, with the places in the pages. `folder` holds what the pages wrote: modules that they import beside them.
 */
export async function complaints(folder: string, chains: readonly Chain[]): Promise<string> {
  const names = new Map<string, Chain>()
  for (const chain of chains) {
    const name = join(pageFolder(chain.file), `line-${chain.line}.ts`)
    names.set(name, chain)
    await mkdir(join(folder, pageFolder(chain.file)), { recursive: true })
    await writeFile(join(folder, name), `${chain.code}\nexport {}\n`)
  }
  await writeFile(join(folder, 'given.d.ts'), GIVEN)
  const paths = Object.fromEntries([...await doors()].map(([door, file]) => [door, [file]]))
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: true,
        noUnusedLocals: false,
        noUnusedParameters: false,
        module: 'esnext',
        moduleResolution: 'bundler',
        moduleDetection: 'force',
        noImplicitAny: false,
        noUncheckedIndexedAccess: false,
        allowJs: false,
        typeRoots: [join(root, 'node_modules/@types'), join(root, 'node_modules')],
        paths,
      },
      // Imported nets: of those that pages speak of none is compiled.
      files: ['given.d.ts', join(root, 'bundlers/client.d.ts'), ...names.keys()],
      include: [],
    }),
  )
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    '.',
    '--pretty',
    'false',
  ], { cwd: folder }).catch((error: { stdout: string }) => error)
  // JavaScript has no `!` for what is surely there (TS2531 and the like).
  const told = stdout.split('\n').filter((line) => !/error TS(2531|2532|18047|18048):/.test(line)).join('\n')
  return told.replace(/^(.*?line-\d+\.ts)\((\d+),/gm, (_, name: string, line: string) => `${names.get(name)?.file}:${line} (`)
}

/** Where what a page writes lies. */
export const pageFolder = (file: string): string => file.replace(/\W/g, '_')

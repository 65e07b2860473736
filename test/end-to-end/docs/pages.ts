import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../../..')

/** What is written as the site is built; looked at there. */
const GENERATED = /^docs\/library\//

/** Everything that is written for users: README, what goes with it, and the site. */
export async function pages(): Promise<{ file: string; text: string }[]> {
  const files = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'samples/README.md'].filter((file) => existsSync(join(root, file)))
  for (const entry of await readdir(join(root, 'docs'), { recursive: true })) {
    const file = `docs/${entry.replaceAll('\\', '/')}`
    if (file.endsWith('.md') && !GENERATED.test(file) && !file.includes('/.')) files.push(file)
  }
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(join(root, file), 'utf8') })))
}

/** Of each name that users import the source file: `fusenet/runtime` is runtime/index.ts. */
export async function doors(): Promise<Map<string, string>> {
  const { name, exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, string | { default?: string }>
  }
  const found = new Map<string, string>()
  for (const [door, entry] of Object.entries(exports)) {
    const file = typeof entry === 'string' ? entry : entry.default
    if (file?.endsWith('.js')) found.set(door.replace(/^\./, name), join(root, file.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts')))
  }
  return found
}

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PACKAGE_ROOT, VERSION } from './package.ts'

/** Projects that `fusenet init` begins, each a folder below `templates/`. */
export const TEMPLATES: Readonly<Record<string, { readonly what: string; readonly next: readonly string[] }>> = {
  vite: { what: 'a page by Vite, in TypeScript', next: ['npm install', 'npm run train', 'npm run dev'] },
  node: { what: 'training and inference in Node', next: ['npm install', 'npm run train', 'npm start'] },
  page: { what: 'a page of files, without a bundler', next: ['npm install', 'npm run train', 'npm run build', 'npx vite public'] },
}

/** The files of a new project by their names, with its own in place of `{{name}}`. What all have in common comes from `common/`. */
export async function templateFiles(template: string, name: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const part of ['common', template]) {
    for (const [path, text] of await filesOf(part)) {
      // npm leaves .gitignore out of packages, so it has another name there.
      const to = path.replace(/(^|\/)_gitignore$/, '$1.gitignore')
      files.set(to, text.replaceAll('{{name}}', name).replaceAll('{{fusenet}}', `^${VERSION}`))
    }
  }
  return files
}

/** The files below a folder of `templates/`. A package has them all as one file beside the command (scripts/prepack.mjs): small ones take a block of a disk each. */
async function filesOf(part: string): Promise<readonly (readonly [path: string, text: string])[]> {
  const folder = join(PACKAGE_ROOT, 'templates', part)
  if (!existsSync(folder)) {
    const joined = JSON.parse(await readFile(join(PACKAGE_ROOT, 'dist', 'cli', 'templates.json'), 'utf8')) as Record<string, string>
    return Object.entries(joined).flatMap(([path, text]) => (path.startsWith(`${part}/`) ? [[path.slice(part.length + 1), text]] : []))
  }
  const entries = (await readdir(folder, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile())
  return Promise.all(entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    return [path.slice(folder.length + 1).replaceAll('\\', '/'), await readFile(path, 'utf8')] as const
  }))
}

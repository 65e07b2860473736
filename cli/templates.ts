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
    const folder = join(PACKAGE_ROOT, 'templates', part)
    for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const text = await readFile(path, 'utf8')
      // npm leaves .gitignore out of packages, so it has another name there.
      const to = path.slice(folder.length + 1).replaceAll('\\', '/').replace(/(^|\/)_gitignore$/, '$1.gitignore')
      files.set(to, text.replaceAll('{{name}}', name).replaceAll('{{fusenet}}', `^${VERSION}`))
    }
  }
  return files
}

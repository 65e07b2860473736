/**
 * `npm pack` and `npm publish` call this: it makes `dist` anew as it is shipped. Modules stay one by one and legible, so that bundlers
 * take what is used and errors show where; comments are left out (declarations keep them: editors show those), and so are the
 * declarations that no entry of the package reaches.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { checkNode, install, node, root } from './steps.mjs'

const dist = join(root, 'dist')

checkNode()
if (!install()) process.exit(1)
rmSync(dist, { recursive: true, force: true })
if (!node(join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json', '--incremental', 'false', '--tsBuildInfoFile', 'null')) process.exit(1)

const files = readdirSync(dist, { recursive: true }).map((name) => join(dist, name))
await withoutComments(files.filter((file) => file.endsWith('.js')))
const kept = reached(typesOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports).map((file) => join(root, file)))
for (const file of files) if (file.endsWith('.d.ts') && !kept.has(file)) rmSync(file)

async function withoutComments(files) {
  const { transform } = await import('esbuild')
  await Promise.all(files.map(async (file) => {
    // What speaks to bundlers inside of `import()`, licenses and `#!` stay.
    const { code } = await transform(readFileSync(file, 'utf8'), { loader: 'js', format: 'esm', target: 'es2023', legalComments: 'inline' })
    writeFileSync(file, code)
  }))
}

/** The declarations that `exports` names, however its conditions are nested. */
function typesOf(exports) {
  if (typeof exports === 'string') return exports.endsWith('.d.ts') ? [exports] : []
  return Object.values(exports ?? {}).flatMap(typesOf)
}

/** These declarations and all that they import. What an example in a comment imports is not there. */
function reached(files) {
  const found = new Set(files)
  for (const file of found) {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/\b(?:from|import|import\()\s*['"](\.[^'"]*)\.[jt]s['"]/g)) {
      const next = join(dirname(file), `${name}.d.ts`)
      if (existsSync(next)) found.add(next)
    }
  }
  return found
}

/** What TypeScript says of the package's types, in a project of Node and in one of a page. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { root } from '../steps.mjs'
import { FOR_BUILDS, packageOf, run } from './project.mjs'

export const TYPES = {
  ...Object.fromEntries(
    ['typescript-5.9', 'typescript'].flatMap((compiler) =>
      [['bundler', 'esnext'], ['node16', 'node16']].map((
        [moduleResolution, module],
      ) => [
        `${compiler}, moduleResolution ${moduleResolution}, skipLibCheck false: types are right and mistakes are errors`,
        ({ project }) => {
          typeCheck(project, compiler, { moduleResolution, module })
        },
      ])
    ),
  ),

  'typescript, skipLibCheck false: the configuration of a bundler, and a page that imports a net': ({ project }) => {
    const plugins = Object.keys(packageOf(project).exports).filter((entry) => FOR_BUILDS.test(entry) && entry.split('/').length === 2)
    writeFileSync(
      join(project, 'types', 'build.ts'),
      `/// <reference types="fusenet/vite/client" />
${plugins.map((entry, i) => `import plugin${i} from ${JSON.stringify(entry.replace('.', 'fusenet'))}`).join('\n')}
import line from './line.net'
export const plugins: unknown[] = [${plugins.map((_, i) => `plugin${i}`)}]
plugin0({ programs: ['infer'] })
// @ts-expect-error no name of an option
plugin0({ program: ['infer'] })
export const y = async (): Promise<unknown> => (await line.open({ batch: 1 })).run({ x: [1, 2] })
`,
    )
    // As it stands beside a configuration, which runs in Node.
    compileTypes(project, 'typescript', {
      module: 'esnext',
      moduleResolution: 'bundler',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    }, ['build.ts'])
    return plugins.join(', ')
  },
}

/**
 * What TypeScript says of the typed samples of `test/types` and of every entry, with no types but the package's own: those of a page in
 * the one case, in the other none.
 */
function typeCheck(project, compiler, how) {
  const from = join(root, 'test', 'types')
  for (const name of readdirSync(from).filter((name) => !name.endsWith('.test.ts')))
    cpSync(join(from, name), join(project, 'types', name), { recursive: true })
  const entries = Object.entries(packageOf(project).exports).filter(([entry, { types }]) => types && !FOR_BUILDS.test(entry)).map((
    [entry],
  ) => entry.replace(/^\./, 'fusenet'))
  writeFileSync(
    join(project, 'types', 'entries.ts'),
    entries.map((entry, i) => `export type * as entry${i} from ${JSON.stringify(entry)}`).join('\n'),
  )
  // The library's part of what lies beside an ES module.
  writeFileSync(
    join(project, 'types', 'module.d.ts'),
    readFileSync(join(project, 'node_modules', 'fusenet', 'dist', 'runtime', 'module-types.txt')),
  )
  const [lib, files] = how.module === 'esnext'
    ? [['es2023', 'dom', 'dom.iterable'], ['typed.ts', 'typed-page.ts', 'entries.ts', 'module.d.ts']]
    : [['es2023'], ['typed.ts', 'entries.ts', 'module.d.ts']]
  compileTypes(project, compiler, { ...how, lib, types: [] }, files)
}

function compileTypes(project, compiler, options, files) {
  const tsc = join(dirname(createRequire(join(root, 'package.json')).resolve(`${compiler}/package.json`)), 'bin', 'tsc')
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...options, target: 'es2022', strict: true, skipLibCheck: false, noEmit: true },
      files: files.map((file) => join('types', file)),
    }),
  )
  run(project, process.execPath, tsc, '-p', 'tsconfig.json')
}

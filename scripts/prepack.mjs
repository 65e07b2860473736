/**
 * `npm pack` and `npm publish` call this: it makes `dist` anew as it is shipped. The runtime is joined as by every build (join-runtime.mjs);
 * compiler, readers and writers of foreign models, and command, which nobody takes apart, become few files: an engine reads a file whole before it
 * runs any of it, so one holds what is wanted together. Modules that nothing asks for go. Hundreds of small files take twice their size on a disk.
 * Comments are left out (declarations keep them: editors show those), and so are the
 * declarations that no entry of the package reaches.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { checkNode, install, node, root } from './steps.mjs'

const dist = join(root, 'dist')
/** Folders whose modules are joined. */
const ROOMS = ['compiler', 'dsl', 'import', 'export', 'cli', 'measure']
/** The joined files, and the modules whose imports, and theirs, each holds: what stands in one of them is in no later one, so none imports a later one. */
const DOORS = {
  'dsl/inside': ['dsl/index'],
  'compiler/checks': ['compiler/check', 'compiler/summary'],
  'compiler/inside': ['compiler/index'],
  'import/inside': ['import/index'],
  'export/inside': ['export/index'],
  'cli/inside': ['cli/main'],
}
/** What the command takes of the compiler and its like at once, whatever it was called for. */
const GROUND = 'dsl/ground'
/** What the modules of a room ask for when it is wanted. */
const onDemand = (room) => `${room}/on-demand`
/** Packages that come within, with their licenses, and the folder that needs them: whoever installs fusenet gets one package. */
const TAKEN_ALONG = { commander: 'cli', picocolors: 'cli', pbf: 'import' }
/** What no page fetches of the runtime. */
const NODE_ALONE = 'node-on-demand-joined.js'
/** What `cli/module.ts` takes by its name. */
const NAMED = ['runtime/open.js', 'runtime/loading/weights-beside.js']
const IMPORTED_AT_ONCE = /^(?:import|export)\s[^'"()]*?from\s*['"](\.[^'"]+\.js)['"]/gm
const IMPORTED = /\b(?:from|import|import\()\s*['"](\.[^'"]*)\.[jt]s['"]/g

checkNode()
// What is there is taken as it is: whoever packs may have linked it.
if (!existsSync(join(root, 'node_modules')) && !install()) process.exit(1)
const [{ transform }, { rolldown }] = await Promise.all([import('esbuild'), import('rolldown')])
rmSync(dist, { recursive: true, force: true })
if (
  !node(
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
    '--incremental',
    'false',
    '--tsBuildInfoFile',
    'null',
  )
) process.exit(1)

if (!node(join('scripts', 'join-types.mjs'))) process.exit(1)
await import('./worker-script.mjs')
;(await import('./torch-python.mjs')).writeModule()
await import('./join-runtime.mjs')
const { bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const parts = await joinModules()
const used = reached([...namedBy([bin, exports], '.js'), ...NAMED.map((name) => join(dist, name))], '.js')
for (const file of filesIn(dist)) if (file.endsWith('.js') && !used.has(file)) rmSync(file)
const files = filesIn(dist)
await withoutComments(files.filter((file) => file.endsWith('.js')))
withoutPassing()
joinTemplates()
const kept = reached(namedBy(exports, '.d.ts'), '.d.ts')
for (const file of files) if (file.endsWith('.d.ts') && !kept.has(file)) rmSync(file)

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) =>
    join(entry.parentPath, entry.name)
  )
}

/** What `fusenet init` begins with, as one file. */
function joinTemplates() {
  const folder = join(root, 'templates')
  const texts = filesIn(folder).sort().map((file) => [relative(folder, file).replaceAll(sep, '/'), readFileSync(file, 'utf8')])
  writeFileSync(join(dist, 'cli', 'templates.json'), JSON.stringify(Object.fromEntries(texts)))
}

/** What ROOMS hold is joined; entries of the package stay, and what modules of other folders import. Gives the joined files. */
async function joinModules() {
  const modules = filesIn(dist).filter((file) => file.endsWith('.js'))
  const roomOf = (file) => relative(dist, file).split(sep)[0]
  const isJoined = (file) => ROOMS.includes(roomOf(file))
  const importsOf = (file) => [...readFileSync(file, 'utf8').matchAll(IMPORTED)].map(([, name]) => resolve(dirname(file), `${name}.js`))
  const joined = modules.filter(isJoined)
  const asked = new Set(
    [...namedBy([bin, exports], '.js'), ...modules.filter((file) => !isJoined(file)).flatMap(importsOf)].filter((file) =>
      joined.includes(file)
    ),
  )
  const together = modulesTogether()
  const placeOf = (file) => {
    const taken = packageOf(file)
    if (taken !== undefined) return `${TAKEN_ALONG[taken]}/inside`
    if (!isJoined(file) && !passesOn(file)) return undefined
    return [...together].find(([, files]) => files.has(file))?.[0] ?? onDemand(roomOf(file))
  }
  const bundle = await rolldown({
    cwd: dist,
    input: Object.fromEntries([...asked].map((file) => [relative(dist, file).replaceAll(sep, '/').replace(/\.js$/, ''), file])),
    platform: 'node',
    // The rest of the house but files that only pass on names of a joined one, and packages but those that are taken along.
    external: (name, from) => {
      if (from === undefined || isAbsolute(name) || from.includes('node_modules')) return name.startsWith('node:')
      const file = resolve(dirname(from), name)
      return name.startsWith('.') ? !isJoined(file) && !passesOn(file) : !Object.hasOwn(TAKEN_ALONG, name)
    },
    onLog: (_, { code, message }) => {
      if (/UNRESOLVED|MISSING/.test(code)) throw new Error(message)
    },
  })
  const { output } = await bundle.generate({
    format: 'es',
    // Where the modules lay that it is made of: what looks for files from where it lies finds them still.
    chunkFileNames: ({ name }) => (name.includes('/') ? '[name].js' : 'cli/[name].js'),
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [...together.keys()].map((name, i, all) => ({
        name,
        priority: all.length - i,
        test: (file) => !asked.has(file) && placeOf(file) === name,
      })),
    },
  })
  for (const file of joined) rmSync(file)
  writeFileSync(
    join(dist, 'cli', 'LICENSES.txt'),
    Object.keys(TAKEN_ALONG).map((name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`).join('\n\n'),
  )
  for (const { fileName, code } of output) writeFileSync(join(dist, fileName), code)
  return [...together.keys()].map((name) => join(dist, `${name}.js`))
}

/** Whether a module has nothing of its own. */
function passesOn(file) {
  return readFileSync(file, 'utf8').replace(/(?:import|export)\s*\{[^{}]*\}(?:\s*from\s*"[^"]+")?;?/g, '').trim() === ''
}

/**
 * Asks a joined file itself for what is imported on demand, where a file stands between that does no more than to give its names: on a disk of blocks each of
 * those takes 4 KiB.
 */
function withoutPassing() {
  const entries = new Set([...namedBy([bin, exports], '.js'), ...NAMED.map((name) => join(dist, name))])
  const texts = new Map(filesIn(dist).filter((file) => file.endsWith('.js')).map((file) => [file, readFileSync(file, 'utf8')]))
  const pairs = (list) => list.split(',').map((item) => item.trim().split(/ as /)).map(([from, to = from]) => [from, to])
  for (const [file, text] of texts) {
    const [, taken, name, given] = /^import\{([^{}]*)\}from"(\.[^"]+)";export\{([^{}]*)\};\s*$/.exec(text) ?? []
    const folder = dirname(file)
    if (name === undefined || entries.has(file)) continue
    const asked = new Map(pairs(taken).map(([from, to]) => [to, from]))
    const object = pairs(given).map(([own, to]) => `${to}:e.${asked.get(own)}`).join()
    const isIt = (user, at) => resolve(dirname(user), at) === file
    const rewritten = [...texts].flatMap(([user, code]) => {
      const made = code.replace(
        /\bimport\("(\.[^"]+)"\)/g,
        (all, at) =>
          isIt(user, at)
            ? `import(${JSON.stringify(`./${relative(dirname(user), resolve(folder, name)).replaceAll(sep, '/')}`)}).then(e=>({${object}}))`
            : all,
      )
      return made === code ? [] : [[user, made]]
    })
    const isAskedElse = [...texts].some(([user, code]) =>
      [...code.matchAll(/\bfrom"(\.[^"]+)"|\bimport"(\.[^"]+)"/g)].some(([, a, b]) => isIt(user, a ?? b))
    )
    if (rewritten.length === 0 || isAskedElse) continue
    for (const [user, made] of rewritten) {
      texts.set(user, made)
      writeFileSync(user, made)
    }
    texts.delete(file)
    rmSync(file)
  }
}

/** The joined files by name, and the modules of each, some of which an earlier one has. */
function modulesTogether() {
  const closures = Object.entries(DOORS).map(([name, doors]) => [name, atOnce(doors.map((door) => join(dist, `${door}.js`)))])
  const command = closures.at(-1)[1]
  const others = closures.slice(0, -1)
  const ground = new Set([...command].filter((file) => others.some(([, files]) => files.has(file))))
  return new Map([[GROUND, ground], ...closures, ...ROOMS.map((room) => [onDemand(room), new Set()])])
}

/** These modules, and all that they import at once. */
function atOnce(files) {
  const found = new Set(files)
  for (const file of found) {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(IMPORTED_AT_ONCE)) found.add(resolve(dirname(file), name))
  }
  return found
}

/** The package of a module, where it is of one. */
function packageOf(file) {
  return /node_modules[\\/]+([^\\/]+)/.exec(file)?.[1]
}

async function withoutComments(files) {
  await Promise.all(files.map(async (file) => {
    const text = readFileSync(file, 'utf8')
    // The script of workers is as small as it gets.
    if (isMinified(text)) return
    // Licenses and `#!` stay. Lines are filled, and short enough to tell a place; but for what speaks to bundlers. Names stay but for those
    // inside the compiler, the command and what Node alone takes of the runtime, a quarter of their size: the place in the file tells them, since the same text gives the same file.
    const short = { minifySyntax: true, minifyIdentifiers: parts.includes(file) || file.endsWith(NODE_ALONE) }
    const filled = /@vite-ignore|webpackIgnore|new Worker\(/.test(text) ? (file.endsWith(NODE_ALONE) ? short : {})
      : { minifyWhitespace: true, lineLimit: 400, ...short }
    const { code } = await transform(text, { loader: 'js', format: 'esm', target: 'es2023', legalComments: 'inline', ...filled })
    writeFileSync(file, code)
  }))
}

function isMinified(text) {
  return text.length > 5000 && text.length / text.split('\n').length > 1000
}

/** The files of an extension that package.json names, however its conditions are nested. */
function namedBy(value, extension) {
  if (typeof value === 'string') return value.endsWith(extension) && !value.includes('*') ? [join(root, value)] : []
  return Object.values(value ?? {}).flatMap((inner) => namedBy(inner, extension))
}

/** These files and all that they import, of one extension. What an example in a comment imports is not there. */
function reached(files, extension) {
  const found = new Set(files)
  for (const file of found) {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(IMPORTED)) {
      const next = join(dirname(file), `${name}${extension}`)
      if (existsSync(next)) found.add(next)
    }
  }
  return found
}

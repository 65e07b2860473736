import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAst } from 'vite'
import { describe, expect, test } from 'vitest'

/**
 * The arrows that never exist. A rule is broken by any chain of imports, however long, and types count: a type that
 * crosses a wall takes the knowledge along. Names ending in '/' are folders, others files; 'npm:' and 'node:' are all
 * packages and all modules of Node.
 */
interface Rule {
  readonly name: string
  readonly from: readonly string[]
  readonly never: readonly string[]
  /** Exempt from `never`; what they import is not. */
  readonly but?: readonly string[]
}

const ROOMS = ['bundle/', 'dsl/', 'compiler/', 'runtime/', 'measure/', 'bundlers/', 'import/', 'export/', 'cli/'] as const

/**
 * The floors of the house, the ground first. An import stays in its room or goes down; rooms on one floor are strangers. A file is in the
 * room with the longest name that it begins with.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['bundle/'],
  ['dsl/', 'compiler/compile-cache.ts', 'compiler/invariant.ts', 'compiler/hash.ts', 'compiler/unique-names.ts'],
  ['compiler/ir/'],
  ['compiler/graph/', 'compiler/fusion/', 'compiler/codegen/'],
  ['compiler/ops/', 'compiler/codegen/gpu/', 'compiler/codegen/cpu/'],
  ['compiler/graph-passes/', 'compiler/plan/', 'compiler/targets/', 'compiler/front-end/'],
  ['compiler/manual/', 'compiler/', 'runtime/'],
  ['measure/', 'bundlers/', 'import/', 'export/'],
  ['cli/'],
]

/** The one place that spells the names of targets and devices: all others use what stands in this table. */
const NAMES = 'bundle/plans.ts'
const NAMED = ['webgpu', 'wasm', 'webgpu-f16', 'webgpu-software']
/** The npm package that brings WebGPU to Node has the name of a device. */
const PACKAGE = "= 'webgpu'"
const root = fileURLToPath(new URL('..', import.meta.url))
const house = new Map(ROOMS.flatMap((room) => filesIn(room)).map((file) => [file, readFileSync(join(root, file), 'utf8')]))

const FUSION_GROUND = ['kernel-pass.ts', 'program.ts', 'side-reductions.ts', 'weigh.ts'].map((name) => `compiler/fusion/${name}`)

/** The rules for a house of these files. */
function rulesFor(files: readonly string[]): Rule[] {
  const targets = [...new Set(files.map((file) => /^compiler\/targets\/\w+\//.exec(file)?.[0]).filter((target) => target !== undefined))]
  const passes = files.filter((file) => /^compiler\/graph-passes\/(?!pass\.ts|passes\.ts)/.test(file))
  const rules = files.filter((file) =>
    file.startsWith('compiler/fusion/') && file !== 'compiler/fusion/passes.ts' && !FUSION_GROUND.includes(file)
  )
  const doors = files.filter((file) => posix.basename(file) === 'index.ts')
  return [
    {
      name: 'the bundle is the ground: it knows nobody',
      from: ['bundle/'],
      never: ['dsl/', 'compiler/', 'runtime/', 'measure/', 'bundlers/', 'cli/', 'node:', 'npm:'],
    },
    { name: 'the language knows nobody', from: ['dsl/'], never: ['compiler/', 'runtime/', 'cli/', 'node:', 'npm:'] },
    {
      name: 'the runtime knows neither compiler nor language: a page ships it alone',
      from: ['runtime/'],
      never: ['compiler/', 'dsl/', 'cli/'],
    },
    { name: 'the runtime has no dependency', from: ['runtime/'], never: ['npm:'] },
    { name: 'the runtime of a page asks nothing of Node', from: ['runtime/index.ts'], never: ['node:'] },
    { name: 'the compiler knows the bundle, not the runtime', from: ['compiler/'], never: ['runtime/', 'cli/'] },
    { name: 'the compiler is a function of text: no files, no machine, no package', from: ['compiler/'], never: ['node:', 'npm:'] },
    { name: 'who measures is known to the command alone', from: ['dsl/', 'compiler/', 'runtime/'], never: ['measure/'] },
    { name: 'bundlers have a net compiled without the command', from: ['bundlers/'], never: ['cli/', 'measure/'] },
    {
      name: 'nobody but bundlers knows them, and the command, which begins projects for them',
      from: ['dsl/', 'compiler/', 'runtime/', 'measure/'],
      never: ['bundlers/'],
    },
    {
      name: 'what follows a net in a page of development runs there',
      from: ['bundlers/hot.ts'],
      never: ['node:', 'npm:', 'compiler/', 'dsl/'],
    },
    {
      name: 'an importer runs in pages too: it writes a text and tensors, and knows neither files nor the command',
      from: ['import/'],
      never: ['cli/', 'node:', 'runtime/', 'measure/', 'bundlers/'],
    },
    {
      name: 'nobody but the command knows importers',
      from: ['dsl/', 'compiler/', 'runtime/', 'measure/', 'bundlers/'],
      never: ['import/'],
    },
    {
      name: 'an exporter runs in pages too: it gives bytes, and knows neither files nor the command',
      from: ['export/'],
      never: ['cli/', 'node:', 'runtime/', 'measure/', 'bundlers/', 'import/'],
    },
    {
      name: 'nobody but the command knows exporters',
      from: ['dsl/', 'compiler/', 'runtime/', 'measure/', 'bundlers/', 'import/'],
      never: ['export/'],
    },
    { name: 'what is measured runs in pages too: neither files nor the command', from: ['measure/'], never: ['cli/', 'node:'] },

    {
      name: 'a target sees kernels, never operators, graphs, fusion or the plan',
      from: ['compiler/targets/', 'compiler/codegen/'],
      never: ['compiler/ops/', 'compiler/graph/', 'compiler/graph-passes/', 'compiler/fusion/', 'compiler/plan/'],
    },
    { name: 'operators and passes know no target', from: ['compiler/ops/', 'compiler/graph-passes/'], never: ['compiler/targets/'] },
    {
      name: 'machines with workgroups and machines with caches are strangers',
      from: ['compiler/codegen/gpu/'],
      never: ['compiler/codegen/cpu/'],
    },
    {
      name: 'machines with caches and machines with workgroups are strangers',
      from: ['compiler/codegen/cpu/'],
      never: ['compiler/codegen/gpu/'],
    },
    {
      name: 'what all machines share knows none of them',
      from: files.filter((file) => /^compiler\/codegen\/[^/]+$/.test(file)),
      never: ['compiler/codegen/gpu/', 'compiler/codegen/cpu/'],
    },
    ...targets.map((target) => ({
      name: `${target} knows no other target`,
      from: [target],
      never: targets.filter((other) => other !== target),
    })),
    // pass.ts is what a pass is, passes.ts the list of all of them.
    ...passes.map((pass) => ({
      name: `${pass} knows no other pass`,
      from: [pass],
      never: ['compiler/graph-passes/'],
      but: [pass, 'compiler/graph-passes/pass.ts'],
    })),

    // kernel-pass.ts is what a fusion rule is; program.ts, side-reductions.ts and weigh.ts serve several of them.
    ...rules.map((rule) => ({
      name: `${rule} knows no other fusion rule`,
      from: [rule],
      never: ['compiler/fusion/'],
      but: [rule, ...FUSION_GROUND],
    })),
    { name: 'what a pass is depends on no pass', from: ['compiler/graph-passes/pass.ts'], never: ['compiler/graph-passes/'] },
    { name: 'what an operator is depends on no table of them', from: ['compiler/ops/operator.ts'], never: ['compiler/ops/registry.ts'] },
    { name: 'what a target is depends on no target', from: ['compiler/targets/target.ts'], never: targets },
    ...doors.map((door) => ({ name: `${door} is for those outside`, from: [`${posix.dirname(door)}/`], never: [door] })),
  ]
}

describe('the house', () => {
  test.each(rulesFor([...house.keys()]))('$name', (rule) => {
    expect(broken(rule, house)).toEqual([])
  })

  test('there is no circle of imports, of types neither', () => {
    expect(circles(house)).toEqual([])
  })

  test('imports go down', () => {
    expect(climbs(house)).toEqual([])
  })

  test('targets and devices are spelled in one table', () => {
    expect([...house].flatMap(([file, text]) => spelled(file, text))).toEqual([])
  })

  test('files have one subject (a warning)', () => {
    for (const [file, text] of house) {
      const lines = text.split('\n').length
      if (lines > 500) console.warn(`${file} has ${lines} lines: look for the second subject`)
    }
  })
})

test.each(['ARCHITECTURE.md', 'CONTRIBUTING.md'])('files that %s names exist', (page) => {
  const named = [...readFileSync(join(root, page), 'utf8').matchAll(/`([\w-]+(?:\/[\w.-]+)+\/?)`/g)].map(([, path]) => path!)
  // A path is written from the root, or from the compiler; docs/library is generated.
  expect(named.filter((path) => path !== 'docs/library/' && !['', 'compiler'].some((folder) => existsSync(join(root, folder, path)))))
    .toEqual([])
})

describe('the guard itself', () => {
  /** What breaks in a made-up house. */
  const chains = (files: Record<string, string>): string[] => {
    const made = new Map(Object.entries(files))
    return [...new Set(rulesFor([...made.keys()]).flatMap((rule) => broken(rule, made)))]
  }

  test.each([
    ['a static import', `import { x } from '../dsl/a.ts'`],
    ['for effects', `import '../dsl/a.ts'`],
    ['of a type', `import type { X } from '../dsl/a.ts'`],
    ['of types among values', `import { type X, } from\n  "../dsl/a.ts"`],
    ['passed on', `export * from '../dsl/a.ts'`],
    ['a type in place', `export type X = Array<import('../dsl/a.ts').X>`],
    ['when needed', `export const x = async () => (await import('../dsl/a.ts')).x`],
    ['when needed, in a template', 'export const x = () => import(`../dsl/a.ts`)'],
  ])('sees an import: %s', (_, text) => {
    expect(chains({ 'runtime/a.ts': text, 'dsl/a.ts': '' })).toEqual(['runtime/a.ts -> dsl/a.ts'])
  })

  test('sees a circle, of types too', () => {
    const made = new Map([['dsl/a.ts', `import './b.ts'`], ['dsl/b.ts', `import type { X } from './c.ts'`], [
      'dsl/c.ts',
      `import './b.ts'`,
    ]])
    expect(circles(made)).toEqual([['dsl/b.ts', 'dsl/c.ts']])
  })

  test('sees an arrow up, and one to a stranger on the same floor', () => {
    const made = new Map([
      ['compiler/ir/a.ts', `import type { X } from '../graph/a.ts'`],
      ['compiler/graph/a.ts', `import '../fusion/a.ts'; import '../ir/b.ts'`],
      ['compiler/fusion/a.ts', ''],
      ['compiler/ir/b.ts', `import '../invariant.ts'`],
      ['compiler/invariant.ts', ''],
    ])
    expect(climbs(made)).toEqual(['compiler/ir/a.ts -> compiler/graph/a.ts', 'compiler/graph/a.ts -> compiler/fusion/a.ts'])
  })

  test('sees a spelled name, in no type, import or longer text', () => {
    expect(spelled('cli/a.ts', `import 'webgpu'; let a: 'wasm'; const b = name === 'wasm' ? 'on wasm' : \`webgpu-f16\``))
      .toEqual(['cli/a.ts: wasm', 'cli/a.ts: webgpu-f16'])
  })

  test('reads no imports out of texts and comments', () => {
    expect(chains({ 'runtime/a.ts': `// import '../dsl/a.ts'\nexport const text = "import '../dsl/a.ts'"`, 'dsl/a.ts': '' })).toEqual([])
  })

  test.each([
    ['runtime -> dsl', { 'runtime/a.ts': 'compiler/a.ts', 'compiler/a.ts': 'dsl/a.ts', 'dsl/a.ts': '' }, [
      'runtime/a.ts -> compiler/a.ts',
      'runtime/a.ts -> compiler/a.ts -> dsl/a.ts',
    ]],
    ['compiler -> runtime', { 'compiler/a.ts': 'runtime/net.ts', 'runtime/net.ts': '' }, ['compiler/a.ts -> runtime/net.ts']],
    ['compiler -> bundle', { 'compiler/a.ts': 'bundle/format.ts', 'bundle/format.ts': '' }, []],
    ['bundle -> runtime', { 'bundle/format.ts': 'runtime/net.ts', 'runtime/net.ts': '' }, ['bundle/format.ts -> runtime/net.ts']],
    ['target -> operator, through a helper', {
      'compiler/targets/wgsl/a.ts': 'compiler/help.ts',
      'compiler/help.ts': 'compiler/ops/conv.ts',
      'compiler/ops/conv.ts': '',
    }, ['compiler/targets/wgsl/a.ts -> compiler/help.ts -> compiler/ops/conv.ts']],
    ['target -> target', { 'compiler/targets/wgsl/a.ts': 'compiler/targets/wasm/a.ts', 'compiler/targets/wasm/a.ts': '' }, [
      'compiler/targets/wgsl/a.ts -> compiler/targets/wasm/a.ts',
    ]],
    ['operator -> target', { 'compiler/ops/conv.ts': 'compiler/targets/wasm/a.ts', 'compiler/targets/wasm/a.ts': '' }, [
      'compiler/ops/conv.ts -> compiler/targets/wasm/a.ts',
    ]],
    ['pass -> pass', {
      'compiler/graph-passes/a.ts': 'compiler/graph-passes/b.ts',
      'compiler/graph-passes/b.ts': 'compiler/graph-passes/pass.ts',
      'compiler/graph-passes/pass.ts': '',
    }, ['compiler/graph-passes/a.ts -> compiler/graph-passes/b.ts']],
    ['file -> its own door', { 'dsl/a.ts': 'dsl/index.ts', 'dsl/index.ts': 'dsl/b.ts', 'dsl/b.ts': '' }, ['dsl/a.ts -> dsl/index.ts']],
    ['runtime -> package', { 'runtime/a.ts': 'npm:webgpu' }, ['runtime/a.ts -> npm:webgpu']],
    ['page -> Node', { 'runtime/index.ts': 'runtime/a.ts', 'runtime/a.ts': 'node:fs' }, ['runtime/index.ts -> runtime/a.ts -> node:fs']],
  ] as [string, Record<string, string>, string[]][])('%s', (_, arrows, want) => {
    const files = Object.entries(arrows).map(([file, to]): [string, string] => {
      const specifier = to.startsWith('npm:') ? to.slice(4)
        : to.startsWith('node:') ? to : posix.relative(posix.dirname(file), to).replace(/^(?!\.)/, './')
      return [file, to && `import '${specifier}'`]
    })
    expect(chains(Object.fromEntries(files))).toEqual(want)
  })
})

/** The shortest chain from each file that breaks the rule to each thing that it must not reach, if not already told by a file on the way. */
function broken(rule: Rule, files: ReadonlyMap<string, string>): string[] {
  const isIn = (name: string, places: readonly string[] = []): boolean =>
    places.some((place) => /[/:]$/.test(place) ? name.startsWith(place) : name === place)
  return [...files.keys()].filter((file) => isIn(file, rule.from) && !isIn(file, rule.never.filter((place) => !place.endsWith('/'))))
    .flatMap((start) => {
      const chains = new Map([[start, start]])
      // The map grows while it is walked: breadth first.
      for (const [file, chain] of chains) {
        for (const next of arrowsOf(file, files)) if (!chains.has(next)) chains.set(next, `${chain} -> ${next}`)
      }
      const reached = [...chains].filter(([file]) => file !== start && isIn(file, rule.never) && !isIn(file, rule.but)).map(([, chain]) =>
        chain
      )
      // A chain through another file of `from` is that file's.
      return reached.filter((chain) => !chain.split(' -> ').slice(1, -1).some((file) => isIn(file, rule.from)))
    })
}

/** Sets of files each of which imports every other, directly or not (Tarjan 1972: strongly connected components). */
function circles(files: ReadonlyMap<string, string>): string[][] {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const open: string[] = []
  const found: string[][] = []
  const visit = (file: string): void => {
    index.set(file, index.size)
    low.set(file, index.get(file)!)
    open.push(file)
    for (const next of arrowsOf(file, files).filter((name) => files.has(name))) {
      if (!index.has(next)) visit(next)
      if (open.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!))
    }
    if (low.get(file) !== index.get(file)) return
    const component = open.splice(open.indexOf(file))
    if (component.length > 1 || arrowsOf(file, files).includes(file)) found.push(component.sort())
  }
  for (const file of files.keys()) if (!index.has(file)) visit(file)
  return found
}

/** Imports that neither stay in a room nor go down. */
function climbs(files: ReadonlyMap<string, string>): string[] {
  const rooms = FLOORS.flatMap((floor, height) => floor.map((room) => ({ room, height })))
  const roomOf = (file: string): { room: string; height: number } =>
    rooms.filter(({ room }) => file === room || (room.endsWith('/') && file.startsWith(room)))
      .reduce((best, one) => (one.room.length > best.room.length ? one : best), { room: '', height: NaN })
  return [...files.keys()].flatMap((file) =>
    arrowsOf(file, files).filter((name) => files.has(name)).filter((name) => {
      const [from, to] = [roomOf(file), roomOf(name)]
      return from.room !== to.room && !(to.height < from.height)
    }).map((name) => `${file} -> ${name}`)
  )
}

/** Names of targets and devices that a file spells as values. */
function spelled(file: string, text: string): string[] {
  if (file === NAMES) return []
  const found: string[] = []
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (node === null || typeof node !== 'object') return
    const { type, value } = node as { type?: string; value?: unknown }
    if (/^(Import|Export\w+)Declaration$|^ImportExpression$|^TSLiteralType$|^TSImportType$/.test(type ?? '')) {
      // An exported declaration is one like any other.
      visit((node as { declaration?: unknown }).declaration)
      return
    }
    const said = type === 'TemplateElement' ? (value as { cooked?: unknown }).cooked : type === 'Literal' ? value : undefined
    if (typeof said === 'string' && NAMED.includes(said)) found.push(`${file}: ${said}`)
    for (const each of Object.values(node)) visit(each)
  }
  if (NAMED.some((name) => text.includes(name)))
    visit(parseAst(file === 'cli/adapter-probe.ts' ? text.replace(PACKAGE, "= ''") : text, { lang: 'ts' }))
  return found
}

const known = new WeakMap<ReadonlyMap<string, string>, Map<string, string[]>>()

/** What a file imports: files of the house by their names, 'node:NAME', 'npm:NAME'. */
function arrowsOf(file: string, files: ReadonlyMap<string, string>): string[] {
  const read = known.get(files) ?? known.set(files, new Map()).get(files)!
  const text = files.get(file)
  if (text === undefined) return []
  if (!read.has(file)) {
    read.set(
      file,
      specifiersOf(text).map((specifier) =>
        specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier)
          : specifier.startsWith('node:') ? specifier : `npm:${specifier}`
      ),
    )
  }
  return read.get(file)!
}

/** Every module that a text names: imported, passed on, as a type, on demand. */
function specifiersOf(text: string): string[] {
  const found: string[] = []
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (node === null || typeof node !== 'object') return
    const { type, source } = node as { type?: string; source?: any }
    if (/^(Import|Export\w+)(Declaration|Expression)$|^TSImportType$/.test(type ?? '') && source) {
      const specifier = source.value ?? (source.quasis?.length === 1 ? source.quasis[0].value.cooked : undefined)
      // What is put together at run time (the command looks for the software adapter) has no name to hold against a rule.
      if (typeof specifier === 'string') found.push(specifier)
    }
    for (const value of Object.values(node)) visit(value)
  }
  visit(parseAst(text, { lang: 'ts' }))
  return found
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => posix.join(folder, entry.parentPath.slice(join(root, folder).length).replaceAll('\\', '/'), entry.name))
}

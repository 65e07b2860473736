/*
 * Writes docs/library/: a page of each door of the package, from its doc comments. They are as fresh as the site that they are a
 * part of, so no copy is kept.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { join } from 'node:path'

// TypeDoc reads programs through the interface that TypeScript has until version 6.
register(
  `data:text/javascript,${
    encodeURIComponent("export const resolve = (name, context, next) => next(name === 'typescript' ? 'typescript-6' : name, context)")
  }`,
)

/** What the code that a plugin writes imports, and nobody else. */
const UNTOLD = ['./vite/hot']

/** Of each door of package.json the source file, and under which names it is imported: runtime/index.ts is `fusenet` and `fusenet/runtime`. */
async function doors() {
  const { name, exports } = JSON.parse(await readFile('package.json', 'utf8'))
  const found = new Map()
  for (const [door, entry] of Object.entries(exports)) {
    const file = typeof entry === 'string' ? entry : entry.default ?? entry.import
    if (!file?.endsWith('.js') || UNTOLD.includes(door)) continue
    const source = file.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts')
    found.set(source, [...found.get(source) ?? [], door.replace(/^\./, name)])
  }
  return found
}

/** A module is called as it is imported, by the longest of its names. */
const titleOf = (names) => names.toSorted((a, b) => b.length - a.length)[0]

/** What the page about the installation says that is imported under a name. */
async function meaningOf() {
  const rows = [...(await readFile('docs/install.md', 'utf8')).matchAll(/^\| (`fusenet.*?) \| (.*) \|$/gm)]
  return (name) => {
    const row = rows.find(([, names]) => names.includes(`\`${name}\``))
    if (!row) throw new Error(`docs/install.md does not say what ${name} is`)
    return row[2]
  }
}

/** Writes the pages; throws where a doc comment has a mistake. */
export async function writeLibraryPages(out) {
  const { Application, Comment, Converter, ReflectionKind } = await import('typedoc')
  const [modules, meaning] = [await doors(), await meaningOf()]
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: [...modules.keys()],
    tsconfig: 'docs/.vitepress/library.tsconfig.json',
    skipErrorChecking: true,
    excludeExternals: true,
    excludeInternal: true,
    excludePrivate: true,
    disableSources: true,
    readme: 'none',
    name: 'The library',
    logLevel: 'Error',
    // One page a door, and what belongs together in one table.
    outputs: [{ name: 'markdown', path: out }],
    outputFileStrategy: 'modules',
    entryFileName: 'index',
    // What is called stands before what it takes and gives.
    groupOrder: ['Functions', 'Classes', 'Interfaces', 'Type Aliases', '*'],
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    enumMembersFormat: 'table',
    typeDeclarationFormat: 'table',
  })
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children) {
      const source = [...modules.keys()].find((file) => file === `${module.name}.ts` || file === `${module.name}/index.ts`)
      module.name = titleOf(modules.get(source))
      const said = meaning(module.name)
      module.comment = new Comment([{ kind: 'text', text: `${said[0].toUpperCase()}${said.slice(1)}.` }])
      // Of the format types alone are exported, and no constant or function that lies beside them.
      for (const child of module.children?.slice() ?? []) {
        if (
          child.kindOf([ReflectionKind.Variable, ReflectionKind.Function]) &&
          project.getSymbolIdFromReflection(child)?.packagePath === 'bundle/format.ts'
        ) project.removeReflection(child)
      }
    }
  })
  const project = await app.convert()
  if (!project) throw new Error('the doc comments could not be read')
  await rm(out, { recursive: true, force: true })
  await app.generateOutputs(project)
  if (app.logger.hasErrors()) throw new Error('the pages of the library could not be written')
  const rows = project.children.map((module) => {
    const names = [...modules.values()].find((all) => all.includes(module.name))
    return `| ${names.map((one) => `[\`${one}\`](${module.name}.md)`).join(', ')} | ${fromBelow(meaning(module.name))} |`
  })
  await writeFile(
    join(out, 'index.md'),
    `# The library\n\nWhat can be imported, from the doc comments of the code.\n\n| import | |\n| --- | --- |\n${rows.join('\n')}\n`,
  )
}

/** Links of a page in docs/, as a page in docs/library/ has them. */
const fromBelow = (text) => text.replace(/\]\((?!\w+:|\/|#)/g, '](../')

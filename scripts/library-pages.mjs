/*
 * Writes docs/library/: a page of each door of the package, from its doc comments. They are as fresh as the site that they are a
 * part of, so no copy is kept.
 */
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'

// TypeDoc reads programs through the interface that TypeScript has until version 6.
register(`data:text/javascript,${encodeURIComponent("export const resolve = (name, context, next) => next(name === 'typescript' ? 'typescript-6' : name, context)")}`)

/** Of each door of package.json the source file: dist/runtime/index.js is made of runtime/index.ts. */
async function doors() {
  const { exports } = JSON.parse(await readFile('package.json', 'utf8'))
  const files = Object.values(exports).map((entry) => (typeof entry === 'string' ? entry : entry.default ?? entry.import))
  return [...new Set(files.filter((file) => file?.endsWith('.js')).map((file) => file.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts')))]
}

/** Writes the pages; throws where a doc comment has a mistake. */
export async function writeLibraryPages(out) {
  const { Application } = await import('typedoc')
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: await doors(),
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
  const project = await app.convert()
  if (!project) throw new Error('the doc comments could not be read')
  await app.generateOutputs(project)
  if (app.logger.hasErrors()) throw new Error('the pages of the library could not be written')
}

import type { NetFile } from './net-file.ts'

/**
 * The module of a net as text. Its default export is `{ name, url, open }`: `url` the folder of the bundle, as `open` of fusenet takes
 * it, `open(options)` opens it.
 */
export interface ModuleParts {
  readonly net: NetFile
  /** An expression that gives the URL of the bundle's folder, with a slash at its end. */
  readonly url: string
}

const HEAD = "import { open } from 'fusenet'\n"

/** Fetches the bundle from where a build or a server put it. */
export const fetchedModule = ({ net, url }: ModuleParts): string =>
  `${HEAD}const url = ${url}\nexport default { name: ${nameOf(net)}, url, open: (options) => open(url, options) }\n`

/**
 * Has the files in a module of their own, which is loaded when the net is opened: for servers, which have no address to fetch from, and where
 * nothing is to be fetched. `files`: how that module is imported.
 */
export const heldModule = ({ net, url, files }: ModuleParts & { readonly files: string }): string =>
  `${HEAD}const url = ${url}\nexport default { name: ${nameOf(net)}, url, open: async (options) => open((await import(${
    JSON.stringify(files)
  })).default, options) }\n`

/** The code by which nets that are open become the new one when its text changes, in development. */
export const hotModule = ({ net, url }: ModuleParts): string =>
  `import { open } from 'fusenet'
import { hotNet } from 'fusenet/vite/hot'
export default hotNet(import.meta.hot, { name: ${nameOf(net)}, url: ${url}, signature: ${JSON.stringify(signatureOf(net))}, weights: ${
    JSON.stringify(net.weightsStamp)
  } }, open)
if (import.meta.hot) import.meta.hot.accept()
`

/** A text of the interface that a page's code was written against: it changes with names, types or shapes. */
export function signatureOf({ bundle: { manifest: { inputs, outputs } } }: NetFile): string {
  return JSON.stringify([
    inputs.map(({ name, type, shape, classes, classNames }) => [name, type, shape, classes ?? null, classNames ?? null]),
    outputs.map(({ name, role, shape }) => [name, role, shape]),
  ])
}

/** The files of a bundle as a module: texts as they are, all else in base64. */
export function filesModule({ files }: NetFile): string {
  const isText = ([name]: readonly [string, unknown]): boolean => /\.(json|wgsl)$/.test(name)
  const all = [...files]
  const texts = all.filter(isText).map(([name, data]) => [name, Buffer.from(data).toString()])
  const binaries = all.filter((file) => !isText(file)).map(([name, data]) => [name, Buffer.from(data).toString('base64')])
  return `const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
export default new Map([...${JSON.stringify(texts)}, ...${JSON.stringify(binaries)}.map(([name, data]) => [name, bytes(data)])])
`
}

const nameOf = ({ bundle }: NetFile): string => JSON.stringify(bundle.manifest.name)

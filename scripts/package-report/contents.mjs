/** What is in the package: its files, its size, and what the tools of those who publish say of it. */
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { kilobytes } from './project.mjs'

/** MiB that somebody gets in node_modules who installs fusenet for a page. */
const MOST_MEGABYTES = 4.2

export const CONTENTS = {
  'npm pack gives all that belongs to it and nothing that was left over': ({ files, packedBytes, clone }) => {
    const needed = [
      'LICENSE',
      'README.md',
      'package.json',
      'samples/mnist.net',
      'docs/install.md',
      ...namedIn(JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'))),
      ...['CHANGELOG.md'].filter((name) => existsSync(join(clone, name))),
    ]
    const absent = needed.filter((name) => !files.includes(name))
    const strange = files.filter((name) =>
      /tsbuildinfo|\.map$|node_modules|\.tgz$|(?:^|\/)\.|^(?:test|scripts|findings|cli|compiler|dsl|import|measure)\/|docs\/(?:\.vitepress|library)/
        .test(name)
    )
    if (absent.length + strange.length > 0) throw new Error(`absent: ${absent}; left over: ${strange}`)
    return `${files.length} files, ${kilobytes(packedBytes)} packed`
  },

  'links and pictures of its pages lead to what is in it': ({ project, files }) => {
    const lost = files.filter((name) => name.endsWith('.md')).flatMap((name) => {
      const text = readFileSync(join(project, 'node_modules', 'fusenet', name), 'utf8').replace(/^ *```[^]*?^ *```$/gm, '')
      const targets = [...text.matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)].map(([, target]) => target).filter((target) =>
        !/^[a-z]+:/.test(target)
      )
      return targets.filter((target) => !existsSync(join(project, 'node_modules', 'fusenet', dirname(name), target))).map((target) =>
        `${name}: ${target}`
      )
    })
    if (lost.length > 0) throw new Error(lost.join('; '))
  },

  'what a page gets in node_modules is small': ({ project }) => {
    const modules = join(project, 'node_modules')
    const sizes = readdirSync(modules).filter((name) => !name.startsWith('.')).map((name) => [name, diskBytes(join(modules, name))])
    const total = diskBytes(modules) / 2 ** 20
    const each = sizes.map(([name, bytes]) => `${name} ${kilobytes(bytes)}`).join(', ')
    if (total > MOST_MEGABYTES) throw new Error(`${total.toFixed(2)} MiB, more than ${MOST_MEGABYTES}: ${each}`)
    return `${total.toFixed(2)} MiB: ${each}`
  },

  'publint finds nothing': async ({ tarball }) => {
    const { publint } = await import('publint')
    const { formatMessage } = await import('publint/utils')
    const bytes = readFileSync(tarball)
    const { messages, pkg } = await publint({
      pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
      strict: true,
    })
    if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'))
  },

  'attw finds nothing: types are found as code is': async ({ tarball }) => {
    const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core')
    const { problems, types } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
    // As its profile esm-only: the package has ES modules alone, which Node since 20.19 also requires; there are no entries for Node 10.
    const left = (problems || []).filter(({ kind, resolutionKind }) => !(kind === 'CJSResolvesToESM' || resolutionKind === 'node10'))
    if (!types || left.length > 0) throw new Error(JSON.stringify(left.length > 0 ? left : types, null, 1))
  },
}

/** The files that package.json speaks of. */
function namedIn({ exports, bin }) {
  const files = (value) => (typeof value === 'string' ? [value.replace(/^\.\//, '')] : Object.values(value).flatMap(files))
  return files([exports, bin]).filter((name) => !name.includes('*'))
}

/** As `du` counts on a disk of blocks of 4 KiB: whole blocks, folders too. */
function diskBytes(path) {
  const stat = lstatSync(path)
  if (!stat.isDirectory()) return 4096 * Math.ceil(stat.size / 4096)
  return 4096 + readdirSync(path).reduce((sum, name) => sum + diskBytes(join(path, name)), 0)
}

import { basename, dirname, join } from 'node:path'
import { entriesOf } from '../runtime/data/node/walk.ts'

export const isPattern = (path: string): boolean => /[*?[\]{}]/.test(path)

/**
 * The files that a pattern means, where the shell did not say: `*` and `?` within a name, `[abc]`, `{png,jpg}`, `**` for any
 * folders. In the order of code units; what is hidden is not meant.
 */
export async function filesOf(pattern: string): Promise<string[]> {
  return [
    ...new Set((await Promise.all(
      braces(pattern).map((one) =>
        expand(
          one.startsWith('/') ? '/' : '.',
          one.split('/').filter((part) => part !== '' && part !== '.'),
        )
      ),
    )).flat()),
  ]
}

async function expand(folder: string, [part, ...rest]: readonly string[]): Promise<string[]> {
  if (part === undefined) return []
  if (part === '..') return expand(join(folder, '..'), rest)
  const entries = await entriesOf(folder).catch(() => [])
  const found: string[] = []
  if (part === '**') {
    found.push(...await expand(folder, rest))
    for (const { name, kind } of entries) if (kind === 'folder') found.push(...await expand(join(folder, name), [part, ...rest]))
    return found
  }
  const matches = isPattern(part) ? matcher(part) : undefined
  for (
    const { name, kind } of matches ? entries.filter((entry) => matches.test(entry.name)) : entries.filter((entry) => entry.name === part)
  ) {
    if (rest.length > 0) found.push(...(kind === 'folder' ? await expand(join(folder, name), rest) : []))
    else if (kind === 'file') found.push(join(folder, name))
  }
  return found
}

function matcher(part: string): RegExp {
  const text = part.replaceAll(/[.+^$()|\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.').replaceAll('[!', '[^').replaceAll(
    /[{}]/g,
    '\\$&',
  )
  try {
    return new RegExp(`^${text}$`, 'us')
  } catch {
    return new RegExp(`^${part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, 's')
  }
}

/** `a.{png,jpg}` is `a.png` and `a.jpg`. */
function braces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/s.exec(pattern)
  return match ? match[2]!.split(',').flatMap((choice) => braces(`${match[1]}${choice}${match[3]}`)) : [pattern]
}

/** The part of a pattern that is a folder for certain: what an error can name. */
export function folderOf(pattern: string): string {
  let folder = pattern
  while (isPattern(folder)) folder = dirname(folder)
  return folder === basename(pattern) ? '.' : folder
}

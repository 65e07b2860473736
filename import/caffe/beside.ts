import type { ByteSource } from '../byte-source.ts'
import type { ReadOptions } from '../read-options.ts'

/**
 * A file that a prototxt names. Caffe takes paths from the folder where it runs (`examples/mnist/lenet.prototxt`), so the last parts of a path are
 * tried too: the file may lie beside the one that names it. Undefined where there is none.
 */
export function fileBeside({ beside }: ReadOptions, path: string): ByteSource | undefined {
  if (!beside) return undefined
  const parts = path.split(/[\\/]/).filter((part) => part !== '' && part !== '.')
  for (let i = 0; i < parts.length; i++) {
    const tried = parts.slice(i)
    if (tried.includes('..')) continue
    try {
      return beside(tried.join('/'))
    } catch {
      // Not there, or not to be read: the next may be.
    }
  }
  return undefined
}

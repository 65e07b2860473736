import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'
import type { ModelNet } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'

/** Reads a model of Caffe. Throws ImportError with all that stands in the way. */
export function readCaffe(source: ByteSource, _options: ReadOptions): ModelNet {
  throw new ImportError([{ where: source.name, what: 'files of Caffe are not read by this version' }])
}

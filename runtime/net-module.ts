/** The type of `import digits from './digits.net'`, which a bundler's plugin compiles. There are only types here. */
import type { Precision } from '../bundle/device.ts'
import type { Net } from './net-api.ts'
import type { AnyNet, NetSpec } from './net-spec.ts'
import type { OpenOptions } from './open-options.ts'

export interface NetModule<S extends NetSpec = AnyNet> {
  readonly name: S['name']
  /** The folder of the bundle, as `open` takes it; empty where the bundle is a part of the code. */
  readonly url: string
  /** Opens it: `open(url, options)` of fusenet. */
  open<P extends Precision = 'f32'>(options?: OpenOptions<S, P>): Promise<Net<S, P>>
}

import { WEBGPU } from '../../bundle/plans.ts'
import { compile, type CompileOptions } from '../../compiler/index.ts'
import type { Source } from '../../dsl/source.ts'
import { optimizingLater } from '../compile-once.ts'
import type { DrawOptions } from './draw.ts'

/** The kernels that a net infers by, fused and a layer at a time. */
export const bothStyles = (main: Source, options: Pick<CompileOptions, 'readImport'>): NonNullable<DrawOptions['kernels']> =>
  (['merged', 'split'] as const).map((style) => ({
    title: style,
    bundle: optimizingLater(() => compile(main, { ...options, style, targets: [WEBGPU], programs: ['infer'], allowOneValue: true })),
  }))

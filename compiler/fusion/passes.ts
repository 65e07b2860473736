import { forwardCopies } from './forward-copies.ts'
import { fuseMoments } from './fuse-moments.ts'
import { fuseSums } from './fuse-sums.ts'
import { fuseUpdates } from './fuse-updates.ts'
import { inlineElementwise } from './inline-elementwise.ts'
import type { KernelPass } from './kernel-pass.ts'
import { materializeOnLoad } from './materialize-on-load.ts'
import { placeInSlices } from './place-in-slices.ts'
import { shareArgmax } from './share-argmax.ts'

/**
 * The passes between lowering and code generation, in their order. Each joins equations, so that fewer passes go over memory.
 *
 *   inline-elementwise    first: what all later passes weigh is what is still stored
 *   share-argmax          behind it: a maximum and its position are of the same once both have their prologues
 *   fuse-moments          before fuse-sums: statistics of the forward pass have the first claim on a kernel's bindings
 *   fuse-sums
 *   fuse-updates          behind fuse-moments, which makes the kernel that merges a batch's statistics
 *   forward-copies        behind the side reductions: they look for the one kernel that stores a whole map, channel by channel, and what is
 *                         stored into a slice has none
 *   materialize-on-load   it takes what still runs as a kernel of its own. Memory `small` is planned without it: what one kernel
 *                         makes for itself and for others cannot be made again for one of them
 *   place-in-slices       last: no rule asks for a map that is a part of another one.
 */
export const fusionPasses: readonly KernelPass[] = [
  inlineElementwise,
  shareArgmax,
  fuseMoments,
  fuseSums,
  fuseUpdates,
  forwardCopies,
  materializeOnLoad,
  placeInSlices,
]

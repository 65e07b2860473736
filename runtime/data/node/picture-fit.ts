import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { factsOfPicture, type PictureShape } from './sharp.ts'

/** A picture of which so much is seen, along one side, counts as of the wanted form. */
const NEARLY_ALL = 0.9

/**
 * Says what `decodePicture` changes in pictures besides their size: that those of another form are cut, and that grey ones are taken for colour. A line
 * each, with the first of them. `input`: what the pictures are for.
 */
export async function howTheyFit(paths: readonly string[], [c, h, w]: PictureShape, input: string): Promise<string[]> {
  const facts: Awaited<ReturnType<typeof factsOfPicture>>[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < paths.length; i = next++) facts[i] = await factsOfPicture(paths[i]!)
  }
  await Promise.all(Array.from({ length: Math.min(paths.length, 4 * availableParallelism()) }, worker))
  const which = (found: (fact: (typeof facts)[number]) => boolean): number[] => paths.flatMap((_, i) => (found(facts[i]!) ? [i] : []))
  const count = (indices: readonly number[]): string =>
    paths.length === 1 ? basename(paths[0]!)
      : `${indices.length} of ${paths.length} pictures (${basename(paths[indices[0]!]!)}${indices.length > 1 ? ', ...' : ''})`
  const cut = which(({ width, height }) => Math.min(width * h, height * w) < NEARLY_ALL * Math.max(width * h, height * w))
  const grey = which(({ isGrey }) => c > 1 && isGrey)
  const first = facts[cut[0] ?? 0]
  return [
    ...(cut.length > 0 && first
      ? [
        `${count(cut)}: ${first.width} x ${first.height} is scaled to cover the ${w} x ${h} of ${input}, and what lies beyond is cut off`,
      ] : []),
    ...(grey.length > 0 ? [`${count(grey)}: grey, where ${input} takes colour: its ${c} channels are the same`] : []),
  ]
}

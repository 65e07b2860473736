/** Remembers what is asked of a node, an equation or anything else that never changes, for as long as that is there. */
export function onceByNode<N extends object, T>(answer: (node: N) => T): (node: N) => T {
  const known = new WeakMap<N, T>()
  return (node) => {
    const before = known.get(node)
    if (before !== undefined) return before
    const made = answer(node)
    known.set(node, made)
    return made
  }
}

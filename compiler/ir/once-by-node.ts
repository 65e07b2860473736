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

/**
 * The same for several objects together, and for what else the answer depends on (`text`): it is remembered for as long as all of them are there. What
 * is made of equations of one target, or of one program, then is the same object for others that make the same of them.
 */
export function onceByNodes<N extends readonly object[], T>(answer: (text: string, ...nodes: N) => T): (text: string, ...nodes: N) => T {
  type Level = WeakMap<object, Level | Map<string, { readonly made: T }>>
  const root: Level = new WeakMap()
  return (text, ...nodes) => {
    let level = root
    for (const node of nodes.slice(0, -1)) {
      let next = level.get(node) as Level | undefined
      if (!next) level.set(node, next = new WeakMap())
      level = next
    }
    const last = nodes.at(-1)!
    let answers = level.get(last) as Map<string, { readonly made: T }> | undefined
    if (!answers) level.set(last, answers = new Map())
    let known = answers.get(text)
    if (!known) answers.set(text, known = { made: answer(text, ...nodes) })
    return known.made
  }
}

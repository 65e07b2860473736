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
 * Remembers answers that are as large as what they are answers of (another form of an equation, a loop nest) for as long as a compilation works with them:
 * kept longer, they would be most of what it leaves in memory.
 */
export function onceAtWork<N extends object, T>(answer: (node: N) => T): (node: N) => T {
  let known = onceByNode(answer)
  whenDone(() => known = onceByNode(answer))
  return (node) => known(node)
}

const atWork: (() => void)[] = []
/** What else is forgotten then. */
export const whenDone = (forget: () => void): void => void atWork.push(forget)

/** Says that the kernels of a target are there: what was found on the way to them makes room. */
export function endWork(): void {
  for (const forget of atWork) forget()
}

/** Answers of `onceLately`. */
const MOST_LATELY = 8

/**
 * Remembers the latest answers alone: those that are as large as what they are answers of (another form of an equation), and that are asked for while one
 * works on it. Remembered for as long as the equation is there, they were a quarter of what resnet20 leaves in memory behind a compilation.
 */
export function onceLately<N extends object, T>(answer: (node: N) => T): (node: N) => T {
  let known: readonly { readonly node: N; readonly made: T }[] = []
  return (node) => {
    const before = known.find((one) => one.node === node)
    if (before) return before.made
    const made = answer(node)
    known = [{ node, made }, ...known.slice(0, MOST_LATELY - 1)]
    return made
  }
}

/**
 * The same for several objects together, and for what else the answer depends on (`text`): it is remembered for as long as the last of them is there
 * and compilations ask for it (`beginGeneration`), no more than `MOST_ANSWERS` of each. What is made of equations of one target, or of one program, then is the same object for others that make
 * the same of them.
 */
export function onceByNodes<N extends readonly object[], T>(answer: (text: string, ...nodes: N) => T): (text: string, ...nodes: N) => T {
  const known = new WeakMap<object, Answer<T>[]>()
  return (text, ...nodes) => {
    const last = nodes.at(-1)!
    const answers = known.get(last)
    for (let i = 0; answers && i < answers.length; i++) {
      const one = answers[i]!
      if (one.text !== text || !isOf(one, nodes)) continue
      one.generation = generation
      return one.made
    }
    const others = nodes.slice(0, -1).map(numberOf)
    const made: Answer<T> = { text, others, made: answer(text, ...nodes), generation }
    // Looked up again: the answer may have asked for others.
    const before = known.get(last)
    if (!before) known.set(last, [made])
    else known.set(last, [...before.filter((one) => one.generation >= generation - 1).slice(1 - MOST_ANSWERS), made])
    return made.made
  }
}

/** What was found of a text and several objects, the last of which has it. It holds none of the others: they are told by their numbers. */
interface Answer<T> {
  readonly text: string
  readonly others: readonly number[]
  readonly made: T
  /** The last one that asked for it. */
  generation: number
}

const MOST_ANSWERS = 64

let generation = 0

/** Says that another compilation begins: what neither it nor the one before asks for makes room, or a layer that stays would hold all that was ever beside it. */
export function beginGeneration(): void {
  generation++
}

function isOf({ others }: Answer<unknown>, nodes: readonly object[]): boolean {
  if (others.length !== nodes.length - 1) return false
  for (let i = 0; i < others.length; i++) if (numbers.get(nodes[i]!) !== others[i]) return false
  return true
}

/** A map for all of them, where a map of maps takes a table for each object: a collector goes through every such table again and again. */
const numbers = new WeakMap<object, number>()
let count = 0

function numberOf(node: object): number {
  const before = numbers.get(node)
  if (before !== undefined) return before
  numbers.set(node, ++count)
  return count
}

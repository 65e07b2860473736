import type { OnnxNode } from '../node.ts'

/** A list that is an attribute in older opsets and a constant input from `since` on. */
export function listOf(node: OnnxNode, name: string, input: number, since: number): number[] | undefined {
  if (node.opset < since) return node.ints(name) && [...node.ints(name)!]
  return node.has(input) ? node.numbers(input, name) : undefined
}

import { onceByNode } from '../ir/once-by-node.ts'
import type { Node, Value } from './graph.ts'

/**
 * A text that is the same for graphs that are the same but for ids and for where in a text they come from. Objects are told apart by identity:
 * what is met again stands as its number. Takes graphs alone or in records, lists and maps.
 */
export function canonicalGraphText(graphs: unknown): string {
  const parts: string[] = []
  const numbers = new Map<object, number>()
  const visit = (x: unknown): void => {
    if (typeof x !== 'object' || x === null) {
      parts.push(typeof x === 'string' ? JSON.stringify(x) : Object.is(x, -0) ? '-0' : String(x), ' ')
      return
    }
    const known = numbers.get(x)
    if (known !== undefined) {
      parts.push(`#${known} `)
      return
    }
    numbers.set(x, numbers.size)
    if (Array.isArray(x)) visitAll('[', x, ']')
    else if (x instanceof Map || x instanceof Set) visitAll('(', [...x], ')')
    else visitRecord(x as Readonly<Record<string, unknown>>)
  }
  const visitAll = (open: string, items: readonly unknown[], close: string): void => {
    parts.push(open)
    for (const item of items) visit(item)
    parts.push(close)
  }
  const visitRecord = (x: Readonly<Record<string, unknown>>): void => {
    if ('madeAt' in x) return void parts.push(valueText(x as unknown as Value))
    if ('op' in x && 'layer' in x) return visitNode(x as unknown as Node)
    parts.push('{')
    for (const key in x) {
      parts.push(key, ':')
      visit(x[key])
    }
    parts.push('}')
  }
  const visitNode = (node: Node): void => {
    parts.push('{', nodeText(node))
    visitAll('[', node.inputs, ']')
    for (const role in node.parameters) {
      parts.push(role, ':')
      visit(node.parameters[role])
    }
    visitAll('[', node.outputs, ']}')
  }
  visit(graphs)
  return parts.join('')
}

/** What a value says of itself. Graphs of a net share values and nodes: such texts are made once for all of them. */
const valueText = onceByNode(({ id: _, madeAt: __, ...own }: Value): string => canonicalGraphText(own))

/** What a node says beside the values that it reads and writes. */
const nodeText = onceByNode(({ inputs: _, parameters: __, outputs: ___, span: ____, ...own }: Node): string =>
  canonicalGraphText(Object.entries(own))
)

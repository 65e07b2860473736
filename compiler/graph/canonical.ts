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
    // Of values and nodes; attributes of a layer may be called anything.
    const isValue = 'madeAt' in x
    const isNode = 'op' in x && 'layer' in x
    parts.push('{')
    for (const key in x) {
      if (isValue ? key === 'madeAt' || key === 'id' : isNode && key === 'span') continue
      parts.push(key, ':')
      visit(x[key])
    }
    parts.push('}')
  }
  visit(graphs)
  return parts.join('')
}

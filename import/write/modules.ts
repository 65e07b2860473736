import type { ModelLayer } from '../model-net.ts'
import { pathOf } from './layer-names.ts'
import { dissolved, joined, type Part, region } from './parts.ts'

/** A name that a tool counted, and that says nothing of modules: `Conv_12`, `217`. */
const COUNTED = /^(?:[A-Z][A-Za-z]*_)?\d+$/

/**
 * The layers of a model as parts with their places in its modules, as far as names tell them. A layer without a telling name lies where
 * what it reads was made.
 */
export function placedParts(layers: readonly ModelLayer[]): Part[] {
  const own = layers.map(({ name }) => (name === undefined || COUNTED.test(name) ? undefined : pathOf(name)))
  const modules = new Set<string>()
  for (const path of own) path?.forEach((_, i) => i > 0 && modules.add(key(path.slice(0, i))))
  const scopes = new Map<string, { readonly scope: readonly string[]; readonly at: number }>()
  return layers.map((layer, i): Part => {
    const path = own[i]
    // What is called as a module is a layer of that module.
    const placed = !path ? [...scopeOf(layer, scopes), ''] : modules.has(key(path)) ? [...path, ''] : path
    scopes.set(layer.output, { scope: placed.slice(0, -1), at: i })
    return { path: placed, inputs: layer.inputs, output: layer.output, layer }
  })
}

const key = (path: readonly string[]): string => path.join('/')

function scopeOf(
  { op, inputs }: ModelLayer,
  scopes: ReadonlyMap<string, { readonly scope: readonly string[]; readonly at: number }>,
): readonly string[] {
  const found = inputs.flatMap((input) => (typeof input === 'string' ? scopes.get(input) ?? [] : []))
    .sort((a, b) => a.at - b.at).map(({ scope }) => scope)
  const latest = found.at(-1) ?? []
  let common = latest
  for (const scope of found) while (key(scope.slice(0, common.length)) !== key(common)) common = common.slice(0, -1)
  // Branches end where they are joined; a sum with what came in from outside belongs to the path that it is added to.
  return op === 'concat' || (common.length > 0 && found.some((scope) => key(scope) === key(common))) ? common : latest
}

/** Joins the parts of each module, inner modules first, where they make one value and nothing stands between. */
export function moduleParts(parts: readonly Part[], wanted: ReadonlySet<string>): Part[] {
  let list = [...parts]
  for (const step of new Set(parts.filter(({ path }) => path.length > 1).map(({ path }) => path[0]!))) {
    const members = list.filter(({ path }) => path.length > 1 && path[0] === step)
    if (members.length < 2) continue
    const chosen = new Set(members)
    const outside = new Set([...wanted, ...list.filter((part) => !chosen.has(part)).flatMap(({ inputs }) => inputs).map(String)])
    const inner = moduleParts(members.map((part) => ({ ...part, path: part.path.slice(1) })), outside)
    const whole = isContainer(inner) ? undefined : joined(list, chosen, wanted, (_, output) => region([step], inner, output))
    list = whole ?? replaced(list, members, dissolved(region([step], inner, '')))
  }
  return list
}

/** Whether a module only numbers others, as `layer1` of a ResNet does its blocks: `0`, `1`, or `block0`, `block1`. */
function isContainer(inner: readonly Part[]): boolean {
  const stems = inner.map(({ path }) => /^(\D*)\d+$/.exec(path[0]!)?.[1])
  const counts = inner.filter(({ parts }) => parts !== undefined).length
  return stems.every((stem) => stem !== undefined && stem === stems[0]) && (stems[0] === '' ? counts > 0 : counts === inner.length)
}

/** A list with these parts in the places of those that they are made of: each where the last layer of it stood. */
function replaced(list: readonly Part[], members: readonly Part[], by: readonly Part[]): Part[] {
  const place = new Map(members.map((part, i) => [part.output, i]))
  const at = new Map<number, Part>()
  for (const part of by) at.set(place.get(part.output)!, part)
  const chosen = new Set(members)
  return list.flatMap((part) => {
    if (!chosen.has(part)) return [part]
    const one = at.get(members.indexOf(part))
    return one ? [one] : []
  })
}

/**
 * Edits of a net as somebody makes them in a page, one after the other: each is a function from the number of a turn to a text, another one
 * each turn. Those that a net has no place for are left out.
 *
 *   rate         another learning rate
 *   last         another width of the last hidden layer, or another number of classes
 *   activation   the last rectifier is another activation
 *   middle       another width of the middle convolution, or of the middle stage
 *   first        another width of the first convolution: all that reads it has another shape too
 *   insert relu, insert dropout, insert batch_norm
 *                a layer more, with an argument of its own, behind the middle convolution; layers without names have other names behind it
 *   remove       an activation less: the last one, then the one before it
 *
 * `isSound` says whether a text is a net: a convolution whose width others rely on is changed with these others, by its number.
 */
export function editsOf(source, isSound) {
  const at = (pattern) => [...source.matchAll(pattern)].filter(({ index }) => !/\/\/[^\n]*$/.test(source.slice(0, index)))
  const replaced = ({ index, 0: found }, text) => source.slice(0, index) + text + source.slice(index + found.length)
  const wider = (match, by) => replaced(match, match[0].replace(/\d+/, (n) => Number(n) + by))
  const everywhere = (n, by) => source.replace(new RegExp(`(?<=[(\\[, ])${n}(?=[,)\\]])`, 'g'), String(n + by))
  const inner = at(/\bfc\(\d+/g)
  const convs = at(/\bconv\(\d+/g)
  const middle = convs[convs.length >> 1]
  const stages = at(/\bin \[(\d+), (\d+), \d+/g)[0]
  const widen = (match) => (by) =>
    [wider(match, by), everywhere(Number(/\d+/.exec(match[0])[0]), by)].find((text) => isSound(text)) ?? source
  /** The text with a layer behind this call. */
  const behind = (call, layer) => {
    let end = call.index + call[0].length
    for (let depth = 1; depth > 0; end++) depth += { '(': 1, ')': -1 }[source[end]] ?? 0
    end += /^\s*as\s+[\w{}]+|/.exec(source.slice(end))[0].length
    return `${source.slice(0, end)} -> ${layer}${source.slice(end)}`
  }
  const inserted = (layer) => (i) => (middle ? behind(middle, layer(i + 1)) : source)
  const wanted = {
    rate: (i) => source.replace(/\blr:\s*[\d.]+/, `lr: 0.0${i + 1}`),
    last: inner.length > 1 ? (i) => wider(inner.at(-2), 8 * (i + 1))
      : (i) =>
        source.replace(/\bclass\[(\d+)\]/, (_, n) => `class[${Number(n) + i + 1}]`).replace(
          /\bfc\((\d+)/,
          (_, n) => `fc(${Number(n) + i + 1}`,
        ),
    activation: (i) => {
      const last = at(/->\s*relu\b/g).at(-1)
      return last ? replaced(last, `-> ${['tanh', 'sigmoid', 'elu', 'softplus', 'gelu', 'silu'][i % 6]}`) : source
    },
    middle: (
      i,
    ) => (convs.length > 2 ? widen(middle)(4 * (i + 1))
      : stages ? replaced(stages, stages[0].replace(/, \d+/, `, ${Number(stages[2]) + 4 * (i + 1)}`)) : source),
    first: (i) => (convs.length > 0 ? widen(convs[0])(4 * (i + 1)) : source),
    'insert relu': inserted((i) => `leaky_relu(0.${i})`),
    'insert dropout': inserted((i) => `dropout(0.${i})`),
    'insert batch_norm': inserted((i) => `batch_norm(eps: ${i}e-5)`),
    remove: (i) => {
      const found = at(/\s*->\s*(?:relu6?|tanh|sigmoid)\b(?![(])(?:[ \t]*as\s+[\w{}]+)?/g)
      return found.length > 0 ? replaced(found.at(-1 - (i % found.length)), '') : source
    },
  }
  return Object.fromEntries(Object.entries(wanted).filter(([, edit]) => edit(0) !== source && isSound(edit(0))))
}

/**
 * Edits of a net as somebody makes them in a page, one after the other: each is a function from the number of a turn to a text, another one
 * each turn. Those that a net has no place for are left out.
 *
 *   rate         another learning rate
 *   last         another width of the last hidden layer, or another number of classes
 *   activation   the last rectifier is another activation
 *   middle       another width of the middle convolution, or of the middle stage
 *   first        another width of the first convolution: all that reads it has another shape too
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
  }
  return Object.fromEntries(Object.entries(wanted).filter(([, edit]) => edit(0) !== source && isSound(edit(0))))
}

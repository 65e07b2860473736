import { FOOT, ROW, type Scene, type Shape, SMALL, STACK } from './scene.ts'

/*
 * Scenes as SVG: a style sheet of its own, light and dark by what the reader prefers, and a ground of its own, so that it is legible
 * wherever it stands. Colors are literal: Inkscape, librsvg and what else makes pictures or prints of SVG know no CSS variables. All
 * names begin with `net-`, since a page may hold the drawing in its text.
 */

interface Colors {
  readonly ground: string
  readonly ink: string
  readonly dim: string
  readonly line: string
  readonly box: string
  readonly block: string
  readonly result: string
  /** Colors by the family of a layer. */
  readonly families: Readonly<Record<string, string>>
  readonly kernels: readonly string[]
  /** The share of a kernel's color in its region. */
  readonly tint: string
}

const LIGHT: Colors = {
  ground: '#ffffff',
  ink: '#1c2733',
  dim: '#5c6b7a',
  line: '#9aa8b5',
  box: '#f6f8fa',
  block: '#eef2f6',
  result: '#cf3f4f',
  tint: '.22',
  families: {
    weight: '#2f6fde',
    normalize: '#8a4fd3',
    activate: '#d9730d',
    pool: '#1b8a5a',
    join: '#0d8a99',
    shape: '#7a8794',
    result: '#cf3f4f',
  },
  kernels: ['#2f6fde', '#d9730d', '#1b8a5a', '#8a4fd3', '#cf3f4f', '#0d8a99', '#a8841c', '#c0428f'],
}
const DARK: Colors = {
  ground: '#14191f',
  ink: '#e4eaf0',
  dim: '#9fadba',
  line: '#5f6e7c',
  box: '#1f262e',
  block: '#1a2027',
  result: '#f07a86',
  tint: '.34',
  families: {
    weight: '#6ea0ff',
    normalize: '#b98cf2',
    activate: '#f2a154',
    pool: '#55c48f',
    join: '#4fc3d0',
    shape: '#8d9aa7',
    result: '#f07a86',
  },
  kernels: ['#6ea0ff', '#f2a154', '#55c48f', '#b98cf2', '#f07a86', '#4fc3d0', '#d8b649', '#ec86c0'],
}

export const KERNEL_COLORS = LIGHT.kernels.length

const colored = (c: Colors): string =>
  [
    `.net-text { fill: ${c.ink} } .net-ground { fill: ${c.ground} } .net-box { fill: ${c.box}; stroke: ${c.line} } .net-block { fill: ${c.block}; stroke: ${c.line} }`,
    `.net-input, .net-edge { stroke: ${c.line} } .net-tip { fill: ${c.line} } .net-dim { fill: ${c.dim} } .net-result { fill: ${c.result} }`,
    Object.entries(c.families).map(([family, color]) => `.net-${family}-mark { fill: ${color} }`).join(' '),
    c.kernels.map((color, i) => `.net-k${i} { fill: ${color}; fill-opacity: ${c.tint} }`).join(' '),
  ].join('\n')

const STYLE = `
.net-text { font: 12px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif } .net-input, .net-edge { fill: none }
.net-input { stroke-dasharray: 4 3 } .net-edge { stroke-width: 1.4 }
.net-title { font-weight: 600 } .net-head { font-size: 15px; font-weight: 600 } .net-dim { font-size: 10.5px } .net-result { font-weight: 600 }
.net-badge { font-size: 10.5px; font-weight: 600; text-anchor: end } .net-middle { text-anchor: middle } .net-count { font-weight: 700; text-anchor: end }
${colored(LIGHT)}
@media (prefers-color-scheme: dark) {
${colored(DARK)}
}`

const MARGIN = 20
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const n = (value: number): string => String(Math.round(value * 10) / 10)

export interface Panel {
  readonly title: string
  readonly scene: Scene
}

/** Panels beside each other under the name of the net. */
export function svgOf(name: string, subtitle: string, panels: readonly Panel[]): string {
  const titled = panels.some(({ title }) => title !== '')
  const top = MARGIN + 44 + (titled ? 26 : 0)
  let x = MARGIN
  const parts: string[] = []
  for (const { title, scene } of panels) {
    if (title !== '') parts.push(`<text x="${n(x)}" y="${n(top - 16)}" class="net-text net-title">${escaped(title)}</text>`)
    parts.push(`<g transform="translate(${n(x)} ${n(top)})">\n${sceneText(scene)}\n</g>`)
    x += Math.max(scene.width + STACK, 6.6 * title.length) + 2 * MARGIN
  }
  const width = Math.max(x - MARGIN, Math.max(9.5 * name.length, SMALL * subtitle.length) + 2 * MARGIN)
  const height = top + Math.max(...panels.map(({ scene }) => scene.height)) + MARGIN + STACK
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${
    Math.ceil(width)
  } ${Math.ceil(height)}" role="img" aria-label="${escaped(`${name}: ${subtitle}`)}">
<style>${STYLE}</style>
<defs><marker id="net-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="net-tip"/></marker></defs>
<rect class="net-ground" width="100%" height="100%" rx="8"/>
<text x="${MARGIN}" y="${MARGIN + 12}" class="net-text net-head">${escaped(name)}</text>
<text x="${MARGIN}" y="${MARGIN + 30}" class="net-text net-dim">${escaped(subtitle)}</text>
${parts.join('\n')}
</svg>
`
}

function sceneText({ shapes, edges }: Scene): string {
  return [
    ...shapes.filter(({ kind }) => kind === 'block').map(shapeText),
    ...edges.map(({ path, arrow }) => `<path class="net-edge" d="${path}"${arrow ? ' marker-end="url(#net-tip)"' : ''}/>`),
    ...shapes.filter(({ kind }) => kind !== 'block').map(shapeText),
  ].join('\n')
}

function shapeText(shape: Shape): string {
  const { kind, x, y, width, height, count } = shape
  const rect = (dx: number): string =>
    `<rect class="net-${kind}" x="${n(x + dx)}" y="${n(y + dx)}" width="${n(width)}" height="${n(height)}" rx="${
      kind === 'input' ? 13 : 6
    }"/>`
  const sheets = count > 1 ? rect(STACK) : ''
  const text = kind === 'input' ? inputText(shape) : kind === 'block' ? blockText(shape) : boxText(shape)
  return `${sheets}${rect(0)}${text}`
}

const inputText = ({ x, y, width, title, note }: Shape): string =>
  `<text x="${n(x + width / 2)}" y="${n(y + 17)}" class="net-text net-middle"><tspan class="net-title">${
    escaped(title)
  }</tspan>  <tspan class="net-dim">${escaped(note)}</tspan></text>`

function blockText({ x, y, width, height, title, note, count, foot, results }: Shape): string {
  return `<text x="${n(x + 10)}" y="${n(y + 16)}" class="net-text"><tspan class="net-title">${
    escaped(title)
  }</tspan>  <tspan class="net-dim">${escaped(note)}</tspan></text>${countText(x + width - 9, y + 16, count)}${
    results.map((text, i) =>
      `<text x="${n(x + width / 2)}" y="${
        n(y + height - 8 - FOOT - ROW * (results.length - 1 - i))
      }" class="net-text net-result net-middle">${escaped(text)}</text>`
    ).join('')
  }<text x="${n(x + width / 2)}" y="${n(y + height - 7)}" class="net-text net-dim net-middle">${escaped(foot)}</text>`
}

const countText = (
  x: number,
  y: number,
  count: number,
): string => (count > 1 ? `<text x="${n(x)}" y="${n(y)}" class="net-text net-count">× ${count}</text>` : '')

function boxText({ x, y, width, rows, foot, results, count }: Shape): string {
  const right = x + width - (count > 1 ? 34 : 6)
  const parts = rows.map((row, i) => {
    const top = y + 3 + ROW * i
    const first = row.kernels[0]
    const same = first !== undefined && rows[i + 1]?.kernels[0] === first
    const region = first === undefined ? ''
      : `<rect x="${n(x + 3)}" y="${n(top + (rows[i - 1]?.kernels[0] === first ? 0 : 1))}" width="${n(right - x - 1)}" height="${
        n(ROW - (rows[i - 1]?.kernels[0] === first ? 0 : 1) - (same ? 0 : 1))
      }" class="net-k${first % KERNEL_COLORS}"/>`
    const badge = row.kernels.length === 0 ? ''
      : `<text x="${n(right - 4)}" y="${n(top + 13.5)}" class="net-text net-badge">${row.kernels.map((k) => k + 1).join(' ')}</text>`
    return `${region}<rect x="${n(x + 3)}" y="${n(top + 2)}" width="4" height="${
      ROW - 4
    }" rx="2" class="net-${row.family}-mark"/><text x="${n(x + 14)}" y="${n(top + 13.5)}" class="net-text">${
      escaped(row.text)
    }</text>${badge}`
  })
  const below = y + 3 + ROW * rows.length
  return `${parts.join('')}${
    results.map((text, i) => `<text x="${n(x + 14)}" y="${n(below + 13.5 + ROW * i)}" class="net-text net-result">${escaped(text)}</text>`)
      .join('')
  }${foot ? `<text x="${n(x + 14)}" y="${n(below + ROW * results.length + 12)}" class="net-text net-dim">${escaped(foot)}</text>` : ''}${
    countText(x + width - 8, y + 3 + (ROW * rows.length) / 2 + 4, count)
  }`
}

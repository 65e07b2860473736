import { FOOT, HEAD, ROW, type Scene, type Shape, STACK } from './scene.ts'

/*
 * Scenes as SVG: a style sheet of its own, light and dark by what the reader prefers, and a ground of its own, so that it is legible
 * wherever it stands.
 */

const STYLE = `
svg { --ground: #ffffff; --ink: #1c2733; --dim: #5c6b7a; --line: #9aa8b5; --box: #f6f8fa; --block: #eef2f6; --weight: #2f6fde; --normalize: #8a4fd3; --activate: #d9730d; --pool: #1b8a5a; --join: #0d8a99; --shape: #7a8794; --result: #cf3f4f; --k: .22;
  --k0: #2f6fde; --k1: #d9730d; --k2: #1b8a5a; --k3: #8a4fd3; --k4: #cf3f4f; --k5: #0d8a99; --k6: #a8841c; --k7: #c0428f }
@media (prefers-color-scheme: dark) { svg { --ground: #14191f; --ink: #e4eaf0; --dim: #9fadba; --line: #5f6e7c; --box: #1f262e; --block: #1a2027; --weight: #6ea0ff; --normalize: #b98cf2; --activate: #f2a154; --pool: #55c48f; --join: #4fc3d0; --shape: #8d9aa7; --result: #f07a86; --k: .34;
  --k0: #6ea0ff; --k1: #f2a154; --k2: #55c48f; --k3: #b98cf2; --k4: #f07a86; --k5: #4fc3d0; --k6: #d8b649; --k7: #ec86c0 } }
text { font: 12px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--ink) }
.ground { fill: var(--ground) } .box { fill: var(--box); stroke: var(--line) } .block { fill: var(--block); stroke: var(--line) } .input { fill: none; stroke: var(--line); stroke-dasharray: 4 3 }
.edge { fill: none; stroke: var(--line); stroke-width: 1.4 } .tip { fill: var(--line) }
.title { font-weight: 600 } .head { font-size: 15px; font-weight: 600 } .dim { fill: var(--dim); font-size: 10.5px } .result { fill: var(--result); font-weight: 600 } .badge { font-size: 10.5px; font-weight: 600; text-anchor: end }
.end { text-anchor: end } .middle { text-anchor: middle } .count { font-weight: 700; text-anchor: end }`

const MARGIN = 20
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const n = (value: number): string => String(Math.round(value * 10) / 10)

export const KERNEL_COLORS = 8

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
    if (title !== '') parts.push(`<text x="${n(x)}" y="${n(top - 16)}" class="title">${escaped(title)}</text>`)
    parts.push(`<g transform="translate(${n(x)} ${n(top)})">\n${sceneText(scene)}\n</g>`)
    x += Math.max(scene.width + STACK, 6.6 * title.length) + 2 * MARGIN
  }
  const width = Math.max(x - MARGIN, 7.5 * Math.max(name.length, subtitle.length) + 2 * MARGIN)
  const height = top + Math.max(...panels.map(({ scene }) => scene.height)) + MARGIN + STACK
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" role="img" aria-label="${escaped(`${name}: ${subtitle}`)}">
<style>${STYLE}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>
<rect class="ground" width="100%" height="100%" rx="8"/>
<text x="${MARGIN}" y="${MARGIN + 12}" class="head">${escaped(name)}</text>
<text x="${MARGIN}" y="${MARGIN + 30}" class="dim">${escaped(subtitle)}</text>
${parts.join('\n')}
</svg>
`
}

function sceneText({ shapes, edges }: Scene): string {
  return [
    ...shapes.filter(({ kind }) => kind === 'block').map(shapeText),
    ...edges.map(({ path, arrow }) => `<path class="edge" d="${path}"${arrow ? ' marker-end="url(#tip)"' : ''}/>`),
    ...shapes.filter(({ kind }) => kind !== 'block').map(shapeText),
  ].join('\n')
}

function shapeText(shape: Shape): string {
  const { kind, x, y, width, height, count } = shape
  const rect = (dx: number): string => `<rect class="${kind}" x="${n(x + dx)}" y="${n(y + dx)}" width="${n(width)}" height="${n(height)}" rx="${kind === 'input' ? 13 : 6}"/>`
  const sheets = count > 1 ? rect(STACK) : ''
  const text = kind === 'input' ? inputText(shape) : kind === 'block' ? blockText(shape) : boxText(shape)
  return `${sheets}${rect(0)}${text}`
}

const inputText = ({ x, y, width, title, note }: Shape): string => `<text x="${n(x + width / 2)}" y="${n(y + 17)}" class="middle"><tspan class="title">${escaped(title)}</tspan>  <tspan class="dim">${escaped(note)}</tspan></text>`

function blockText({ x, y, width, height, title, note, count, foot, results }: Shape): string {
  return `<text x="${n(x + 10)}" y="${n(y + 16)}"><tspan class="title">${escaped(title)}</tspan>  <tspan class="dim">${escaped(note)}</tspan></text>${countText(x + width - 9, y + 16, count)}${
    results.map((text, i) => `<text x="${n(x + width / 2)}" y="${n(y + height - 8 - FOOT - ROW * (results.length - 1 - i))}" class="result middle">${escaped(text)}</text>`).join('')}<text x="${n(x + width / 2)}" y="${n(y + height - 7)}" class="dim middle">${escaped(foot)}</text>`
}

const countText = (x: number, y: number, count: number): string => (count > 1 ? `<text x="${n(x)}" y="${n(y)}" class="count">× ${count}</text>` : '')

function boxText({ x, y, width, rows, foot, results, count }: Shape): string {
  const right = x + width - (count > 1 ? 34 : 6)
  const parts = rows.map((row, i) => {
    const top = y + 3 + ROW * i
    const first = row.kernels[0]
    const same = first !== undefined && rows[i + 1]?.kernels[0] === first
    const region = first === undefined ? '' : `<rect x="${n(x + 3)}" y="${n(top + (rows[i - 1]?.kernels[0] === first ? 0 : 1))}" width="${n(right - x - 1)}" height="${n(ROW - (rows[i - 1]?.kernels[0] === first ? 0 : 1) - (same ? 0 : 1))}" style="fill:var(--k${first % KERNEL_COLORS});fill-opacity:var(--k)"/>`
    const badge = row.kernels.length === 0 ? '' : `<text x="${n(right - 4)}" y="${n(top + 13.5)}" class="badge">${row.kernels.map((k) => k + 1).join(' ')}</text>`
    return `${region}<rect x="${n(x + 3)}" y="${n(top + 2)}" width="4" height="${ROW - 4}" rx="2" style="fill:var(--${row.family})"/><text x="${n(x + 14)}" y="${n(top + 13.5)}">${escaped(row.text)}</text>${badge}`
  })
  const below = y + 3 + ROW * rows.length
  return `${parts.join('')}${results.map((text, i) => `<text x="${n(x + 14)}" y="${n(below + 13.5 + ROW * i)}" class="result">${escaped(text)}</text>`).join('')}${
    foot ? `<text x="${n(x + 14)}" y="${n(below + ROW * results.length + 12)}" class="dim">${escaped(foot)}</text>` : ''}${countText(x + width - 8, y + 3 + (ROW * rows.length) / 2 + 4, count)}`
}

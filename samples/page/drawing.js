// Pictures as MNIST has its digits: 28 x 28 numbers, 0 (paper) to 1 (ink), what is drawn 20 across, its centre of mass in the middle.
export const SIDE = 28
const PIXELS = SIDE * SIDE
const ACROSS = 20
/** Half the width of a pen, in pixels of a picture: as thick as MNIST's digits, however large somebody draws. */
const PEN = 1.1
/** What is smaller than this share of the sheet is drawn small: a dot does not become a disc. */
const SMALLEST = 0.15

/** The picture of strokes, lists of { x, y } in shares of the sheet's width; undefined where there are none. */
export function pictureOfStrokes(strokes) {
  const points = strokes.flat()
  if (points.length === 0) return undefined
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)]
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const scale = (ACROSS - 2 * PEN) / Math.max(right - left, bottom - top, SMALLEST)
  const centre = { x: (left + right) / 2, y: (top + bottom) / 2 }
  const mass = massOf(traced(strokes, centre, scale), SIDE)
  return traced(strokes, { x: centre.x + (mass.x - SIDE / 2) / scale, y: centre.y + (mass.y - SIDE / 2) / scale }, scale)
}

/** Ink by its distance from the nearest stroke, with an edge one pixel wide. */
function traced(strokes, centre, scale) {
  const picture = new Float32Array(PIXELS)
  const place = ({ x, y }) => ({ x: (x - centre.x) * scale + SIDE / 2, y: (y - centre.y) * scale + SIDE / 2 })
  const within = (v) => Math.min(Math.max(Math.floor(v), 0), SIDE)
  for (const stroke of strokes) {
    const placed = stroke.map(place)
    for (let i = 0; i < Math.max(placed.length - 1, 1); i++) {
      const [a, b] = [placed[i], placed[i + 1] ?? placed[i]]
      const [dx, dy] = [b.x - a.x, b.y - a.y]
      const length2 = dx * dx + dy * dy
      const [v0, v1] = [within(Math.min(a.y, b.y) - PEN - 1), within(Math.max(a.y, b.y) + PEN + 2)]
      const [u0, u1] = [within(Math.min(a.x, b.x) - PEN - 1), within(Math.max(a.x, b.x) + PEN + 2)]
      for (let v = v0; v < v1; v++) {
        for (let u = u0; u < u1; u++) {
          const [px, py] = [u + 0.5 - a.x, v + 0.5 - a.y]
          const along = length2 > 0 ? Math.min(Math.max((px * dx + py * dy) / length2, 0), 1) : 0
          const ink = PEN + 0.5 - Math.hypot(px - along * dx, py - along * dy)
          if (ink > picture[v * SIDE + u]) picture[v * SIDE + u] = Math.min(ink, 1)
        }
      }
    }
  }
  return picture
}

/**
 * The picture of a photograph, `side` x `side` numbers, 0 (black) to 1 (white): what differs from the paper, which is what its border
 * shows mostly. Dark on light or light on dark: either is ink. Undefined where there is nothing but paper.
 */
export function pictureOfPhoto(photo, side) {
  const border = []
  for (let i = 0; i < side; i++) border.push(photo[i], photo[(side - 1) * side + i], photo[i * side], photo[i * side + side - 1])
  const paper = border.sort((a, b) => a - b)[border.length >> 1]
  const differences = photo.map((v) => Math.abs(v - paper))
  // The hundredth strongest pixel of ten thousand is ink; noise and shades of the paper are a third of it.
  const strongest = differences.slice().sort()[Math.floor(0.99 * differences.length)]
  if (strongest < 0.12) return undefined
  const ink = differences.map((v) => Math.min(Math.max((v / strongest - 0.35) / 0.4, 0), 1))
  return centred(ink, side)
}

/** A part of a larger picture, brought to its size and into the middle. Each pixel is the mean over the square that it stands for. */
function centred(ink, side) {
  const mass = massOf(ink, side)
  let [left, right, top, bottom] = [side, 0, side, 0]
  for (let i = 0; i < ink.length; i++) {
    if (ink[i] < 0.5) continue
    const [x, y] = [i % side, Math.floor(i / side)]
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
  }
  if (right <= left) return undefined
  const size = Math.max(right - left, bottom - top, SMALLEST * side) / ACROSS
  const corner = (middle, i) => Math.round(middle + (i - SIDE / 2) * size)
  return Float32Array.from({ length: PIXELS }, (_, i) => {
    const [u, v] = [i % SIDE, Math.floor(i / SIDE)]
    const [x0, y0] = [corner(mass.x, u), corner(mass.y, v)]
    const [x1, y1] = [Math.max(corner(mass.x, u + 1), x0 + 1), Math.max(corner(mass.y, v + 1), y0 + 1)]
    let sum = 0
    for (let y = Math.max(y0, 0); y < Math.min(y1, side); y++)
      for (let x = Math.max(x0, 0); x < Math.min(x1, side); x++) sum += ink[y * side + x]
    return sum / ((x1 - x0) * (y1 - y0))
  })
}

function massOf(picture, side) {
  let [sum, x, y] = [0, 0, 0]
  for (let i = 0; i < picture.length; i++) {
    sum += picture[i]
    x += picture[i] * (i % side + 0.5)
    y += picture[i] * (Math.floor(i / side) + 0.5)
  }
  return sum > 0 ? { x: x / sum, y: y / sum } : { x: side / 2, y: side / 2 }
}

/** The picture as another hand might draw it: a little turned, stretched, slanted and moved. `random` gives numbers in 0..1. */
export function varied(picture, random) {
  const about0 = (most) => most * (random() + random() - 1)
  const [turn, wide, high, slant] = [about0(0.22), 1 + about0(0.16), 1 + about0(0.16), about0(0.16)]
  const [right, down] = [about0(1.6), about0(1.6)]
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
  const at = (x, y) => (x < 0 || y < 0 || x >= SIDE || y >= SIDE ? 0 : picture[y * SIDE + x])
  const middle = (SIDE - 1) / 2
  return Float32Array.from({ length: PIXELS }, (_, i) => {
    const [x, y] = [i % SIDE - middle - right, Math.floor(i / SIDE) - middle - down]
    const [u, v] = [wide * (cos * x - sin * y) + slant * y + middle, high * (sin * x + cos * y) + middle]
    const [left, top] = [Math.floor(u), Math.floor(v)]
    const [p, q] = [u - left, v - top]
    return (1 - q) * ((1 - p) * at(left, top) + p * at(left + 1, top)) + q * ((1 - p) * at(left, top + 1) + p * at(left + 1, top + 1))
  })
}

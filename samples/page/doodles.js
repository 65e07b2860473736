// Drawings that are no digits: what somebody may draw of all there is. The net learns from them what "something else" looks like, and a
// class of the visitor's own then grows out of that, not out of the digits.
import { pictureOfStrokes } from './drawing.js'

/** Numbers in 0..1, the same for the same seed: Numerical Recipes' linear congruential generator. */
export function randomOf(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** A doodle of two to five parts: lines, zigzags, polygons, stars, arcs, curls. */
export function doodle(random) {
  const parts = [polygon, star, zigzag, curl, flower, scribble, cross, framed, face]
  const first = parts[Math.floor(random() * parts.length)]
  const strokes = first(random)
  for (let more = Math.floor(random() * 3); more > 0; more--) strokes.push(...extras[Math.floor(random() * extras.length)](random))
  return pictureOfStrokes(byHand(strokes, random))
}

const TURN = 2 * Math.PI
const between = (random, low, high) => low + random() * (high - low)
const point = (random) => ({ x: random(), y: random() })
const ring = (x, y, across, high, from = 0, to = TURN, count = 20) =>
  Array.from({ length: count + 1 }, (_, i) => {
    const angle = from + (to - from) * i / count
    return { x: x + across * Math.cos(angle), y: y + high * Math.sin(angle) }
  })

function polygon(random) {
  const corners = 3 + Math.floor(random() * 4)
  const start = random() * TURN
  const points = Array.from({ length: corners }, (_, i) => {
    const [angle, far] = [start + TURN * (i + between(random, -0.25, 0.25)) / corners, between(random, 0.35, 0.5)]
    return { x: 0.5 + far * Math.cos(angle), y: 0.5 + far * Math.sin(angle) }
  })
  return [[...points, points[0]]]
}

function star(random) {
  const [tips, start, inner] = [4 + Math.floor(random() * 4), random() * TURN, between(random, 0.12, 0.3)]
  const points = Array.from({ length: 2 * tips }, (_, i) => {
    const far = i % 2 ? inner : 0.5
    return { x: 0.5 + far * Math.cos(start + Math.PI * i / tips), y: 0.5 + far * Math.sin(start + Math.PI * i / tips) }
  })
  return [[...points, points[0]]]
}

function zigzag(random) {
  const count = 4 + Math.floor(random() * 4)
  const upright = random() < 0.5
  return [Array.from({ length: count }, (_, i) => {
    const [along, aside] = [i / (count - 1), i % 2 ? between(random, 0.6, 1) : between(random, 0, 0.4)]
    return upright ? { x: aside, y: along } : { x: along, y: aside }
  })]
}

function curl(random) {
  const [turns, start, way] = [between(random, 1.6, 3.2), random() * TURN, random() < 0.5 ? 1 : -1]
  return [Array.from({ length: 48 }, (_, i) => {
    const [angle, far] = [start + way * turns * TURN * i / 47, 0.05 + 0.45 * i / 47]
    return { x: 0.5 + far * Math.cos(angle), y: 0.5 + far * Math.sin(angle) }
  })]
}

function flower(random) {
  const [petals, start, deep] = [3 + Math.floor(random() * 4), random() * TURN, between(random, 0.08, 0.2)]
  return [Array.from({ length: 61 }, (_, i) => {
    const angle = TURN * i / 60
    const far = 0.36 + deep * Math.cos(petals * angle)
    return { x: 0.5 + far * Math.cos(angle + start), y: 0.5 + far * Math.sin(angle + start) }
  })]
}

function scribble(random) {
  const points = Array.from({ length: 5 + Math.floor(random() * 4) }, () => point(random))
  return [smooth(points)]
}

function cross(random) {
  const lines = 2 + Math.floor(random() * 3)
  const start = random() * TURN
  return Array.from({ length: lines }, (_, i) => {
    const angle = start + Math.PI * i / lines + between(random, -0.15, 0.15)
    return [{ x: 0.5 - 0.5 * Math.cos(angle), y: 0.5 - 0.5 * Math.sin(angle) }, {
      x: 0.5 + 0.5 * Math.cos(angle),
      y: 0.5 + 0.5 * Math.sin(angle),
    }]
  })
}

const framed = (random) => [...polygon(random), ...dot(random), ...line(random)]
const face = (
  random,
) => [ring(0.5, 0.5, 0.5, 0.5), ...dot(random), ...dot(random), ring(0.5, between(random, 0.45, 0.8), 0.22, 0.15, 0.3, Math.PI - 0.3, 8)]

const line = (random) => [[point(random), point(random)]]
const dot = (random) => [ring(between(random, 0.2, 0.8), between(random, 0.2, 0.8), 0.03, 0.03, 0, TURN, 6)]
const arc = (random) => {
  const from = random() * TURN
  return [ring(random(), random(), between(random, 0.15, 0.4), between(random, 0.15, 0.4), from, from + between(random, 1.5, 5), 14)]
}
const hoop = (random) => [ring(random(), random(), between(random, 0.1, 0.25), between(random, 0.1, 0.25))]
const extras = [line, dot, arc, hoop, polygon]

/** A curve through points (Catmull and Rom's). */
function smooth(points) {
  return points.slice(0, -1).flatMap((b, i) => {
    const [a, c, d] = [points[i - 1] ?? b, points[i + 1], points[i + 2] ?? points[i + 1]]
    return Array.from({ length: 8 }, (_, k) => {
      const t = k / 8
      const on = (p, q, r, s) => 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t ** 3)
      return { x: on(a.x, b.x, c.x, d.x), y: on(a.y, b.y, c.y, d.y) }
    })
  })
}

/** Turned, stretched and not quite straight. */
function byHand(strokes, random) {
  const [turn, wide, high, slant] = [
    between(random, -0.5, 0.5),
    between(random, 0.6, 1),
    between(random, 0.6, 1),
    between(random, -0.2, 0.2),
  ]
  const waves = Array.from(
    { length: 3 },
    () => [between(random, -0.03, 0.03), between(random, -0.03, 0.03), random() * TURN, between(random, 2, 9)],
  )
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
  return strokes.map((stroke) =>
    dense(stroke).map((at) => {
      let { x, y } = at
      for (const [a, b, phase, often] of waves) [x, y] = [x + a * Math.sin(often * y + phase), y + b * Math.sin(often * x + phase)]
      return { x: wide * (cos * (x - 0.5) - sin * (y - 0.5)) + slant * (y - 0.5), y: high * (sin * (x - 0.5) + cos * (y - 0.5)) }
    })
  )
}

const dense = (stroke) =>
  stroke.flatMap((a, i) => {
    const b = stroke[i + 1]
    if (!b) return [a]
    const count = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / 0.1))
    return Array.from({ length: count }, (_, k) => ({ x: a.x + (b.x - a.x) * k / count, y: a.y + (b.y - a.y) * k / count }))
  })

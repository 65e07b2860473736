// A sheet to draw on with finger, pen, mouse or keyboard. It keeps strokes, so that they are drawn as sharp as the screen is.
import { pictureOfStrokes } from './drawing.js'

/** Of the sheet's width. */
const PEN = 0.055
/** How far an arrow key moves the pen; with Shift a third of it. */
const STEP = 0.06

export class Sheet {
  #canvas
  #strokes = []
  #pointer
  /** Where the keyboard's pen is, and whether it is down. Undefined until a key is used. */
  #pen
  /** Whether the next stroke begins on an empty sheet. */
  #done = false
  #changed
  #said

  /** `changed(isWhole)` is called while somebody draws, and with true at the end of a stroke; `said` gets what the keyboard's pen does, in words. */
  constructor(canvas, { changed, said = () => {} }) {
    this.#canvas = canvas
    this.#changed = changed
    this.#said = said
    canvas.addEventListener('pointerdown', (event) => this.#down(event))
    canvas.addEventListener('pointermove', (event) => this.#move(event))
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, (event) => this.#up(event))
    canvas.addEventListener('keydown', (event) => this.#key(event))
    for (const focus of ['focus', 'blur']) canvas.addEventListener(focus, () => this.#paint())
    new ResizeObserver(() => this.#paint()).observe(canvas)
  }

  get isEmpty() {
    return this.#strokes.length === 0
  }

  clear() {
    this.#strokes = []
    this.#done = false
    this.#pointer = undefined
    if (this.#pen) this.#pen.isDown = false
    this.#paint()
    this.#changed(true)
  }

  /** What is drawn stays to be seen, and the next stroke begins a new drawing. */
  finish() {
    this.#done = true
  }

  /** 784 numbers, 0 (paper) to 1 (ink); undefined where nothing is drawn. */
  picture() {
    return pictureOfStrokes(this.#strokes)
  }

  #begin(at) {
    if (this.#done) this.#strokes = []
    this.#done = false
    this.#strokes.push([at])
  }

  #down(event) {
    // One finger draws; the second does not tear the line.
    if (event.button !== 0 || this.#pointer !== undefined) return
    event.preventDefault()
    this.#canvas.focus({ preventScroll: true })
    this.#canvas.setPointerCapture(event.pointerId)
    this.#pointer = event.pointerId
    this.#pen = undefined
    this.#begin(this.#at(event))
    this.#paint()
    this.#changed(false)
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return
    const parts = event.getCoalescedEvents?.() ?? []
    for (const part of parts.length > 0 ? parts : [event]) this.#to(this.#at(part))
    this.#paint()
    this.#changed(false)
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return
    this.#pointer = undefined
    this.#changed(true)
  }

  #at(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect()
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height }
  }

  /** Points that hardly differ cost time and say nothing. */
  #to(at) {
    const stroke = this.#strokes.at(-1)
    const last = stroke.at(-1)
    if (Math.hypot(at.x - last.x, at.y - last.y) > 0.004) stroke.push(at)
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (!way && !/^( |Enter|Backspace|Delete)$/.test(event.key)) return
    event.preventDefault()
    if (event.key === 'Delete') {
      this.clear()
      return this.#said('The sheet is empty')
    }
    if (event.key === 'Backspace') {
      this.#strokes.pop()
      if (this.#pen) this.#pen.isDown = false
      this.#said('The last stroke is gone')
    } else {
      const pen = this.#pen ??= { x: 0.5, y: 0.5, isDown: false }
      if (way) {
        const step = event.shiftKey ? STEP / 3 : STEP
        pen.x = Math.min(Math.max(pen.x + way[0] * step, 0.02), 0.98)
        pen.y = Math.min(Math.max(pen.y + way[1] * step, 0.02), 0.98)
        if (pen.isDown) this.#to({ x: pen.x, y: pen.y })
      } else {
        pen.isDown = !pen.isDown
        if (pen.isDown) this.#begin({ x: pen.x, y: pen.y })
        this.#said(
          `Pen ${pen.isDown ? 'down' : 'up'}, ${Math.round(100 * pen.x)} % from the left, ${Math.round(100 * pen.y)} % from the top`,
        )
      }
    }
    this.#paint()
    this.#changed(!this.#pen?.isDown)
  }

  #paint() {
    const size = Math.round(this.#canvas.clientWidth * Math.min(devicePixelRatio, 3))
    if (size === 0) return
    if (this.#canvas.width !== size || this.#canvas.height !== size) this.#canvas.width = this.#canvas.height = size
    const context = this.#canvas.getContext('2d')
    context.clearRect(0, 0, size, size)
    context.lineCap = context.lineJoin = 'round'
    context.lineWidth = PEN * size
    context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue('--stroke')
    for (const [first, ...others] of this.#strokes) {
      context.beginPath()
      context.moveTo(first.x * size, first.y * size)
      for (const { x, y } of others.length > 0 ? others : [first]) context.lineTo(x * size, y * size)
      context.stroke()
    }
    if (!this.#pen || document.activeElement !== this.#canvas) return
    // A ring where the keyboard's pen is, filled while it is down.
    context.beginPath()
    context.arc(this.#pen.x * size, this.#pen.y * size, 0.03 * size, 0, 7)
    context.lineWidth = 0.008 * size
    context.strokeStyle = context.fillStyle = '#2a6a59'
    if (this.#pen.isDown) context.fill()
    context.stroke()
  }
}

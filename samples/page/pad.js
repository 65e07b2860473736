// A sheet to draw on, and what is on it as MNIST has its digits: 28 x 28, at most 20 across, the centre of mass in the middle.
const PEN = 0.075 // of the sheet's width

export class Pad {
  #canvas
  #context
  #last

  /** `changed` is called after each stroke. */
  constructor(canvas, changed) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d', { willReadFrequently: true })
    const context = this.#context
    context.lineCap = context.lineJoin = 'round'
    context.lineWidth = PEN * canvas.width
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      event.preventDefault()
      canvas.setPointerCapture(event.pointerId)
      this.#last = this.#at(event)
      this.#line(this.#last)
      changed()
    })
    canvas.addEventListener('pointermove', (event) => {
      if (!this.#last) return
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.#line(this.#at(part))
      changed()
    })
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { this.#last = undefined })
  }

  clear() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height)
  }

  #at(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect()
    return { x: (event.clientX - left) / width * this.#canvas.width, y: (event.clientY - top) / height * this.#canvas.height }
  }

  #line(to) {
    const context = this.#context
    context.beginPath()
    context.moveTo(this.#last.x, this.#last.y)
    context.lineTo(to.x, to.y)
    context.stroke()
    this.#last = to
  }

  /** 784 numbers, 0 (paper) to 1 (ink); undefined where nothing is drawn. */
  picture() {
    const { width, height } = this.#canvas
    const { data } = this.#context.getImageData(0, 0, width, height)
    const ink = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[4 * (y * width + x) + 3] / 255)
    let [left, top, right, bottom, sum, sumX, sumY] = [width, height, 0, 0, 0, 0, 0]
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const v = ink(x, y)
        sum += v
        sumX += v * (x + 0.5)
        sumY += v * (y + 0.5)
        if (v < 0.1) continue
        left = Math.min(left, x)
        right = Math.max(right, x + 1)
        top = Math.min(top, y)
        bottom = Math.max(bottom, y + 1)
      }
    }
    if (right <= left) return undefined
    // Each pixel is the mean over the square that it stands for.
    const size = Math.max(right - left, bottom - top) / 20
    const corner = (centre, i) => Math.round(centre + (i - 14) * size)
    return Float32Array.from({ length: 28 * 28 }, (_, i) => {
      const [u, v] = [i % 28, Math.floor(i / 28)]
      const [x0, x1, y0, y1] = [corner(sumX / sum, u), corner(sumX / sum, u + 1), corner(sumY / sum, v), corner(sumY / sum, v + 1)]
      let total = 0
      for (let y = y0; y < Math.max(y1, y0 + 1); y++) for (let x = x0; x < Math.max(x1, x0 + 1); x++) total += ink(x, y)
      return total / (Math.max(x1 - x0, 1) * Math.max(y1 - y0, 1))
    })
  }
}

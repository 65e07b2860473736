// What the net answers, as people read it: the best in large letters, all of them as bars, and in words for who does not see.
import { SIDE } from './drawing.js'

export const percent = (p) => `${(100 * p).toFixed(p > 0.0995 && p < 0.9995 ? 0 : 1)} %`

export class Answers {
  #rows = new Map()
  #spoken
  constructor(element) {
    this.element = element
  }

  /** A row a class. */
  set classes(classes) {
    const { element } = this
    this.names = new Map(classes.map(({ label, name }) => [label, name]))
    this.#rows = new Map(classes.map(({ label, name }) => {
      const row = Object.assign(document.createElement('li'), {
        innerHTML: '<b></b><span class="track"><span class="bar"></span></span><output></output>',
      })
      row.firstChild.textContent = name
      row.firstChild.title = name
      row.classList.toggle('long', label > 9)
      return [label, row]
    }))
    element('bars').replaceChildren(...this.#rows.values())
  }

  /** `given`: the probability of each label; undefined where nothing is drawn. Gives the label of the best. */
  show(given, picture, hint) {
    const { element } = this
    // What has learned too fast answers with NaN, of which none is the largest.
    const found = given && [...given.values()].some(Number.isNaN) ? undefined : given
    const best = found && [...found].reduce((a, b) => (b[1] > a[1] ? b : a))[0]
    const name = best === undefined ? '?' : this.names.get(best)
    element('answer').textContent = name
    element('answer').classList.toggle('long', name.length > 4)
    element('certainty').textContent = found ? `${percent(found.get(best))} sure`
      : given ? 'its answers are no numbers (NaN): start over, or undo' : hint
    for (const [label, row] of this.#rows) {
      const p = found?.get(label) ?? 0
      row.classList.toggle('best', label === best)
      row.querySelector('.bar').style.transform = `scaleX(${p})`
      row.querySelector('output').textContent = found ? percent(p) : ''
    }
    paint(element('seen'), picture)
    return best
  }

  /** Tells a screen reader, once a drawing rests. */
  speak() {
    const { element } = this
    const text = `${element('answer').textContent}, ${element('certainty').textContent}`
    clearTimeout(this.#spoken)
    this.#spoken = setTimeout(() => {
      element('spoken').textContent = text
    }, 600)
  }
}

/** A picture of 28 x 28 numbers on a canvas of that size. */
export function paint(canvas, picture) {
  const pixels = new ImageData(SIDE, SIDE)
  for (let i = 0; i < SIDE * SIDE; i++) pixels.data.set([255, 255, 255, Math.round(255 * (picture?.[i] ?? 0))], 4 * i)
  canvas.getContext('2d').putImageData(pixels, 0, 0)
}

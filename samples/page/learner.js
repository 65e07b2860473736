// A net that learns from single pictures and unlearns nothing by it. Three things keep what it knows:
// - normalization by the stored statistics (`stats: 'global'`): those of one picture, or fifty, say nothing of all others;
// - each step mixes the new picture with examples of all ten digits: a few dozen that come with the page, and what was drawn before;
// - pictures that are never trained on watch over it: where the net gets worse on them, only a part of what it learned is kept.
import { open } from './runtime.js'

const CLASSES = 10
const PIXELS = 28 * 28
/** Pictures at a time: a step's mixture. */
const BATCH = 50
/** Times that the new picture stands in a mixture, and in how many of the others a drawing of the user's takes the place of a given one. */
const COPIES = 2
const DRAWINGS = 1 / 8
/** Steps that one picture may take, how large they are, and the probability at which it counts as learned. */
const STEPS = 10
const RATE = 0.002
const LEARNED = 0.5
/** From here on there is nothing to learn: the picture is kept as an example, and the net stays as it is. */
const KNOWN = 0.9
/** Drawings that are kept of each digit. */
const KEPT = 5
/** By how much the loss over the watching pictures may exceed what it was when the page was opened. */
const TOLERANCE = 0.02

export class Learner {
  /** Where examples are drawn from: the same clicks give the same net. */
  #random = 1
  #net
  #examples
  #watching
  #start
  #allowed = Infinity
  #drawings = Array.from({ length: CLASSES }, () => [])
  #undo

  /** Opens the bundle and the examples below a URL. `options`: those of `open`. */
  static async open(base, options = {}) {
    const [net, pictures] = await Promise.all([
      open(new URL('mnist/', base), { ...options, batch: BATCH, programs: ['infer', 'step/global'] }),
      loadExamples(new URL('examples.png', base)),
    ])
    const learner = new Learner()
    learner.#net = net
    learner.#start = await net.snapshot()
    // The first half of each digit's row is trained with, the other half watches.
    learner.#examples = pictures.map((row) => row.slice(0, row.length / 2))
    learner.#watching = pictures.flatMap((row, digit) => row.slice(row.length / 2).map((image) => ({ image, digit })))
    learner.#allowed = await learner.#loss() * (1 + TOLERANCE)
    return learner
  }

  /** Where it runs, in words. */
  get device() { return this.#net.device.description }
  get notes() { return this.#net.notes }
  get canUndo() { return this.#undo !== undefined }

  /** Ten probabilities for each picture, a Float32Array of 784 numbers, 0 (paper) to 1 (ink). */
  async predict(images) {
    const batches = []
    for (let from = 0; from < images.length; from += BATCH) {
      const image = new Float32Array(BATCH * PIXELS)
      images.slice(from, from + BATCH).forEach((one, i) => image.set(one, i * PIXELS))
      batches.push(this.#net.run({ image }))
    }
    const found = (await Promise.all(batches)).map(({ prob }) => prob)
    return images.map((_, i) => found[Math.floor(i / BATCH)].subarray((i % BATCH) * CLASSES, (i % BATCH + 1) * CLASSES))
  }

  /**
   * Learns that a picture is a digit. Gives the probability of that before and after, and which share of what was learned could be kept
   * (1: all) without getting worse at other pictures.
   */
  async learn(picture, digit) {
    const [{ [digit]: before }] = await this.predict([picture])
    const old = await this.#net.parameters()
    const drawings = this.#drawings.map((row) => row.filter((other) => !isSame(other, picture)))
    for (let step = 0; step < STEPS && before < KNOWN; step++) {
      await this.#net.step(this.#mixture(picture, digit, drawings), { stats: 'global', rate: RATE })
      // Lets the page draw.
      await new Promise((done) => setTimeout(done))
      if ((await this.predict([picture]))[0][digit] > LEARNED) break
    }
    const share = before < KNOWN ? await this.#keep(old, await this.#net.parameters()) : 1
    this.#undo = { parameters: old, drawings: this.#drawings }
    // What contradicts all that is known is more likely a slip than a lesson: it is not rehearsed.
    if (share >= 0.5) drawings[digit] = [...drawings[digit], picture].slice(-KEPT)
    this.#drawings = drawings
    const [{ [digit]: after }] = await this.predict([picture])
    return { before, after, share }
  }

  /** Takes the last lesson back. */
  async undo() {
    if (!this.#undo) return
    await this.#set(this.#undo.parameters)
    this.#drawings = this.#undo.drawings
    this.#undo = undefined
  }

  /** As much of a change as the watching pictures allow; halved until they do. */
  async #keep(old, learned) {
    for (let share = 1; share > 0.04; share /= 2) {
      await this.#set(share === 1 ? learned : between(old, learned, share))
      if (await this.#loss() <= this.#allowed) return share
    }
    await this.#set(old)
    return 0
  }

  /** Parameters, with no momentum of earlier lessons. */
  #set(parameters) {
    return this.#net.restore({ ...this.#start, tensors: new Map([...this.#start.tensors, ...parameters]) })
  }

  /** The mean of -log p of the right digit over the pictures that watch. */
  async #loss() {
    const found = await this.predict(this.#watching.map(({ image }) => image))
    return found.reduce((sum, prob, i) => sum - Math.log(Math.max(prob[this.#watching[i].digit], 1e-9)), 0) / found.length
  }

  #mixture(picture, digit, drawings) {
    const image = new Float32Array(BATCH * PIXELS)
    const label = new Int32Array(BATCH)
    for (let i = 0; i < BATCH; i++) {
      const isNew = i < COPIES
      label[i] = isNew ? digit : i % CLASSES
      const row = drawings[label[i]].length > 0 && this.#draw() < DRAWINGS ? drawings[label[i]] : this.#examples[label[i]]
      image.set(isNew ? picture : row[Math.floor(this.#draw() * row.length)], i * PIXELS)
    }
    return { image, label }
  }

  /** A number in 0..1: Numerical Recipes' linear congruential generator. */
  #draw() {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    return this.#random / 2 ** 32
  }
}

const isSame = (a, b) => a.every((v, i) => v === b[i])

/** `old` and what it became, mixed. */
function between(old, learned, share) {
  return new Map([...learned].map(([name, tensor]) => {
    const from = old.get(name).data
    return [name, { ...tensor, data: tensor.data.map((v, i) => from[i] + share * (v - from[i])) }]
  }))
}

/** One picture that holds many: a row a digit, 28 x 28 each. */
async function loadExamples(url) {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} cannot be loaded: ${answer.status} ${answer.statusText}; node samples/page/build.mjs makes it`)
  const sheet = await createImageBitmap(await answer.blob())
  const canvas = new OffscreenCanvas(sheet.width, sheet.height)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  context.drawImage(sheet, 0, 0)
  return Array.from({ length: CLASSES }, (_, row) => Array.from({ length: sheet.width / 28 }, (_, column) =>
    Float32Array.from({ length: PIXELS }, ((data) => (_, i) => data[4 * i] / 255)(context.getImageData(28 * column, 28 * row, 28, 28).data))))
}

// A net that learns from a few pictures and unlearns nothing by it. Four things keep what it knows:
// - all that sees is frozen, only the last layer learns, which gives names: see digits.net;
// - each lesson begins with the net that came with the page and learns all that was ever taught, so nothing drifts with the number of lessons;
// - it mixes what was taught with examples of digits that come with the page, and with doodles that are nothing in particular (rehearsal);
// - pictures that are never trained on watch over it: where the net gets worse on them, only a part of the lesson is kept.
import { Examples, mix } from 'fusenet/runtime'
import { doodle, randomOf } from './doodles.js'
import { SIDE, varied } from './drawing.js'

const DIGITS = 10
/** The label of drawings that are nothing in particular. */
const ELSE = 10
/** The first label that a visitor may give a name. */
const OWN = 11
const PIXELS = SIDE * SIDE
/** Pictures at a time. */
export const BATCH = 64
/** How a step is mixed, in pictures: given digits, given doodles, the visitor's own classes, the visitor's drawings of digits. */
const MIXTURE = { digits: 44, doodles: 1, own: 16, drawings: 8 }
const DOODLES = 60
/** Steps of a lesson, and how many more each class of the visitor's takes. */
const STEPS = 70
const STEPS_A_CLASS = 10
/** The probability from which on a picture is known already. */
const KNOWN = 0.9
/**
 * By how much the loss over the watching pictures may exceed what it was when the page came: a drawing of a digit should cost nothing, classes
 * that digits resemble cost a little of their certainty. And the share of them that may be read wrong beyond those that were.
 */
const TOLERANCE = 0.015
const TOLERANCE_A_CLASS = 0.03
const WRONG = 0.01
/** Pictures that are kept of each class, and lessons that can be taken back. */
const KEPT = 40
const UNDONE = 20
const SPARE = /^spare \d+$/

export class Learner {
  #net
  #start
  #digits
  #doodles
  #watching
  #before
  #examples
  #undo = []

  /** `net`: digits.net, opened at BATCH. `pictures`: of each digit a list; half of each is trained with, half watches. */
  static async of(net, pictures) {
    const learner = new Learner()
    learner.#net = net
    learner.#start = await net.snapshot()
    learner.#examples = new Examples(fieldsOf(net))
    const random = randomOf(1)
    learner.#digits = listed(pictures.flatMap((row, label) => row.slice(0, row.length / 2).map((image) => ({ image, label }))))
    learner.#doodles = listed(Array.from({ length: DOODLES }, () => ({ image: doodle(random), label: ELSE })))
    learner.#watching = pictures.flatMap((row, label) => row.slice(row.length / 2).map((image) => ({ image, label })))
    learner.#before = await learner.#watch()
    return learner
  }

  /** What the net can answer: { label, name, own, count }, digits first. */
  get classes() {
    const { counts } = this.#examples
    return this.#names.map((name, label) => ({ label, name, own: label >= OWN, count: counts[label] })).filter(({ name }) =>
      !SPARE.test(name)
    )
  }

  get canUndo() {
    return this.#undo.length > 0
  }
  forgetUndo() {
    this.#undo = []
  }
  get isTaught() {
    return this.#examples.length > 0 || this.classes.length > OWN
  }
  /** How many classes of their own visitors may still add. */
  get spare() {
    return this.#names.filter((name) => SPARE.test(name)).length
  }
  get #names() {
    return this.#examples.fields.label.classNames
  }

  /** The pictures of a class that were taught here, oldest first. */
  examplesOf(label) {
    return [...this.#examples].filter((example) => example.label === label).map(({ image }) => image)
  }

  /** A class of the visitor's own. Throws an Error in words where it cannot be. */
  addClass(given) {
    const name = given.normalize('NFC').trim().replace(/\s+/g, ' ')
    if (name === '') throw new Error('A class needs a name')
    if (this.#names.some((other) => other.toLowerCase() === name.toLowerCase()))
      throw new Error(SPARE.test(name) ? 'Please find another name' : `There is a class ${name} already`)
    const label = this.#names.findIndex((other) => SPARE.test(other))
    if (label < 0) throw new Error('This net has room for six classes of your own, and all are taken')
    this.#remember()
    this.#rename(label, name)
    return label
  }

  /** For each picture a Map from the label of each class to its probability. */
  async predict(images) {
    const { classes } = this
    const found = await this.#run(images)
    return found.map((prob) => {
      const sum = classes.reduce((total, { label }) => total + prob[label], 0)
      return new Map(classes.map(({ label }) => [label, prob[label] / sum]))
    })
  }

  /**
   * Learns that pictures are of a class. Gives the mean probability of that before and after, and which share of what was learned could be
   * kept (1: all) without getting worse at digits. `progress` is told how far it is, 0 to 1.
   */
  async teach(images, label, progress) {
    const sure = async () => mean((await this.predict(images)).map((found) => found.get(label)))
    const before = await sure()
    const old = await this.#net.parameters()
    const last = this.#examples
    this.#remember(old)
    this.#examples = new Examples(last.fields, { most: KEPT })
    for (const { image, label: other } of last) if (!images.some((one) => isSame(one, image))) this.#examples.add({ image, label: other })
    for (const image of images) this.#examples.add({ image, label })
    // Of the visitor's own classes every drawing says something: there are only a few.
    if (before >= KNOWN && label <= ELSE) return { before, after: before, share: 1 }
    await this.#learn(progress)
    const share = await this.#keep(old)
    // What contradicts what is known of digits is more likely a slip than a lesson: it is not rehearsed.
    if (share < (label > ELSE ? 0.5 : 1)) this.#examples = last
    return { before, after: await sure(), share }
  }

  /** Forgets a class of the visitor's own, and what was taught of it. */
  async removeClass(label) {
    this.#remember(await this.#net.parameters())
    this.#examples = new Examples(this.#examples.fields, { most: KEPT })
    for (const { image, label: other } of this.#undo.at(-1).examples) if (other !== label) this.#examples.add({ image, label: other })
    this.#rename(label, `spare ${label}`)
    await this.#learn()
  }

  /** Takes the last change back: a lesson, a class, a reset, a file. */
  async undo() {
    const last = this.#undo.pop()
    if (!last) return
    if (last.parameters) await this.#net.setParameters(last.parameters)
    this.#examples = last.examples
  }

  /** The net as it came with the page. */
  async reset() {
    await this.become(this.#start.tensors, new Examples(fieldsOf(this.#net)))
  }

  /** What was taught, to be kept: the net, and the examples with the names of their classes. */
  taught() {
    return { net: this.#net, examples: this.#examples }
  }

  /** Takes over what was taught somewhere else. Throws an Error for what is of another net. */
  async become(parameters, examples) {
    const [old, own] = [await this.#net.parameters(), fieldsOf(this.#net)]
    const isOurs = ({ image, label } = {}) =>
      image?.shape.join() === own.image.shape.join() && label?.classNames?.length === own.label.classes
    if (!isOurs(examples.fields) || [...old].some(([name, { shape }]) => parameters.get(name)?.shape.join() !== shape.join()))
      throw new Error('It is of another net than the one in this page')
    await this.#net.setParameters(new Map([...parameters].filter(([name]) => old.has(name))))
    this.#remember(old)
    this.#examples = examples
  }

  /** Before a change. `parameters`: where those are to change too. */
  #remember(parameters) {
    this.#undo = [...this.#undo, { parameters, examples: this.#examples }].slice(-UNDONE)
  }

  #rename(label, name) {
    const { fields } = this.#examples
    const renamed = new Examples({ ...fields, label: { ...fields.label, classNames: fields.label.classNames.with(label, name) } }, {
      most: KEPT,
    })
    for (const { image, label: other } of this.#examples) renamed.add({ image, label: other })
    this.#examples = renamed
  }

  /** Trains the net that came with the page on all that was taught. */
  async #learn(progress = () => {}) {
    await this.#net.restore(this.#start)
    const taught = [...this.#examples]
    if (taught.length === 0) return
    const [own, drawings] = [taught.filter(({ label }) => label > ELSE), taught.filter(({ label }) => label <= ELSE)]
    const lesson = mix([
      { data: this.#digits, share: MIXTURE.digits, balanced: true },
      { data: this.#doodles, share: MIXTURE.doodles },
      ...(own.length > 0 ? [{ data: byManyHands(listed(own)), share: MIXTURE.own, balanced: true }] : []),
      ...(drawings.length > 0 ? [{ data: byManyHands(listed(drawings)), share: MIXTURE.drawings, balanced: true }] : []),
    ], { length: BATCH * 100 })
    const steps = STEPS + STEPS_A_CLASS * new Set(own.map(({ label }) => label)).size
    for await (const { step } of this.#net.train(lesson, { steps, stats: 'global' })) progress(step / steps)
  }

  /** As much of the way from `old` to what the net is now as the watching pictures allow; halved until they do. */
  async #keep(old) {
    if (await this.#isWell()) return 1
    const learned = await this.#net.parameters()
    for (let share = 1 / 2; share > 0.04; share /= 2) {
      await this.#net.setParameters(between(old, learned, share))
      if (await this.#isWell()) return share
    }
    await this.#net.setParameters(old)
    return 0
  }

  async #isWell() {
    const own = this.classes.filter((each) => each.own && each.count > 0).length
    const { loss, wrong } = await this.#watch()
    return loss <= this.#before.loss + TOLERANCE + own * TOLERANCE_A_CLASS && wrong <= this.#before.wrong + WRONG
  }

  /** The mean of -log p of the right digit over the pictures that watch, and the share of them that is read wrong. */
  async #watch() {
    const found = await this.#run(this.#watching.map(({ image }) => image))
    const right = found.map((prob, i) => prob[this.#watching[i].label])
    return {
      loss: mean(right.map((p) => -Math.log(Math.max(p, 1e-9)))),
      wrong: mean(found.map((prob, i) => (prob.some((p) => p > right[i]) ? 1 : 0))),
    }
  }

  async #run(images) {
    const batches = []
    for (let from = 0; from < images.length; from += BATCH) {
      const image = new Float32Array(BATCH * PIXELS)
      images.slice(from, from + BATCH).forEach((one, i) => image.set(one, i * PIXELS))
      batches.push(this.#net.run({ image }))
    }
    const found = (await Promise.all(batches)).map(({ prob }) => prob)
    return images.map((_, i) =>
      found[Math.floor(i / BATCH)].subarray((i % BATCH) * this.#names.length, (i % BATCH + 1) * this.#names.length)
    )
  }
}

/** What examples hold: the net's inputs, and what its classes are called. */
function fieldsOf(net) {
  const { classes } = net.manifest.inputs.find(({ name }) => name === 'label')
  const classNames = Array.from(
    { length: classes },
    (_, label) => (label < DIGITS ? String(label) : label === ELSE ? 'something else' : `spare ${label}`),
  )
  return { image: { shape: [1, SIDE, SIDE], type: 'f32' }, label: { shape: [], type: 'i32', classes, classNames } }
}

/** A list of { image, label } as a dataset. */
function listed(list) {
  return {
    length: list.length,
    fields: { image: { shape: [1, SIDE, SIDE], type: 'f32' }, label: { shape: [], type: 'i32', classes: 17 } },
    read(indices, into) {
      Array.from(indices, (index, k) => {
        into.image?.set(list[index].image, k * PIXELS)
        if (into.label) into.label[k] = list[index].label
      })
    },
  }
}

/** Each picture, each time a little different. */
function byManyHands(dataset) {
  const random = randomOf(2)
  return {
    ...dataset,
    read(indices, into, draw) {
      dataset.read(indices, into)
      if (!draw || !into.image) return
      for (let k = 0; k < indices.length; k++) into.image.set(varied(into.image.slice(k * PIXELS, (k + 1) * PIXELS), random), k * PIXELS)
    },
  }
}

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length
const isSame = (a, b) => a.every((v, i) => v === b[i])

/** `old` and what it became, mixed. */
function between(old, learned, share) {
  return new Map([...learned].map(([name, tensor]) => {
    const from = old.get(name).data
    return [name, { ...tensor, data: tensor.data.map((v, i) => from[i] + share * (v - from[i])) }]
  }))
}

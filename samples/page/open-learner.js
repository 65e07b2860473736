// The net, from what lies beside the page, and what was taught earlier, from this browser.
import { examplesFromBytes, examplesToBytes, fromPixels, handOut, open, openExamples, packBundle, savedExamples, saveExamples,
  unpackBundle } from 'fusenet/runtime'
import { SIDE } from './drawing.js'
import { BATCH, Learner } from './learner.js'

const DIGITS = 10
/** What is kept in this browser, and what lies beside the net in a file. */
const SAVED = 'indexeddb://digits'
const BESIDE = 'examples.safetensors'

/** Opens the net in a worker, so that the page never waits for it. Gives { learner, kept, device, note }. `progress` is told how far it is, 0 to 1. */
export async function openLearner(progress) {
  const at = (path) => new URL(path, document.baseURI)
  const [net, pictures] = await Promise.all([
    open(at('digits/'), {
      worker: true,
      batch: BATCH,
      programs: ['infer', 'train/global'],
      onProgress: ({ loaded, total }) => progress(loaded / total),
    }),
    examplesIn(at('examples.png')),
  ])
  const learner = await Learner.of(net, pictures)
  const kept = new Kept()
  const note = await kept.load(learner)
  return { learner, kept, note, device: deviceOf(net) }
}

/** Where it runs, and if that is not what it might be, why. */
function deviceOf({ device, notes }) {
  const isGpu = device.name === 'webgpu'
  // Where it runs is said in front.
  const why = notes.join('; ').replace(/[:,] running on the CPU$/, '')
  return `It runs on ${isGpu ? 'the GPU' : 'the CPU'} of this device: ${device.description}${
    why ? `. ${why[0].toUpperCase()}${why.slice(1)}` : ''
  }.`
}

/** What was taught, in this browser and in files. */
class Kept {
  isThere = false
  note = 'It is kept in this browser.'

  /** Takes over what was taught before. Gives a sentence where something is to be said. */
  async load(learner) {
    try {
      this.isThere = (await savedExamples()).includes('digits')
      if (!this.isThere) return undefined
      await this.#take(learner, await openExamples(SAVED), SAVED)
      learner.forgetUndo()
      return undefined
    } catch (error) {
      this.note = `It cannot be kept in this browser: ${error.message}. Download it to keep it.`
      return `What you taught earlier could not be opened: ${error.message}`
    }
  }

  async save(learner) {
    const { net, examples } = learner.taught()
    try {
      await net.save(SAVED)
      await saveExamples(examples, SAVED)
      this.isThere = true
      this.note = 'It is kept in this browser.'
    } catch (error) {
      this.note = `It cannot be kept in this browser: ${error.message}. Download it to keep it.`
    }
  }

  /** One file with the net, what its classes are called, and the pictures that it was taught with. */
  async download(learner) {
    const { net, examples } = learner.taught()
    const bundle = await net.save()
    const inputs = bundle.manifest.inputs.map((
      input,
    ) => (input.name === 'label' ? { ...input, classNames: examples.fields.label.classNames } : input))
    const bytes = await packBundle({ ...bundle, manifest: { ...bundle.manifest, inputs } }, new Map([[BESIDE, examplesToBytes(examples)]]))
    handOut(bytes, 'digits.zip', 'application/zip')
  }

  /** Takes over what such a file holds. Throws an Error in words for any other. */
  async open(learner, file) {
    const files = await unpackBundle(file)
    const pictures = files.get(BESIDE)
    if (!pictures)
      throw new Error(`${file.name} is a net, but not one that was downloaded here: the pictures that it was taught with are missing`)
    await this.#take(learner, examplesFromBytes(pictures), files)
  }

  async #take(learner, examples, source) {
    const net = await open(source, { device: 'wasm', batch: 1, programs: ['infer'] })
    try {
      await learner.become(await net.parameters(), examples)
    } finally {
      net.close()
    }
  }
}

/** One picture that holds many: a row a digit, 28 x 28 each. */
async function examplesIn(url) {
  const answer = await fetch(url)
  const made = answer.ok && (answer.headers.get('content-type') ?? 'image/').startsWith('image/')
  if (!made) throw new Error(`${url} cannot be loaded (${answer.status} ${answer.statusText}): node samples/page/build.mjs makes it`)
  const sheet = await createImageBitmap(await answer.blob())
  const side = { width: SIDE, height: SIDE }
  return Array.from(
    { length: DIGITS },
    (_, row) =>
      Array.from(
        { length: sheet.width / SIDE },
        (_, column) => fromPixels(sheet, { shape: [1, SIDE, SIDE], channels: 'grey', crop: { x: column * SIDE, y: row * SIDE, ...side } }),
      ),
  )
}

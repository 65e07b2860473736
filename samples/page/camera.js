// The camera as a source of pictures: what lies in the middle of its view, on whatever ground it lies.
import { fromPixels } from 'fusenet/runtime'
import { pictureOfPhoto } from './drawing.js'

/** A photograph's side before what is in it is found. */
const PHOTO = 96

export class Camera {
  #video
  #stream
  #facing = 'environment'
  /** Counts what was asked for: what comes too late is stopped again. */
  #turn = 0

  constructor(video) {
    this.#video = video
  }

  get isOn() {
    return this.#stream !== undefined
  }

  /** Whether there is another one to turn to. */
  async hasOther() {
    return (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === 'videoinput').length > 1
  }

  /** Begins to look. Throws an Error in words where that cannot be. */
  async start() {
    const turn = ++this.#turn
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Error(isSecureContext ? 'This browser lets pages use no camera' : 'The camera needs an https address (or localhost)')
    let stream
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: this.#facing, width: { ideal: 640 }, height: { ideal: 640 } },
      })
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`)
    }
    if (turn !== this.#turn) return stream.getTracks().forEach((track) => track.stop())
    this.#stop()
    this.#stream = stream
    this.#video.srcObject = stream
    // People see themselves as in a mirror; what the other camera shows is as it is.
    this.#video.classList.toggle('mirrored', stream.getVideoTracks()[0].getSettings().facingMode === 'user')
    await this.#video.play()
  }

  async turn() {
    this.#facing = this.#facing === 'user' ? 'environment' : 'user'
    await this.start()
  }

  stop() {
    this.#turn++
    this.#stop()
  }

  #stop() {
    this.#stream?.getTracks().forEach((track) => track.stop())
    this.#stream = undefined
    this.#video.srcObject = null
  }

  /** 784 numbers, 0 (ground) to 1; undefined where nothing stands out, and before the first picture came. */
  picture() {
    if (!this.isOn || this.#video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return undefined
    return pictureOfPhoto(fromPixels(this.#video, { shape: [1, PHOTO, PHOTO], channels: 'grey' }), PHOTO)
  }
}

const REASONS = {
  NotAllowedError: 'The camera is not allowed here: allow it beside the address, then choose Camera again',
  NotFoundError: 'There is no camera on this device',
  NotReadableError: 'Another program uses the camera: close it there, then choose Camera again',
  OverconstrainedError: 'No camera gives such pictures',
}

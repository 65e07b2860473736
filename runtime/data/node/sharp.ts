import { InputError } from '../../../bundle/errors.ts'
import { importPackage } from '../../loading/node/package.ts'

/** [c, h, w] of a decoded picture. */
export type PictureShape = readonly [number, number, number]

/**
 * The part of `sharp` that is used here. Users who read pictures install it. There is no second decoder for when it is absent: a net
 * would see other numbers in the same file, since decoders of JPEG differ by roundings and ways to scale differ too, and nobody would be
 * told.
 */
interface Sharp {
  rotate(): Sharp
  flatten(options: { background: string }): Sharp
  resize(width: number, height: number, options: { fit: 'cover'; kernel: 'cubic' }): Sharp
  toColourspace(space: 'srgb'): Sharp
  metadata(): Promise<{ width: number; height: number; channels: number; orientation?: number }>
  raw(): Sharp
  toBuffer(options: { resolveWithObject: true }): Promise<{ data: Uint8Array; info: { channels: number } }>
}
type MakeSharp = (path: string, options: { failOn: 'error' }) => Sharp

let loaded: Promise<MakeSharp> | undefined

function sharp(): Promise<MakeSharp> {
  return (loaded ??= importPackage<{ default: MakeSharp }>('sharp').then((module) => module.default))
}

/** Throws an InputError where pictures cannot be read here at all: that is no fault of any picture. */
export async function needDecoder(): Promise<void> {
  await sharp()
}

/** The size of a picture, upright, and whether it has no colours; what its head says. */
export async function factsOfPicture(path: string): Promise<{ readonly width: number; readonly height: number; readonly isGrey: boolean }> {
  const { width, height, channels, orientation = 1 } = await (await sharp())(path, { failOn: 'error' }).metadata()
  // EXIF: from 5 on it lies on its side.
  return { ...(orientation >= 5 ? { width: height, height: width } : { width, height }), isGrey: channels <= 2 }
}

/**
 * Decodes a picture to [c, h, w] bytes: turned upright (EXIF), transparency laid on white, scaled so that it covers the wanted size
 * and cropped around its middle; sRGB for three channels. Grey for one is ITU-R BT.601's luma of the sRGB values, as PIL, OpenCV and
 * torchvision have it (rounded as PIL): (19595 R + 38470 G + 7471 B + 2^15) / 2^16, so that pure green is 150.
 */
export async function decodePicture(path: string, [c, h, w]: PictureShape, into?: Uint8Array): Promise<Uint8Array> {
  const open = await sharp()
  let raw: { data: Uint8Array; info: { channels: number } }
  try {
    raw = await open(path, { failOn: 'error' }).rotate().flatten({ background: '#ffffff' }).resize(w, h, { fit: 'cover', kernel: 'cubic' })
      .toColourspace('srgb').raw()
      .toBuffer({ resolveWithObject: true })
  } catch (error) {
    throw new InputError(`${path} cannot be decoded: ${(error as Error).message}`)
  }
  const { data, info: { channels } } = raw
  const planes = into ?? new Uint8Array(c * h * w)
  if (c === 1 && channels >= 3) {
    for (let i = 0, at = 0; i < h * w; i++, at += channels)
      planes[i] = (19595 * data[at]! + 38470 * data[at + 1]! + 7471 * data[at + 2]! + 32768) >> 16
    return planes
  }
  // Rows of interleaved channels become planes.
  for (let plane = 0; plane < c; plane++) {
    for (let i = 0; i < h * w; i++) planes[plane * h * w + i] = data[i * channels + Math.min(plane, channels - 1)]!
  }
  return planes
}

import { InputError } from '../runtime/errors.ts'
import { mustExist } from './files.ts'

const EXTENSIONS = ['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif']

export const isImage = (path: string): boolean => EXTENSIONS.some((extension) => path.toLowerCase().endsWith(extension))

/**
 * Decodes a picture to [c, h, w] bytes: turned upright (EXIF), transparency laid on white, scaled so that it covers the
 * wanted size and cropped around its middle; grey for one channel, sRGB for three.
 */
export async function decodeImage(path: string, [c, h, w]: readonly [number, number, number], into?: Uint8Array): Promise<Uint8Array> {
  await mustExist(path)
  const { default: sharp } = await import('sharp')
  let picture = sharp(path, { failOn: 'error' }).rotate().flatten({ background: '#ffffff' })
    .resize(w, h, { fit: 'cover', kernel: 'cubic' })
  picture = c === 1 ? picture.toColourspace('b-w') : picture.toColourspace('srgb')
  let raw: { data: Uint8Array; info: { channels: number } }
  try {
    raw = await picture.raw().toBuffer({ resolveWithObject: true })
  } catch (error) {
    throw new InputError(`${path} cannot be decoded: ${(error as Error).message}`)
  }
  // Rows of interleaved channels become planes.
  const planes = into ?? new Uint8Array(c * h * w)
  const { channels } = raw.info
  for (let plane = 0; plane < c; plane++) {
    for (let i = 0; i < h * w; i++) planes[plane * h * w + i] = raw.data[i * channels + Math.min(plane, channels - 1)]!
  }
  return planes
}

/** The shape of one picture that an input takes, or why it takes none. */
export function pictureShape(name: string, shape: readonly (number | 'n')[]): readonly [number, number, number] {
  const sample = shape[0] === 'n' ? shape.slice(1) : shape
  if (sample.length === 3 && (sample[0] === 1 || sample[0] === 3)) return sample as [number, number, number]
  throw new InputError(`input ${name} is [${shape.join(', ')}]: a picture fits [n, 1, h, w] or [n, 3, h, w]`)
}

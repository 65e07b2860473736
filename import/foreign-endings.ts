import { quoted } from '../bundle/quoted.ts'

/** What lies in files that no reader takes as a net, and how a net comes of them. */
export interface ForeignEnding {
  readonly endings: readonly string[]
  readonly what: (ending: string) => string
  readonly mend: (file: string) => string
}

const EXPORT = 'export it: torch.onnx.export(model, example, "model.onnx")'

const tensorflow = (endings: readonly string[], option: (file: string) => string): ForeignEnding => ({
  endings,
  what: (ending) => `models of TensorFlow (.${ending}) are not read`,
  mend: (file) => `convert it to ONNX: python -m tf2onnx.convert ${option(file)} --output model.onnx`,
})

const ROWS: readonly ForeignEnding[] = [
  { endings: ['pt'], what: () => 'a file of PyTorch holds code and weights, not a net', mend: () => EXPORT },
  { endings: ['pth'], what: () => 'a file of PyTorch holds weights, not a net', mend: () => EXPORT },
  { endings: ['ckpt'], what: () => 'a checkpoint holds weights, not a net', mend: () => EXPORT },
  {
    endings: ['caffemodel'],
    what: () => 'a .caffemodel holds weights; the net is in a .prototxt',
    mend: (file) => `fusenet import deploy.prototxt ${quoted(file)} -o DIR`,
  },
  {
    endings: ['weights'],
    what: () => 'a .weights file holds weights; the net is in a .cfg',
    mend: (file) => `fusenet import net.cfg ${quoted(file)} -o DIR`,
  },
  tensorflow(['pb'], () => '--saved-model .'),
  tensorflow(['h5', 'hdf5', 'keras'], (file) => `--keras ${quoted(file)}`),
  tensorflow(['tflite'], (file) => `--tflite ${quoted(file)}`),
  {
    endings: ['safetensors'],
    what: () => 'a .safetensors file holds weights, and no net',
    mend: () => 'weights go to a .net file with --weights',
  },
  {
    endings: ['net'],
    what: () => 'a .net file is a program already',
    mend: (file) => `fusenet compile ${quoted(file)} -o DIR`,
  },
]

/** The ending of a file, in small letters and without the point; empty where there is none. */
export const endingOf = (file: string): string => (/\.([A-Za-z0-9]+)$/.exec(file)?.[1] ?? '').toLowerCase()

/** What is known of a file by an ending that no reader takes. */
export function foreignEnding(file: string): { readonly what: string; readonly mend: string } | undefined {
  const ending = endingOf(file)
  const row = ROWS.find(({ endings }) => endings.includes(ending))
  return row && { what: row.what(ending), mend: row.mend(file) }
}

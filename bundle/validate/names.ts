import { UNPRINTABLE } from '../plain.ts'
import { type Check, when } from './checks.ts'
import { MOST_FILE_NAME, MOST_LABEL, MOST_NAME, MOST_TEXT } from './limits.ts'

/**
 * The names and texts that a bundle may contain. A name is an identifier, so that nothing in it has a meaning where it is printed: in a
 * comment or a type of generated code, a path, a file's header, a terminal.
 */

/** Names that would be something else: of an object's prototype, and of the header in a safetensors file. */
const TAKEN = /^__(proto|metadata)__$/

const fits = (value: unknown, form: RegExp, most: number): boolean =>
  typeof value === 'string' && value.length <= most && form.test(value) && !TAKEN.test(value)
const named = (form: RegExp, most: number, wanted: string): Check => when((v) => fits(v, form, most), `${wanted}, at most ${most} long,`)

/** Names of the net, of inputs and outputs, as the language has them. */
export const name = named(/^[A-Za-z_]\w*$/, MOST_NAME, 'a name (letters, digits, _)')
const PATH = /^[A-Za-z_]\w*(\.\w+)*$/
/** Whether a net, an input, an output, a layer or a parameter may be called so. */
export const isName = (name: string): boolean => fits(name, PATH, MOST_NAME)
/** The name of a layer or a parameter: `block1.conv2.weight`. */
export const path = named(PATH, MOST_NAME, 'a name (letters, digits, _, parts joined by dots)')
/** The name of a kernel, a buffer or a tensor, which is made of names of layers: `conv1+bn1.statistics`. */
export const label = named(/^\w[\w.+-]*$/, MOST_LABEL, 'a name (letters, digits, _ . + -)')
/** The name of a program: `infer/batch`. */
export const program = named(/^[a-z]+(\/[a-z]+)?$/, MOST_NAME, 'the name of a program')
/** The name of a plan: `webgpu-f16`. */
export const target = named(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, MOST_NAME, 'the name of a target')
/** The name of a result: of an output, or of the gradient of an input or a parameter. */
export const result = named(/^(grad\/|count\/|part\/)?[A-Za-z_]\w*(\.\w+)*$/, MOST_NAME + 6, 'the name of a result')
/**
 * The name of a file below the folder of the bundle. It stays there, on every system. Small letters alone, so that no two names are one on a
 * disk that does not tell them apart; no device of Windows.
 */
export const file = named(
  /^(?!(.*\/)?(con|prn|aux|nul|com\d|lpt\d)(\.|\/|$))[a-z0-9_-]+(\.[a-z0-9_-]+)*(\/[a-z0-9_-]+(\.[a-z0-9_-]+)*)*$/,
  MOST_FILE_NAME,
  'a file name below the folder of the bundle (small letters, digits, _ . -)',
)
/** A line for people. */
export const line = when(
  (v) => typeof v === 'string' && v.length <= MOST_TEXT && !UNPRINTABLE.test(v),
  `a line of text without control characters, at most ${MOST_TEXT} long,`,
)

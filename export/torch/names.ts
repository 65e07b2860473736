import { CARRIED_NAMES } from './carried.ts'

/** Words that Python keeps for itself. */
const KEYWORDS = new Set(
  ('False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda ' +
    'nonlocal not or pass raise return try while with yield match case type _').split(' '),
)

/** Names that a module has of its own, in PyTorch 1.13 or later: as attributes they would be hidden, or hide these. */
const OF_MODULES = new Set(
  ('T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr float forward ' +
    'get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers named_children named_modules ' +
    'named_parameters parameters register_backward_hook register_buffer register_forward_hook register_forward_pre_hook ' +
    'register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook ' +
    'register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state ' +
    'set_submodule share_memory state_dict to to_empty train training type xpu zero_grad').split(' '),
)

/** What the net's own class has beside its layers. */
const OF_NET = new Set(['moment', 'objective'])

/** Words of the printed text that no variable may have. */
export const TAKEN: ReadonlySet<string> = new Set([
  ...KEYWORDS,
  ...CARRIED_NAMES,
  ...'Net F Tensor all_sum all_sum_ dict float getattr i isinstance learned len list math max min module name next nn range results self share slice struct super sum torch tuple world zip'
    .split(' '),
])

/** Names that no class of a block may have: those of Python and PyTorch that the printed text says, and constants. */
export const TAKEN_CLASSES: readonly string[] = [
  ...CARRIED_NAMES,
  ...'Ellipsis F False ImportError KeyError Net None NotImplemented RuntimeError Tensor True TypeError ValueError'.split(' '),
]

/** `wanted`, `wanted_2`, ...: the first that `isFree`. What the printed text says itself gets a `_`, as Python's writers do: `lambda_`. */
export function variableName(wanted: string, isFree: (name: string) => boolean): string {
  const plain = TAKEN.has(wanted) ? `${wanted}_` : wanted
  for (let i = 1;; i++) {
    const name = i === 1 ? plain : `${plain}${plain.endsWith('_') ? '' : '_'}${i}`
    if (!TAKEN.has(name) && isFree(name)) return name
  }
}

/** Whether a layer can be an attribute of its module: `self.conv1`. */
export const isAttribute = (name: string): boolean =>
  /^[A-Za-z]\w*$/.test(name) && !KEYWORDS.has(name) && !OF_MODULES.has(name) && !OF_NET.has(name)

/** A layer of a module, as code. */
export const member = (
  of: string,
  name: string,
): string => (isAttribute(name) ? `${of}.${name}` : `${of}._modules[${JSON.stringify(name)}]`)

/** `conv_bn` as a class: `ConvBn`. */
export function className(block: string): string {
  const name = block.split('_').filter((word) => word !== '').map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
  return /^[A-Z]/.test(name) ? name : `Block${name}`
}

/** A text as the lines of a comment: nothing in it ends a line. `column`: where its first line begins, by which the others are moved. */
export const commentLines = (text: string, column = 0): string[] =>
  text.split(/\r\n|\r|\n/).map((line, i) =>
    (i === 0 ? line : line.slice(Math.min(column, line.length - line.trimStart().length))).replaceAll(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
      ' ',
    ).trimEnd()
  )

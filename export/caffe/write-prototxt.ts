import type { CaffeField, CaffeLayer, CaffeNet, CaffeParams } from './model.ts'

/** The first line of a prototxt of fusenet: by it a file is known as one that may be replaced. */
export const WRITTEN_BY = '# Written by fusenet'

/** A net as a prototxt: protobuf's text format. Weights are not in it. */
export function writePrototxt({ name, layers }: CaffeNet): string {
  return [`${WRITTEN_BY}.\nname: ${quoted(name)}`, ...layers.map((layer) => `layer {\n${layerText(layer)}}`)].join('\n') + '\n'
}

function layerText({ name, type, bottoms, tops, params, blobs, constant }: CaffeLayer): string {
  const texts = (field: string, values: readonly string[]): string => values.map((value) => `  ${field}: ${quoted(value)}\n`).join('')
  const fixed: CaffeParams = constant ? { param: blobs.map(() => ({ lr_mult: 0, decay_mult: 0 })) } : {}
  return texts('name', [name]) + texts('type', [type]) + texts('bottom', bottoms) + texts('top', tops)
    + fieldsText({ ...fixed, ...params }, '  ')
}

const fieldsText = (params: CaffeParams, indent: string): string =>
  Object.entries(params).flatMap(([field, value]) => (isList(value) ? value : [value]).map((each) => fieldText(field, each, indent))).join(
    '',
  )

/** Messages of numbers alone stand on one line. */
function fieldText(field: string, value: CaffeField, indent: string): string {
  if (typeof value !== 'object') return `${indent}${field}: ${value}\n`
  const params = value as CaffeParams
  const isFlat = Object.values(params).every((inner) =>
    typeof inner !== 'object' || (isList(inner) && inner.every((v) => typeof v !== 'object'))
  )
  if (isFlat) return `${indent}${field} {${fieldsText(params, ' ').replaceAll('\n', '')} }\n`
  return `${indent}${field} {\n${fieldsText(params, `${indent}  `)}${indent}}\n`
}

const isList = (value: CaffeField): value is readonly CaffeField[] => Array.isArray(value)

/** A text between quotes: JSON's escapes of quotes and backslashes are protobuf's. */
const quoted = (text: string): string => JSON.stringify(text)

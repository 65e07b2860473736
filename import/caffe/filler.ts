import type { Argument } from '../model-net.ts'
import type { Message } from './message.ts'

/** How a parameter starts, in the words of the language; what they lack is told to `note`. Undefined: as the language has it. */
export function fillerOf(filler: Message, note: (text: string) => void): Argument | undefined {
  const type = filler.text('type', 'constant')
  const norm = filler.text('variance_norm', 'FAN_IN').toLowerCase()
  const varied = { call: type, arguments: { ...(norm !== 'fan_in' && { variance_norm: norm }) } }
  switch (type) {
    case 'constant':
      return { call: 'constant', arguments: { value: filler.number('value', 0) } }
    case 'uniform':
      return { call: 'uniform', arguments: { lo: filler.number('min', 0), hi: filler.number('max', 1) } }
    case 'gaussian': {
      if (filler.number('sparse', -1) >= 0) {
        note(`its filler leaves all but ${filler.number('sparse')} weights an output 0 (sparse); here all are drawn`)
      }
      const mean = filler.number('mean', 0)
      return { call: 'gaussian', arguments: { std: filler.number('std', 1), ...(mean !== 0 && { mean }) } }
    }
    case 'xavier':
    case 'msra':
      return varied
    case 'bilinear':
      return { call: 'bilinear', arguments: {} }
    default:
      note(`its filler ${type} has no equal; it starts with the language's own`)
      return undefined
  }
}

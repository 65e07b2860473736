import type { Argument, ModelLayer } from '../model-net.ts'

/** An argument that is written as it stands: a parameter of the block around, or arithmetic over it. */
export class Formula {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type ItemArgument = Argument | Formula

/** A call as it will be written: of a layer, or of a block. Values have the names that the model's reader gave them. */
export interface Item {
  /** A layer of the language; the block's name for an instance, known when blocks are. */
  readonly call: string
  /** The name behind `as`, within the block that holds it. Absent: nothing is kept under its name. */
  readonly name?: string | undefined
  readonly inputs: readonly (string | number)[]
  readonly output: string
  readonly arguments: Readonly<Record<string, ItemArgument>>
  /** The layer that is called. Absent: an instance of a block. */
  readonly layer?: ModelLayer
  /** The layers of an instance. */
  readonly inner?: readonly Item[]
}

export const valuesOf = (item: Item): string[] => item.inputs.filter((input): input is string => typeof input === 'string')

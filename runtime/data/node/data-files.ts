import type { CallEntry, InputEntry } from '../../../bundle/format.ts'
import type { Dataset } from '../dataset.ts'
import type { PictureShape } from './sharp.ts'

/** The datasets made of files of any kind. */
export interface DataFiles {
  /** `mnist`, or the folder or the files. */
  readonly name: string
  readonly train: Dataset
  /** The part that a training is tested with at its end, and that an evaluation uses. */
  readonly test: Dataset
  /** The part that a training is tested with on the way, where the data have one. */
  readonly validation?: Dataset
  /** Notes for the user: where the test part comes from, and which files were left out. */
  readonly notes: readonly string[]
}

export interface DataOptions {
  /** The folder that holds the folders `fashion_mnist` and `cifar10`. Default `data`. */
  readonly root?: string
  /**
   * The inputs of the net that the data are for. They tell which fields a table has, and the size of pictures where `shape` does not say
   * it.
   */
  readonly inputs?: readonly InputEntry[]
  /** [c, h, w] to which pictures of folders are brought. */
  readonly shape?: PictureShape | (() => PictureShape)
  /** Data without a test part are used whole, in training and in test, instead of keeping every fifth sample for the test. */
  readonly whole?: boolean
  /** Data to test with, written as the data themselves. */
  readonly testData?: string
  /** Pictures that cannot be read are left out and counted, instead of refused. All are decoded at once then. */
  readonly skipBroken?: boolean
}

export type DataEntry = CallEntry | string

/** One of so many samples, in their order, is kept for testing (of pictures: of those of a class). */
export const TEST_EVERY = 5
export const isTest = (index: number): boolean => index % TEST_EVERY === TEST_EVERY - 1

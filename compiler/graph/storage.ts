import { BINDING_ELEMENTS } from '../../bundle/layout.ts'
import { elementsPerSample } from '../ir/tensor.ts'
import type { Graph, Value } from './graph.ts'

/** Packed values start at multiples of this (256 bytes: `minStorageBufferOffsetAlignment` of every WebGPU). */
export const ALIGNMENT: number = BINDING_ELEMENTS

const roundUp = (elements: number): number => Math.ceil(elements / ALIGNMENT) * ALIGNMENT

/** Where the value behind this one may start. */
export const nextOffset = (offset: number, elements: number): number => offset + roundUp(elements)

/** Elements of the packed buffers: `parameters` (and gradients and each history), `states`. Multiples of 64. */
export function packedSizes(graph: Graph): { parameters: number; states: number } {
  const sizeOf = (role: 'parameters' | 'states'): number =>
    graph.parameters.reduce((end, { value }) => (value.storage?.role === role ? Math.max(end, endOf(value)) : end), 0)
  return { parameters: sizeOf('parameters'), states: sizeOf('states') }
}

const endOf = (value: Value): number => nextOffset(value.storage!.offset, elementsPerSample(value.shape))

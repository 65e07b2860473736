import { columnsProblem, namesProblem } from '../class-names.ts'
import type { Manifest } from '../format.ts'
import type { Report } from './report.ts'

/** Names of classes are as many as there are classes, names of columns as many as a sample has numbers, and what an output scores is a label of the net. */
export function checkClasses({ inputs, outputs }: Manifest, report: Report): void {
  inputs.forEach(({ shape, classes, classNames, columns }, i) => {
    const problem = classNames && (classes === undefined ? 'names of classes, and no classes' : namesProblem(classNames, classes))
    if (problem !== undefined) report(`inputs[${i}].classNames`, problem)
    const named = columns && columnsProblem(columns, shape)
    if (named !== undefined) report(`inputs[${i}].columns`, named)
  })
  outputs.forEach(({ scores }, i) => {
    if (scores !== undefined && !inputs.some((input) => input.name === scores && input.classes !== undefined))
      report(`outputs[${i}].scores`, 'names no label of the net')
  })
}

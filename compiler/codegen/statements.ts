import type { Operand, Statement, Type } from './kernel-function.ts'

/* How statements are made. Those that kernels consist of have one layout in memory, those of rare kinds another: see `operands.ts`. */

class StatementNode {
  declare readonly kind: Statement['kind']
  declare name: string | undefined
  declare type: Type | undefined
  declare lanes: 1 | 4 | undefined
  declare value: Operand | undefined
  declare binding: number | undefined
  declare at: Operand | undefined
  declare step: number | undefined

  constructor(kind: Statement['kind']) {
    this.kind = kind
    this.name = undefined
    this.type = undefined
    this.lanes = undefined
    this.value = undefined
    this.binding = undefined
    this.at = undefined
    this.step = undefined
  }
}

class RareStatementNode extends StatementNode {
  declare values: readonly Operand[] | undefined
  declare condition: Operand | undefined
  declare from: Operand | undefined
  declare by: number | undefined
  declare extent: Operand | undefined
  declare body: readonly Statement[] | undefined

  constructor(kind: Statement['kind']) {
    super(kind)
    this.values = undefined
    this.condition = undefined
    this.from = undefined
    this.by = undefined
    this.extent = undefined
    this.body = undefined
  }
}

type Of<Kind extends Statement['kind']> = Extract<Statement, { kind: Kind }>

/** A value with a name, or a variable that starts with it. */
export function definition(kind: 'let' | 'var', name: string, type: Type, lanes: 1 | 4, value: Operand): Of<'let' | 'var'> {
  const node = new StatementNode(kind)
  node.name = name
  node.type = type
  node.lanes = lanes
  node.value = value
  return node as Of<'let' | 'var'>
}

export function set(name: string, value: Operand): Statement {
  const node = new StatementNode('set')
  node.name = name
  node.value = value
  return node as Statement
}

export type LoopBounds = Pick<Of<'for'>, 'from' | 'by' | 'extent'>

export function loop(name: string, { from, by, extent }: LoopBounds, body: readonly Statement[]): Statement {
  const node = new RareStatementNode('for')
  node.name = name
  node.from = from
  node.by = by
  node.extent = extent
  node.body = body
  return node as Statement
}

export const barrier = (): Statement => new StatementNode('barrier') as Statement

export function branch(condition: Operand, body: readonly Statement[]): Statement {
  const node = new RareStatementNode('if')
  node.condition = condition
  node.body = body
  return node as Statement
}

export function step(body: readonly Statement[]): Statement {
  const node = new RareStatementNode('step')
  node.body = body
  return node as Statement
}

export function store(binding: number, at: Operand, value: Operand, lanes?: 1 | 4, by?: number): Statement {
  const node = new StatementNode('store')
  node.binding = binding
  node.at = at
  node.value = value
  node.lanes = lanes
  node.step = by
  return node as Statement
}

export function count(binding: number, values: readonly Operand[]): Statement {
  const node = new RareStatementNode('count')
  node.binding = binding
  node.values = values
  return node as Statement
}

export function storeInterleaved(binding: number, at: Operand, values: readonly Operand[], by: number): Statement {
  const node = new RareStatementNode('storeInterleaved')
  node.binding = binding
  node.at = at
  node.values = values
  node.step = by
  return node as Statement
}

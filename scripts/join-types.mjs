/**
 * The public types of the runtime as one text without imports: what an ES module of a bundle has beside it. They are read from the sources
 * (`isolatedDeclarations`), and no more is taken than what the names that `runtime/index.ts` exports stand on.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { isolatedDeclarationSync } from 'rolldown/experimental'
import { parseSync } from 'rolldown/utils'
import { root } from './steps.mjs'

/**
 * Joins what a module exports. `renamed`: exported names that are to be called otherwise, since the text goes where they mean something else.
 * Throws for what it cannot join: a name that two files declare.
 */
export function joinTypes(entry = join(root, 'runtime', 'index.ts'), renamed = { open: 'openBundle' }) {
  const modules = new Map()
  const moduleOf = (file) => {
    if (!modules.has(file)) modules.set(file, read(file))
    return modules.get(file)
  }
  /** Where a name of a module is declared. */
  const declared = (file, name) => {
    const module = moduleOf(file)
    if (module.declarations.has(name)) return { file, name }
    const from = module.imports.get(name) ?? module.reExports.get(name)
    if (from) return declared(from.file, from.name)
    for (const all of module.stars) {
      const found = declared(all, name)
      if (found) return found
    }
    return undefined
  }
  const exportsOf = (file) => {
    const module = moduleOf(file)
    return new Set([...module.exported, ...module.reExports.keys(), ...module.stars.flatMap((each) => [...exportsOf(each)])])
  }

  const taken = new Map()
  const names = new Map()
  const take = (file, name) => {
    const found = declared(file, name)
    // A parameter of a type, or a name of the language.
    if (!found) return
    const key = `${found.file} ${found.name}`
    if (taken.has(key)) return
    const holder = names.get(found.name)
    if (holder !== undefined && holder !== found.file)
      throw new Error(
        `${relative(root, holder)} and ${relative(root, found.file)} both declare ${found.name}: give one of them another name`,
      )
    names.set(found.name, found.file)
    const { code, uses } = moduleOf(found.file).declarations.get(found.name)
    taken.set(key, code)
    for (const used of uses) take(found.file, used)
  }
  const exported = [...exportsOf(entry)].sort()
  for (const name of exported) take(entry, name)
  const rename = (code) =>
    Object.entries(renamed).reduce((text, [from, to]) => text.replace(new RegExp(`(?<![.\\w$'"\`])${from}(?=[<(])`, 'g'), to), code)
  const list = exported.map((name) => {
    // Under another name than it is declared by, maybe.
    const found = declared(entry, name)
    if (!found) throw new Error(`${relative(root, entry)} exports ${name}, which is declared nowhere`)
    const [own, given] = [renamed[found.name] ?? found.name, renamed[name] ?? name]
    return own === given ? own : `${own} as ${given}`
  })
  return `${[...taken.values()].map(rename).join('\n')}\nexport { ${list.join(', ')} }\n`
}

/** A source file as declarations, by their names. */
function read(file) {
  const { code, errors } = isolatedDeclarationSync(file, readFileSync(file, 'utf8'))
  const { program, comments } = parseSync(file.replace(/\.ts$/, '.d.ts'), code, { sourceType: 'module' })
  const module = { declarations: new Map(), imports: new Map(), reExports: new Map(), stars: [], exported: new Set() }
  const at = (source) => join(dirname(file), source.value)
  let end = 0
  for (const statement of program.body) {
    const lead = comments.filter((comment) => comment.start >= end && comment.end <= statement.start && comment.value.startsWith('*')).at(
      -1,
    )
    end = statement.end
    const declare = (declaration) => {
      const text = code.slice(declaration.start, declaration.end).replace(/^(?!declare\b|interface\b|type\b)/, 'declare ')
      const uses = new Set(text.match(/[A-Za-z_$][\w$]*/g))
      const doc = lead ? `${code.slice(lead.start, lead.end)}\n` : ''
      for (const name of namesOf(declaration)) {
        // Of one that is overloaded all.
        const known = module.declarations.get(name)
        module.declarations.set(name, {
          code: known ? `${known.code}\n${doc}${text}` : doc + text,
          uses: new Set([...known?.uses ?? [], ...uses]),
        })
      }
      return namesOf(declaration)
    }
    if (statement.type === 'ImportDeclaration') {
      for (const { local, imported } of statement.specifiers)
        module.imports.set(local.name, { file: at(statement.source), name: imported.name })
    } else if (statement.type === 'ExportAllDeclaration') module.stars.push(at(statement.source))
    else if (statement.type === 'ExportNamedDeclaration') {
      if (statement.declaration) { for (const name of declare(statement.declaration)) module.exported.add(name) }
      for (const { local, exported } of statement.specifiers) {
        if (statement.source) module.reExports.set(exported.name, { file: at(statement.source), name: local.name })
        else module.exported.add(exported.name)
      }
    } else declare(statement)
  }
  // What cannot be said without inference is an error where it is public.
  return { ...module, errors }
}

const namesOf = (declaration) => (declaration.declarations ? declaration.declarations.map(({ id }) => id.name) : [declaration.id.name])

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(root, 'dist', 'runtime', 'module-types.txt'), joinTypes())

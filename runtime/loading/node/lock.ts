/** Locks between processes, as files: two trainings never write to one place. */
import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { withFile } from '../file-error.ts'
import { draftOf, HOST, isAlive } from './files.ts'

export interface Holder {
  readonly host: string
  readonly pid: number
  /** Start time of the process in the kernel's own count, since process numbers are reused. */
  readonly began?: string
}

export interface Lock {
  release(): Promise<void>
}

/** A holder shows that it lives so often; one on another machine that did not for so long is dead. */
const BEAT_MS = 15_000
const DEAD_MS = 120_000

/** Texts of the locks that this process has, or is about to take with a draft, by their files: both go when it exits. */
const held = new Map<string, { readonly mine: string; readonly draft?: string }>()

/** Lets go of all locks that this process has, at once: a signal is about to end it. */
export function dropLocks(): void {
  for (const [file, { mine, draft }] of held) {
    if (draft !== undefined) rmSync(draft, { force: true })
    if (textOf(file) === mine) rmSync(file, { force: true })
  }
}

const hold = (file: string, lock: { readonly mine: string; readonly draft?: string }): void => {
  if (held.size === 0) process.on('exit', dropLocks)
  held.set(file, lock)
}

const letGo = (file: string, mine: string): void => {
  if (held.get(file)?.mine !== mine) return
  held.delete(file)
  if (held.size === 0) process.off('exit', dropLocks)
}

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Takes a lock, or says who has it. What a dead process left is taken over. */
export async function takeLock(file: string): Promise<Lock | Holder> {
  const mine = `${JSON.stringify({ host: HOST, pid: process.pid, began: beganAt(process.pid), key: randomBytes(8).toString('hex') })}\n`
  const own = draftOf(file)
  // The one that this process has already is not forgotten for another try.
  const isFirst = !held.has(file)
  if (isFirst) hold(file, { mine, draft: own })
  let taken = false
  try {
    await withFile(file, 'written', async () => {
      await mkdir(dirname(file), { recursive: true })
      await writeFile(own, mine)
    })
    for (;;) {
      if (await linkTo(own, file)) break
      const there = await readFile(file, 'utf8').catch(() => '')
      const holder = parse(there)
      if (await lives(file, holder)) return holder ?? { host: HOST, pid: 0 }
      if (await takeOver(file, own, there)) break
    }
    taken = true
  } finally {
    await rm(own, { force: true }).catch(() => {})
    if (isFirst && !taken) letGo(file, mine)
  }
  const beat = setInterval(() => {
    const now = new Date()
    utimes(file, now, now).catch(() => {})
  }, BEAT_MS)
  beat.unref()
  hold(file, { mine })
  return {
    async release() {
      clearInterval(beat)
      letGo(file, mine)
      if (await readFile(file, 'utf8').catch(() => '') === mine) await rm(file, { force: true }).catch(() => {})
    },
  }
}

/**
 * Puts `own` in the place of what a dead holder left. Of all who saw the same text there, one gets the claim to it, and nobody else
 * changes the file as long as that text is in it.
 */
async function takeOver(file: string, own: string, there: string): Promise<boolean> {
  const claim = `${file}.${createHash('sha256').update(there).digest('hex').slice(0, 12)}`
  if (!await linkTo(own, claim)) {
    if (!await lives(claim, parse(await readFile(claim, 'utf8').catch(() => '')))) await rm(claim, { force: true })
    await new Promise((done) => setTimeout(done, 10))
    return false
  }
  try {
    if (await readFile(file, 'utf8').catch(() => undefined) !== there) return false
    await withFile(file, 'written', () => rename(own, file))
    return true
  } finally {
    await rm(claim, { force: true })
  }
}

/** The file of another name, complete from its first moment; false if that name is taken. */
async function linkTo(own: string, file: string): Promise<boolean> {
  return withFile(file, 'written', async () => {
    try {
      await link(own, file)
      return true
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') return false
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error
    }
    // A disk without second names.
    return writeFile(file, await readFile(own), { flag: 'wx' }).then(() => true, (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    })
  })
}

async function lives(file: string, holder: Holder | undefined): Promise<boolean> {
  const age = Date.now() - ((await stat(file).catch(() => undefined))?.mtimeMs ?? 0)
  // Not yet written to, on a disk without second names.
  if (!holder) return age < 5_000
  if (holder.host !== HOST) return age < DEAD_MS
  if (!isAlive(holder.pid)) return false
  const began = beganAt(holder.pid)
  return began === undefined || holder.began === undefined || began === holder.began
}

function parse(text: string): Holder | undefined {
  try {
    const { host, pid, began } = JSON.parse(text) as Partial<Record<string, unknown>>
    if (typeof host !== 'string' || !Number.isSafeInteger(pid) || (pid as number) < 1) return undefined
    return { host, pid: pid as number, ...(typeof began === 'string' && { began }) }
  } catch {
    return undefined
  }
}

/** Field 22 of proc(5)'s stat, behind the name in parentheses; undefined where there is no /proc. */
function beganAt(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

export const sayHolder = (holder: Holder): string =>
  holder.host === HOST ? (holder.pid === 0 ? 'another process' : `process ${holder.pid}`) : `process ${holder.pid} of another machine`

import { execFile } from 'node:child_process'
import { chmod, link, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileError } from '../../runtime/loading/file-error.ts'
import { HOST, replaceFile, replaceFiles, removeLeftOvers, tryFolder } from '../../runtime/loading/node/files.ts'
import { takeLock } from '../../runtime/loading/node/lock.ts'

let folder: string
const at = (name: string): string => join(folder, name)
/** The number of a process that has ended. */
let dead: number

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-files-'))
  const child = promisify(execFile)(process.execPath, ['-e', ''])
  dead = child.child.pid!
  await child
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('replacing a file', () => {
  test('keeps its mode', async () => {
    await writeFile(at('secret'), 'old')
    await chmod(at('secret'), 0o600)
    await replaceFile(at('secret'), 'new')
    expect((await stat(at('secret'))).mode & 0o777).toBe(0o600)
    expect(await readFile(at('secret'), 'utf8')).toBe('new')
  })

  test('a link stays one, and what it points to is changed', async () => {
    await writeFile(at('target'), 'old')
    await symlink('target', at('link'))
    await symlink('later', at('dangling'))
    await replaceFile(at('link'), 'new')
    await replaceFile(at('dangling'), 'made')
    expect((await lstat(at('link'))).isSymbolicLink()).toBe(true)
    expect(await readlink(at('dangling'))).toBe('later')
    expect([await readFile(at('target'), 'utf8'), await readFile(at('later'), 'utf8')]).toEqual(['new', 'made'])
  })

  test('a file with two names has the new text under both', async () => {
    await writeFile(at('one'), 'old and longer')
    await link(at('one'), at('two'))
    await replaceFile(at('one'), 'new')
    expect([await readFile(at('two'), 'utf8'), (await stat(at('one'))).nlink]).toEqual(['new', 2])
  })

  test('leaves nothing beside it', async () => {
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('of several none is replaced where one cannot be', async () => {
    await writeFile(at('first'), 'old')
    await mkdir(at('taken'))
    await expect(replaceFiles(new Map([[at('first'), 'new'], [at('taken'), 'x']]))).rejects.toThrow(
      /taken cannot be written: it is a folder/,
    )
    expect(await readFile(at('first'), 'utf8')).toBe('old')
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('a device is written to, not replaced', async () => {
    await expect(replaceFile('/dev/full', 'x')).rejects.toThrow('/dev/full cannot be written: the disk is full')
    expect((await stat('/dev/full')).isCharacterDevice()).toBe(true)
  })

  test('drafts of dead processes go, those of living ones stay', async () => {
    const draft = (host: string, pid: number): string => `left.${host}-${pid}-01234567.tmp`
    for (const name of [draft(HOST, dead), draft(HOST, process.pid), draft('ffffffff', dead)]) await writeFile(at(name), '')
    await removeLeftOvers(at('left'))
    expect((await readdir(folder)).filter((name) => name.startsWith('left.')).sort()).toEqual(
      [draft(HOST, process.pid), draft('ffffffff', dead)].sort(),
    )
  })
})

test('a place is tried before the work', async () => {
  await expect(tryFolder(at('not/yet/there'))).resolves.toBeUndefined()
  await expect(stat(at('not'))).rejects.toThrow()
  await writeFile(at('file'), '')
  await expect(tryFolder(at('file/below'))).rejects.toThrow(/cannot be written: a part of it is a file/)
  await expect(tryFolder('/proc/nothing')).rejects.toThrow(/\/proc\/nothing cannot be written/)
})

describe('a lock', () => {
  test('one holder at a time', async () => {
    const first = await takeLock(at('lock'))
    expect(await takeLock(at('lock'))).toMatchObject({ pid: process.pid })
    await (first as { release(): Promise<void> }).release()
    const third = await takeLock(at('lock'))
    expect(third).toHaveProperty('release')
    await (third as { release(): Promise<void> }).release()
    expect((await readdir(folder)).filter((name) => name.startsWith('lock'))).toEqual([])
  })

  test.each([
    ['of a dead process', () => ({ host: HOST, pid: dead })],
    ['of a process whose number was used again', () => ({ host: HOST, pid: process.pid, began: '1' })],
  ])('%s is taken over', async (_, holder) => {
    await writeFile(at('stale'), JSON.stringify(holder()))
    const lock = await takeLock(at('stale'))
    expect(lock).toHaveProperty('release')
    await (lock as { release(): Promise<void> }).release()
  })

  test('of another machine counts while it is fresh', async () => {
    await writeFile(at('far'), JSON.stringify({ host: 'ffffffff', pid: 1 }))
    expect(await takeLock(at('far'))).toEqual({ host: 'ffffffff', pid: 1 })
  })

  test('many at once: one has it', async () => {
    await writeFile(at('race'), JSON.stringify({ host: HOST, pid: dead }))
    const all = await Promise.all(Array.from({ length: 12 }, () => takeLock(at('race'))))
    expect(all.filter((lock) => 'release' in lock)).toHaveLength(1)
  })
})

test.each([
  ['ENOSPC', /x cannot be written: the disk is full/],
  ['EROFS', /read-only/],
  ['EIO', /the disk failed/],
  ['EMFILE', /ulimit/],
  ['EACCES', /permission denied/],
  ['EISDIR', /it is a folder/],
  ['EEXIST', /in the way/],
  ['Z_DATA_ERROR', /damaged or cut off/],
  ['EWHATEVER', /x cannot be written: boom/],
])('%s has its reason', (code, says) => {
  expect(fileError(Object.assign(new Error('boom'), { code }), 'x', 'written')?.message).toMatch(says)
})

test("what is not the environment's stays what it is", () => {
  expect(fileError(new TypeError('x'), 'x', 'read')).toBeUndefined()
  expect(fileError(Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' }), 'x', 'read')).toBeUndefined()
})

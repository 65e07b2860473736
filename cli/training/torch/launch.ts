import { type ChildProcess, spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often torchrun starts all processes anew where one of them dies. */
const MOST_RESTARTS = 3
/** How often the file of events is looked at. */
const LOOK_EVERY_MS = 100
/** What is kept of what Python says, for where it fails. */
const MOST_SAID = 64 * 1024

export interface Launch {
  readonly python: string
  readonly processes: number
  /** The folder that holds train.py; files of this run go there too. */
  readonly folder: string
  readonly options: readonly string[]
  readonly threads?: number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  event(event: Readonly<Record<string, unknown>>): void
  /** Somebody else than train.py started it anew. */
  restarted(count: number): void
}

export interface Launched {
  /** Asks for an end: it finishes its update, keeps a snapshot and ends. */
  end(): void
  /** Ends it at once. */
  kill(): void
  readonly done: Promise<{ readonly code: number | null; readonly said: string }>
}

/** Runs train.py by itself, or several by torchrun. Events come by a file, since torchrun writes names before what processes print. */
export async function launch({ python, processes, folder, options, threads, env, event, restarted }: Launch): Promise<Launched> {
  const events = join(folder, 'events.jsonl')
  await (await open(events, 'w')).close()
  const program = [join(folder, 'train.py'), ...options, '--events', events]
  const perProcess = Math.max(1, Math.floor((threads ?? availableParallelism()) / processes))
  const child = spawn(python, processes === 1 ? ['-u', ...program] : [...await torchrun(processes, folder), ...program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a group of its own: Ctrl-C reaches it by us alone, once.
    detached: true,
    env: { ...env, PYTHONUNBUFFERED: '1', OMP_NUM_THREADS: env['OMP_NUM_THREADS'] ?? String(perProcess) },
  })
  let said = ''
  const keep = (text: Buffer): void => {
    said = (said + text.toString()).slice(-MOST_SAID)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  let starts = 0
  const reader = followLines(events, (line) => {
    const found = JSON.parse(line) as Record<string, unknown>
    if (found['event'] === 'start' && starts++ > 0) restarted(starts - 1)
    event(found)
  })
  const code = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (status) => resolve(status))
  })
  return {
    end: () => void child.kill(processes === 1 ? 'SIGINT' : 'SIGTERM'),
    kill: () => killGroup(child),
    done: code.then(async (status) => {
      await reader.stop()
      return { code: status, said }
    }),
  }
}

/** The words in front of train.py. By both --redirects and --tee Debian's PyTorch 1.13 runs under Python 3.11, whose enums it cannot read otherwise. */
async function torchrun(processes: number, folder: string): Promise<string[]> {
  return [
    ...['-m', 'torch.distributed.run', '--nproc_per_node', String(processes), '--max_restarts', String(MOST_RESTARTS)],
    ...['--redirects', '1', '--tee', '1', '--log_dir', join(folder, 'log'), '--master_port', String(await freePort())],
  ]
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** Calls back for each line that is appended to a file, until it is stopped; then for what is left. */
function followLines(path: string, told: (line: string) => void): { stop(): Promise<void> } {
  let ended = false
  const followed = (async (): Promise<void> => {
    const file = await open(path, 'r')
    let rest = ''
    try {
      for (;;) {
        const last = ended
        const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(1 << 16) })
        const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n')
        rest = lines.pop()!
        lines.forEach(told)
        if (bytesRead === 0 && last) return
        if (bytesRead === 0) await sleep(LOOK_EVERY_MS)
      }
    } finally {
      await file.close()
    }
  })()
  return {
    stop() {
      ended = true
      return followed
    },
  }
}

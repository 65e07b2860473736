import { InputError } from '../../bundle/errors.ts'

/** The environment's own trouble with a file: its name, the reason and what to do. `code` is the system's (`ENOSPC`). */
export class FileError extends InputError {
  readonly path: string
  readonly code: string

  constructor(path: string, code: string, message: string) {
    super(message)
    this.path = path
    this.code = code
  }
}

export type Doing = 'read' | 'written'

/** Why, by the codes of POSIX, and what to do about it. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: change its permissions, or name another place',
  EPERM: 'permission denied: change its permissions, or name another place',
  EROFS: 'the disk is read-only: name another place',
  ENOSPC: 'the disk is full: make room, or name another place',
  EDQUOT: 'the quota of the disk is used up: make room, or name another place',
  EFBIG: 'the file would be larger than this disk takes: name another place',
  EEXIST: 'a file is in the way: remove it, or name another place',
  ENOTDIR: 'a part of it is a file, not a folder',
  EISDIR: 'it is a folder, a file is wanted',
  ENOTEMPTY: 'a folder with other files is in the way: name another place',
  EIO: 'the disk failed (EIO): see whether it is full, damaged or no longer there',
  ESTALE: 'the network disk is no longer there (ESTALE)',
  ENXIO: 'the device behind it is not there (ENXIO)',
  ENODEV: 'the device behind it is not there (ENODEV)',
  EMFILE: 'too many files are open: raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine: close some programs',
  ENOMEM: 'there is not enough memory',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  EBUSY: 'another program uses it: close that, or name another place',
  ETXTBSY: 'another program uses it: close that, or name another place',
  EXDEV: 'it lies on another disk than its folder: name another place',
  EINVAL: 'its name or its disk does not allow that (EINVAL)',
  ENOTSUP: 'its disk does not allow that (ENOTSUP)',
  EPIPE: 'its reader went away',
  ERR_FS_FILE_TOO_LARGE: 'it is larger than 2 GiB, which is read at once at most',
}
/** zlib's: what was to be unpacked is not what it should be. */
const UNPACKING = /^(Z_[A-Z_]+|ERR_BUFFER_TOO_LARGE)$/

/** An error of the system or of zlib as a FileError; undefined for any other, which is not the environment's. */
export function fileError(error: unknown, path: string, doing: Doing): FileError | undefined {
  if ((error as NodeJS.ErrnoException | null)?.syscall === 'uv_cwd')
    return new FileError('.', 'ENOENT', 'the working folder was removed or moved: go to another one (cd)')
  if (error instanceof FileError) return error
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined
  if (typeof code !== 'string') return undefined
  const { message } = error as Error
  if (UNPACKING.test(code))
    return new FileError(path, code, `${path} cannot be unpacked: it is damaged or cut off (${message}); fetch or pack it again`)
  if (code === 'ENOENT')
    return new FileError(
      path,
      code,
      doing === 'read' ? `there is no file ${path}` : `${path} cannot be written: a folder of it is not there`,
    )
  const reason = Object.hasOwn(REASONS, code) ? REASONS[code] : /^E[A-Z0-9]+$/.test(code) ? message : undefined
  return reason === undefined ? undefined : new FileError(path, code, `${path} cannot be ${doing}: ${reason}`)
}

/** Does work on a file; what the environment has against it is thrown as a FileError that names `path`. */
export async function withFile<T>(path: string, doing: Doing, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fileError(error, path, doing) ?? error
  }
}

/**
 * Ends the process once what it printed has been taken: what a pipe has not room for yet, 64 KB, is lost by `process.exit` alone. Devices and threads
 * would keep the process otherwise. Never comes back.
 */
export const end = (code = 0) => new Promise(() => process.stdout.write('', () => process.stderr.write('', () => process.exit(code))))

/** The script of the worker as a text. The build of the package puts it here, compressed: from the sources there is none. */
export const textOfWorker = (): Promise<string> => Promise.resolve('')

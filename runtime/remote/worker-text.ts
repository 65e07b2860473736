/** The script of the worker as a text. The build of the package puts it here: from the sources there is none. */
export const TEXT: string = ''

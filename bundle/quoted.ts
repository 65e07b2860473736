/** A word of a command as a shell takes it: in double quotes, which every shell knows, where they keep it as it is. */
export function quoted(word: string): string {
  if (/^[\p{L}\p{N}_@%+=:,./-]+$/u.test(word)) return word
  return /["$`!]|\\\\|\\$/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`
}

/**
 * Names of the language for the names of a case, which are any text: `conv1/3x3`, `in`, `a.b` beside `a_b`. Each is
 * asked for by what it names and always answered with the same word; no two get one.
 */
export class Words {
  private readonly words = new Map<string, string>()
  private readonly taken = new Set<string>()

  of(name: string): string {
    const known = this.words.get(name)
    if (known !== undefined) return known
    const plain = name.replace(/[^A-Za-z0-9_]/g, '_')
    let word = plain
    for (let i = 2; this.taken.has(word.toLowerCase()); i++) word = `${plain}_${i}`
    this.taken.add(word.toLowerCase())
    this.words.set(name, word)
    return word
  }
}

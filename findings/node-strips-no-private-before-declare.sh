#!/usr/bin/env bash
# Node's type stripping: a method that is called `declare` keeps its modifier. `private declare(...)` is TypeScript that tsc compiles and runs (a modifier, and a name
# that is no reserved word); node takes the types of its arguments away, leaves `private`, and stops with a SyntaxError of what is then no JavaScript.
# Without the modifier, or under another name (`private state(...)`), the same file runs.
# Seen with the `node` package of npm 24.11.1 and typescript 5.9.3:
#   tsc:   ok
#   node:  SyntaxError: Unexpected identifier 'declare'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node@24.11.1 typescript@5.9.3 > /dev/null
method() {
  printf 'class Scope {\n  %s(name: string): string { return name }\n  say(): string { return this.%s("ok") }\n}\nconsole.log(new Scope().say())\n' "$1" "${1##* }" > "$2.ts"
}
method 'private declare' declared
method 'private state' other
node=$(ls -d node_modules/node/bin/node node_modules/.bin/node 2> /dev/null | head -1)
node_modules/.bin/tsc --strict --target es2022 --lib es2022,dom declared.ts
compiled=$("$node" declared.js)
stripped=$("$node" --no-warnings declared.ts 2>&1 | grep -o "SyntaxError: .*" || true)
echo "tsc:   $compiled"
echo "node:  $stripped"
[ "$compiled" = ok ] && [ "$stripped" = "SyntaxError: Unexpected identifier 'declare'" ] && [ "$("$node" --no-warnings other.ts)" = ok ] || { echo 'they do otherwise now'; exit 1; }

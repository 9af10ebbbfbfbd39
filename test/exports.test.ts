/**
 * One name, one thing: grep and jump-to-definition work only if no two exports of `src` share a name. And each has a
 * docstring, and no line is too wide to be read beside another file.
 */
import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAX_COLUMNS = 120;
const EXPORT = /^export (?:async )?(?:abstract )?(?:const|function\*?|class|interface|type|enum|let) (\w+)/;

const read = (pattern: string) =>
  globSync(pattern, { cwd: ROOT })
    .map((path) => path.split(sep).join('/'))
    .toSorted()
    .map((path) => ({ path, lines: readFileSync(join(ROOT, path), 'utf8').split('\n') }));

/** Released steps of the schema are never edited. */
const isExempt = (path: string): boolean => path === 'src/store/sqlite/migrations.ts';

const FILES = read('src/**/*.ts');
const EXPORTS = FILES.flatMap(({ path, lines }) =>
  lines.flatMap((line, index) => {
    const name = EXPORT.exec(line)?.[1];
    return name === undefined ? [] : [{ name, path, before: lines[index - 1] ?? '' }];
  }),
);

describe('the exports of src', () => {
  it('finds the exports of src', () => expect(EXPORTS.length).toBeGreaterThan(500));

  it('gives each export of src a name of its own', () => {
    const shared = [...Map.groupBy(EXPORTS, ({ name }) => name)].filter(([, places]) => places.length > 1);
    expect(shared.map(([name, places]) => `${name}: ${places.map(({ path }) => path).join(', ')}`)).toEqual([]);
  });

  it('gives each export of src a docstring', () => {
    const bare = EXPORTS.filter(({ before }) => !before.trimEnd().endsWith('*/'));
    expect(bare.map(({ path, name }) => `${path} ${name}`)).toEqual([]);
  });
});

/** What cannot be broken: a pattern or a text of a wire, a line of a program within a text, the title of a test. */
const UNBREAKABLE =
  /^\s*(?:(?:\w+: |const \w+ = |return |it\(|next\()?['"`/]|\/|.*\$\{JSON|.*urllib|if \(process\.env|write\(path|next\(|--budget)/;

it.each(['src', 'scripts', 'bin', 'test', 'bench'])(
  'has no line in %s with more columns than fit beside another file',
  (folder) => {
    const wide = read(`${folder}/**/*.{ts,mjs,js}`)
      .filter(({ path }) => !path.includes('node_modules') && path !== 'src/operations/generated.ts')
      .flatMap(({ path, lines }) =>
        lines.flatMap((line, index) =>
          line.length > MAX_COLUMNS &&
          !(isExempt(path) || (folder === 'test' && UNBREAKABLE.test(line)) || /^\s*\/[\^(]/.test(line))
            ? [`${path}:${index + 1}`]
            : [],
        ),
      );
    expect(wide).toEqual([]);
  },
);

/**
 * The syntax of filters: text to a tree and back. What the fields mean, `record-filter.ts` knows. Pure.
 *
 *   model:*haiku* -status:2xx             both
 *   error:Throttl* | error:/timeout$/i    one of them; binds less than what stands side by side
 *   -(key:alice | key:"my laptop")        not
 *   ttfb:>2s  in:1k..10k                  numbers, with their units
 */

/** What a term asks for, as it stood: a glob, exact text in quotes, or a regular expression. */
export type FilterValue =
  | { readonly kind: 'glob'; readonly text: string }
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'regex'; readonly source: string; readonly ignoresCase: boolean };

/** `field` is undefined for a bare word. `at`: the character where it begins, from 0. */
export interface FilterTerm {
  readonly kind: 'term';
  readonly field: string | undefined;
  readonly value: FilterValue;
  readonly at: number;
}

/** The tree of a filter. `and` and `or` have two parts at least, or none: then `and` lets all through. */
export type Filter =
  | FilterTerm
  | { readonly kind: 'not'; readonly of: Filter }
  | { readonly kind: 'and' | 'or'; readonly of: readonly Filter[] };

/** What is wrong with a filter, in a sentence, and what may have been meant. */
export interface FilterProblem {
  readonly problem: string;
  readonly hint?: string | undefined;
}

/** Longer ones are no one's. It bounds how deep a tree can be, too. */
const MAX_LENGTH = 2_000;
const MAX_DEPTH = 50;
const FIELD = /[a-z]+:/y;
const BARE = /[^\s()|]+/y;
const BLANKS = /\s*/y;

/** Reads the text of a filter. Empty text lets everything through. */
export function parseFilter(text: string): Filter | FilterProblem {
  if (text.length > MAX_LENGTH) return { problem: `It has more than ${MAX_LENGTH} characters.` };
  try {
    return new Parser(text).parse();
  } catch (thrown) {
    if (thrown instanceof Misfit) return { problem: thrown.message, hint: thrown.hint };
    throw thrown;
  }
}

/** The text of a tree, which `parseFilter` reads as the same tree but for the positions of its terms. */
export function printFilter(filter: Filter): string {
  switch (filter.kind) {
    case 'term':
      return `${filter.field === undefined ? '' : `${filter.field}:`}${printValue(filter.value)}`;
    case 'not':
      return `-${printPart(filter.of)}`;
    case 'and':
      return filter.of.map(printPart).join(' ');
    case 'or':
      return filter.of.map((part) => (part.kind === 'or' ? printPart(part) : printFilter(part))).join(' | ');
  }
}

/** Every term of it. */
export function termsOf(filter: Filter): readonly FilterTerm[] {
  if (filter.kind === 'term') return [filter];
  return filter.kind === 'not' ? termsOf(filter.of) : filter.of.flatMap(termsOf);
}

/** Where in the text a term begins, for people. */
export function placeOf({ at }: Pick<FilterTerm, 'at'>): string {
  return `at character ${at + 1}`;
}

function printPart(filter: Filter): string {
  return filter.kind === 'and' || filter.kind === 'or' ? `(${printFilter(filter)})` : printFilter(filter);
}

function printValue(value: FilterValue): string {
  if (value.kind === 'glob') return value.text;
  if (value.kind === 'exact') return `"${value.text.replaceAll(/["\\]/g, '\\$&')}"`;
  return `/${value.source}/${value.ignoresCase ? 'i' : ''}`;
}

class Misfit extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** State: how far the text is read, and how deep in parentheses. */
class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Filter {
    const filter = this.#readOr();
    if (this.#at < this.#text.length) throw new Misfit(`A parenthesis closes ${this.#here()} that none opened.`);
    return filter;
  }

  #readOr(): Filter {
    const parts = [this.#readAnd()];
    while (this.#take('|')) parts.push(this.#readAnd());
    const [first] = parts;
    const hole = parts.length > 1 && parts.find((part) => part.kind === 'and' && part.of.length === 0);
    if (hole) throw new Misfit('Something is missing beside a |.', 'Each side of it wants a term.');
    return first !== undefined && parts.length === 1 ? first : { kind: 'or', of: parts };
  }

  #readAnd(): Filter {
    const parts: Filter[] = [];
    for (this.#skip(); this.#at < this.#text.length && !/[|)]/.test(this.#next()); this.#skip()) {
      parts.push(this.#readNot());
    }
    const [first] = parts;
    return first !== undefined && parts.length === 1 ? first : { kind: 'and', of: parts };
  }

  #readNot(): Filter {
    if (!/[-!]/.test(this.#next())) return this.#readPart();
    this.#at += 1;
    if (!/[^\s)|]/.test(this.#next())) throw new Misfit(`Nothing follows the - ${this.#here()}.`);
    return { kind: 'not', of: this.#deeper(() => this.#readNot()) };
  }

  #readPart(): Filter {
    if (!this.#take('(')) return this.#readTerm();
    const inner = this.#deeper(() => this.#readOr());
    if (!this.#take(')')) throw new Misfit('A parenthesis is not closed.');
    if (inner.kind === 'and' && inner.of.length === 0) throw new Misfit('Parentheses have nothing between them.');
    return inner;
  }

  #readTerm(): FilterTerm {
    const at = this.#at;
    const field = this.#match(FIELD)?.slice(0, -1);
    return { kind: 'term', field, value: this.#readValue(field), at };
  }

  #readValue(field: string | undefined): FilterValue {
    const begin = this.#at;
    const next = this.#next();
    if (next === '"') return { kind: 'exact', text: this.#readUntil('"').replaceAll(/\\(["\\])/g, '$1') };
    if (next === '/' && (field !== undefined || this.#closes('/'))) {
      const source = this.#readUntil('/');
      const ignoresCase = this.#next() === 'i';
      if (ignoresCase) this.#at += 1;
      requireRegex(source, `at character ${begin + 1}`);
      return { kind: 'regex', source, ignoresCase };
    }
    const text = this.#match(BARE);
    if (text === undefined) throw new Misfit(`${field ?? ''}: ${this.#here()} has no value.`);
    return { kind: 'glob', text };
  }

  /** What stands between two of a character, the escapes still in it. */
  #readUntil(end: string): string {
    const begin = this.#at + 1;
    for (let at = begin; at < this.#text.length; at += 1) {
      if (this.#text[at] === '\\') at += 1;
      else if (this.#text[at] === end) {
        this.#at = at + 1;
        return this.#text.slice(begin, at);
      }
    }
    throw new Misfit(`The ${end} at character ${begin} has no other one.`);
  }

  #closes(end: string): boolean {
    return this.#text.indexOf(end, this.#at + 1) !== -1;
  }

  #deeper<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new Misfit(`It is nested deeper than ${MAX_DEPTH} times.`);
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    this.#at += found?.length ?? 0;
    return found;
  }

  #take(character: string): boolean {
    this.#skip();
    if (this.#next() !== character) return false;
    this.#at += 1;
    return true;
  }

  #skip(): void {
    this.#match(BLANKS);
  }

  #next(): string {
    return this.#text[this.#at] ?? '';
  }

  #here(): string {
    return placeOf({ at: this.#at });
  }
}

function requireRegex(source: string, place: string): void {
  try {
    void new RegExp(source, 'u');
  } catch {
    throw new Misfit(`The regular expression ${place} is not one.`);
  }
}

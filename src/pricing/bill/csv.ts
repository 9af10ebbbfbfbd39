/**
 * Reads CSV (RFC 4180) as it comes, in memory that does not grow with the file: a bill may have gigabytes. Strict, so
 * that no amount is read out of the wrong column: a quotation mark in the wrong place, or a record with more or fewer
 * fields than the head, is an error with its line and column. No I/O.
 */

/** Characters of a record. AWS's have some thousand. */
const MAX_RECORD_LENGTH = 4 << 20;
const [QUOTE, COMMA, LINE_FEED, CARRIAGE_RETURN] = [0x22, 0x2c, 0x0a, 0x0d];

/** What is wrong with a CSV, and where; both count from 1. */
export class CsvError extends Error {
  override readonly name = 'CsvError';
  readonly line: number;
  readonly column: number;

  constructor(problem: string, line: number, column: number) {
    super(problem);
    this.line = line;
    this.column = column;
  }
}

/** Fields in the order of the columns, and the line in which the record begins. */
export type CsvRecord = readonly [fields: readonly string[], line: number];

/** A reader for one file. State: what of a record has come, and where it stands. */
export class CsvReader {
  #text = '';
  #at = 0;
  #line = 1;
  #width: number | undefined;

  /** The records that are complete with this text. Throws CsvError. */
  *push(text: string): Generator<CsvRecord> {
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = 0;
    yield* this.#readRecords(false);
    if (this.#text.length - this.#at > MAX_RECORD_LENGTH) {
      throw new CsvError('a record of more than 4 MB', this.#line, 1);
    }
  }

  /** The last record, if no line break ends it. Throws CsvError. */
  *end(): Generator<CsvRecord> {
    yield* this.#readRecords(true);
  }

  *#readRecords(isEnd: boolean): Generator<CsvRecord> {
    while (this.#at < this.#text.length) {
      const line = this.#line;
      const fields = this.#readRecord(isEnd);
      if (fields === undefined) return;
      if (fields.length === 1 && fields[0] === '') continue;
      this.#width ??= fields.length;
      if (fields.length !== this.#width) {
        throw new CsvError(`${fields.length} fields, but ${this.#width} in the head`, line, 1);
      }
      yield [fields, line];
    }
  }

  /** Undefined if the record is not all there: it is read again with more text. */
  #readRecord(isEnd: boolean): string[] | undefined {
    const text = this.#text;
    const fields: string[] = [];
    let line = this.#line;
    let lineStart = this.#at;
    let at = this.#at;
    for (;;) {
      const start = at;
      if (text.charCodeAt(at) === QUOTE) {
        const end = endOfQuoted(text, at);
        // The character after the mark decides whether it was the last one.
        if (end === undefined || (end === text.length && !isEnd)) {
          if (!isEnd) return undefined;
          throw new CsvError('a quotation mark that is never closed', line, start - lineStart + 1);
        }
        const inner = text.slice(start + 1, end - 1);
        fields.push(inner.includes('"') ? inner.replaceAll('""', '"') : inner);
        const breaks = countLineFeeds(inner);
        if (breaks > 0) {
          line += breaks;
          lineStart = start + 1 + inner.lastIndexOf('\n') + 1;
        }
        at = end;
      } else {
        at = endOfPlain(text, at);
        if (text.charCodeAt(at) === QUOTE)
          throw new CsvError('a quotation mark inside a field', line, at - lineStart + 1);
        fields.push(text.slice(start, at));
      }
      const code = text.charCodeAt(at);
      if (code === COMMA) {
        at += 1;
        continue;
      }
      const next = afterLineBreak(text, at, isEnd);
      if (next === undefined) return undefined;
      if (next === 'none') throw new CsvError('text behind a quotation mark', line, at - lineStart + 1);
      this.#at = next;
      this.#line = line + 1;
      return fields;
    }
  }
}

/** Behind the mark that closes the field; undefined if there is none. */
function endOfQuoted(text: string, start: number): number | undefined {
  for (let at = start + 1; ;) {
    const mark = text.indexOf('"', at);
    if (mark === -1) return undefined;
    if (text.charCodeAt(mark + 1) !== QUOTE) return mark + 1;
    at = mark + 2;
  }
}

function endOfPlain(text: string, start: number): number {
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === LINE_FEED || code === QUOTE || code === CARRIAGE_RETURN) return at;
  }
  return text.length;
}

/** Where the next record begins; undefined if more text has to tell. */
function afterLineBreak(text: string, at: number, isEnd: boolean): number | undefined | 'none' {
  const code = text.charCodeAt(at);
  if (code === LINE_FEED) return at + 1;
  if (at >= text.length) return isEnd ? at : undefined;
  if (code !== CARRIAGE_RETURN) return 'none';
  if (at + 1 >= text.length) return isEnd ? at + 1 : undefined;
  return text.charCodeAt(at + 1) === LINE_FEED ? at + 2 : 'none';
}

function countLineFeeds(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

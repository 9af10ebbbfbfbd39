import { describe, expect, it } from 'vitest';
import { CsvError, CsvReader, type CsvRecord } from '../../../src/pricing/bill/csv.ts';

function read(pieces: readonly string[]): CsvRecord[] {
  const reader = new CsvReader();
  return [...pieces.flatMap((piece) => [...reader.push(piece)]), ...reader.end()];
}

describe('CsvReader', () => {
  it.each([
    {
      name: 'plain fields',
      text: 'a,b\n1,2\n',
      records: [
        ['a', 'b'],
        ['1', '2'],
      ],
    },
    {
      name: 'no line break at the end',
      text: 'a,b\n1,2',
      records: [
        ['a', 'b'],
        ['1', '2'],
      ],
    },
    {
      name: 'CR LF',
      text: 'a,b\r\n1,2\r\n',
      records: [
        ['a', 'b'],
        ['1', '2'],
      ],
    },
    {
      name: 'empty fields',
      text: 'a,b,c\n,,\n',
      records: [
        ['a', 'b', 'c'],
        ['', '', ''],
      ],
    },
    {
      name: 'commas in quotation marks',
      text: 'a,b\n"1,5","x"\n',
      records: [
        ['a', 'b'],
        ['1,5', 'x'],
      ],
    },
    { name: 'doubled marks', text: 'a\n"say ""no"""\n', records: [['a'], ['say "no"']] },
    {
      name: 'a map as JSON',
      text: 'a,b\n"{""k"":""v,w""}",1\n',
      records: [
        ['a', 'b'],
        ['{"k":"v,w"}', '1'],
      ],
    },
    {
      name: 'line breaks in marks',
      text: 'a,b\n"1\n2",3\n4,5\n',
      records: [
        ['a', 'b'],
        ['1\n2', '3'],
        ['4', '5'],
      ],
    },
    {
      name: 'empty lines',
      text: '\na,b\n\n1,2\n\n',
      records: [
        ['a', 'b'],
        ['1', '2'],
      ],
    },
    {
      name: 'an empty quoted field at the end',
      text: 'a,b\n1,""',
      records: [
        ['a', 'b'],
        ['1', ''],
      ],
    },
  ])('reads $name, wherever it is split', ({ text, records }) => {
    for (let at = 0; at <= text.length; at += 1) {
      expect(read([text.slice(0, at), text.slice(at)]).map(([fields]) => fields)).toEqual(records);
    }
    expect(read(text.split('')).map(([fields]) => fields)).toEqual(records);
  });

  it('counts lines, those within a field too', () => {
    expect(read(['a,b\n"1\n2",3\n4,5\n']).map(([, line]) => line)).toEqual([1, 2, 4]);
  });

  it.each([
    { name: 'too few fields', text: 'a,b\n1,2\n3\n', line: 3, column: 1 },
    { name: 'too many fields', text: 'a,b\n1,2,3\n', line: 2, column: 1 },
    { name: 'a mark inside a field', text: 'a,b\n1,x"y\n', line: 2, column: 4 },
    { name: 'text behind a mark', text: 'a,b\n"1"x,2\n', line: 2, column: 4 },
    { name: 'a mark that is never closed', text: 'a,b\n1,"2\n3\n', line: 2, column: 3 },
    { name: 'a lone CR', text: 'a,b\n1\r2,3\n', line: 2, column: 2 },
    { name: 'a fault behind a field of two lines', text: 'a,b\n"1\n2",x"y\n', line: 3, column: 5 },
  ])('refuses $name, and says where', ({ text, line, column }) => {
    expect(() => read([text])).toThrow(CsvError);
    for (const pieces of [[text], text.split('')]) {
      try {
        read(pieces);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ line, column });
      }
    }
  });

  it('keeps no more than a record', () => {
    const reader = new CsvReader();
    expect(Array.from(reader.push('"'))).toEqual([]);
    expect(() => {
      for (let count = 0; count < 8; count += 1) Array.from(reader.push('x'.repeat(1 << 20)));
    }).toThrow('a record of more than 4 MB');
  });
});

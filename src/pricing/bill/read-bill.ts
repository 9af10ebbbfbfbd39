/**
 * Reads a bill of AWS's: finds out by its first bytes what a file is, unpacks it, and hands its lines on one by one.
 * Nothing of a file is kept but its sums.
 */
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { measureJson } from '../../lib/json.ts';
import { printable } from '../../lib/printable.ts';
import type { Bill, BillTally } from './bill.ts';
import { badBill } from './bill-error.ts';
import { BILL_FORMATS, type CostReport, openCostReport } from './cost-report.ts';
import { readCostExplorer } from './cost-explorer.ts';
import { CsvError, CsvReader, type CsvRecord } from './csv.ts';

/** Cost Explorer's responses have some kilobytes a day. */
const MAX_JSON_BYTES = 64 << 20;
const MAX_JSON_DEPTH = 64;

/** What is to be said of a bill besides its sums. */
export interface BillReading {
  readonly bill: Bill;
  /** AWS says that amounts may change. */
  readonly isEstimated: boolean;
  /** A file is one page of several. */
  readonly isCut: boolean;
}

/** Reads all files into the tally. Throws ERR_BAD_OPTION naming file and place. */
export async function readBill(paths: readonly string[], tally: BillTally): Promise<BillReading> {
  let [isEstimated, isCut] = [false, false];
  for (const path of paths) {
    const remarks = await readFileInto(path, tally);
    isEstimated ||= remarks?.isEstimated ?? false;
    isCut ||= remarks?.isCut ?? false;
  }
  return { bill: tally.finish(), isEstimated, isCut };
}

type Remarks = Pick<BillReading, 'isEstimated' | 'isCut'>;

async function readFileInto(path: string, tally: BillTally): Promise<Remarks | undefined> {
  try {
    const bytes = await unpack(await peek(createReadStream(path)), path);
    const first = bytes.head
      .toString()
      .replace(/^\uFEFF/, '')
      .trimStart()
      .charAt(0);
    if (first === '') throw badBill(path, undefined, 'it is empty');
    if (first === '{' || first === '[') return await readJson(bytes.stream, path, tally);
    await readCsv(bytes.stream, path, tally);
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const code = findCode(error);
    throw badBill(path, undefined, PROBLEMS[code ?? ''] ?? `${code ?? String(error)}`);
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'it may not be read',
  Z_BUF_ERROR: 'the gzip ends before its end',
  Z_DATA_ERROR: 'the gzip is damaged',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not text in UTF-8',
};

/** A stream with its first bytes. */
interface PeekedStream {
  readonly head: Buffer;
  readonly stream: AsyncIterable<Buffer>;
}

/** At least four bytes, if there are as many. */
async function peek(source: AsyncIterable<Buffer>): Promise<PeekedStream> {
  const chunks = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 4) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return { head, stream: all() };
}

/** Once: what unpacks to itself would never end. */
async function unpack(packed: PeekedStream, path: string): Promise<PeekedStream> {
  const isGzip = packed.head[0] === 0x1f && packed.head[1] === 0x8b;
  // What goes wrong is thrown where the result is read.
  const { head, stream } = isGzip
    ? await peek(pipeline(Readable.from(packed.stream), createGunzip(), () => {}))
    : packed;
  const magic = head.subarray(0, 4).toString('latin1');
  if (magic === 'PAR1') {
    throw badBill(
      path,
      undefined,
      'it is Parquet',
      'Choose gzip (CSV) as the format of the export, or convert the file.',
    );
  }
  if (magic.startsWith('PK'))
    throw badBill(path, undefined, 'it is a zip archive', 'Unpack it, and name the file in it.');
  return { head, stream };
}

async function readCsv(stream: AsyncIterable<Buffer>, path: string, tally: BillTally): Promise<void> {
  const reader = new CsvReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let report: CostReport | undefined;
  const take = (records: Iterable<CsvRecord>): void => {
    for (const record of records) {
      if (report === undefined) {
        report = openCostReport(record[0], path);
        continue;
      }
      const { line, span } = report.readRecord(record);
      if (span !== undefined) tally.addSpan(span);
      if (line !== undefined) tally.addLine(line);
    }
  };
  try {
    for await (const chunk of stream) take(reader.push(decoder.decode(chunk, { stream: true })));
    take(reader.push(decoder.decode()));
    take(reader.end());
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw badBill(path, `line ${error.line}, column ${error.column}`, error.message, BILL_FORMATS);
  }
}

async function readJson(stream: AsyncIterable<Buffer>, path: string, tally: BillTally): Promise<Remarks> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_JSON_BYTES) throw badBill(path, undefined, 'it is JSON of more than 64 MiB');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (measureJson(bytes).depth > MAX_JSON_DEPTH) throw badBill(path, undefined, 'its JSON is nested too deep');
  const { lines, spans, ...remarks } = readCostExplorer(parseJson(bytes, path), path);
  for (const span of spans) tally.addSpan(span);
  for (const line of lines) tally.addLine(line);
  return remarks;
}

function parseJson(bytes: Buffer, path: string): unknown {
  const text = bytes.toString().replace(/^\uFEFF/, '');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    // Node tells a place in some cases, and a piece of the text in others.
    const at = /position (\d+)/.exec(reason)?.[1];
    const before = text.slice(0, Number(at ?? 0)).split('\n');
    const place = at && `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
    throw badBill(path, place, `it is no JSON (${printable(reason)})`, BILL_FORMATS);
  }
}

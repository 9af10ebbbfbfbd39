/** Opens what exchanges were kept or exported in, to read it: a file of `--inspect-db`, or lines of NDJSON. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Exchange } from '../inspector/exchange.ts';
import { readExchangeLine } from '../inspector/ndjson.ts';
import { OpenedSource, readableList, type ReadableExchanges } from '../inspector/opened-source.ts';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import { readLines } from '../lib/read-lines.ts';
import { isSqliteFile, openToRead } from '../store/exchanges/open-file.ts';
import { ExchangeReader } from '../store/exchanges/read-exchanges.ts';

/** Lines are held in memory. */
const MAX_LINES_BYTES = 1_000_000_000;

/** Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. The caller closes it. */
export async function openExchanges(path: string): Promise<OpenedSource> {
  const head = readHead(path);
  const text = head.toString();
  if (text.startsWith('<')) throw isNoNdjson(path, 'is a web page', 'Open it in a browser');
  if (text.startsWith('{"log"')) throw isNoNdjson(path, 'is a HAR', "Open it in a browser's tools");
  return new OpenedSource(isSqliteFile(head) ? openStored(path) : await readAllLines(path));
}

function isNoNdjson(path: string, what: string, instead: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `${path} ${what}, and no NDJSON.`, {
    hint: `${instead}, or export once more: \`bedrock-proxy inspect export --format ndjson\`.`,
  });
}

function openStored(path: string): ReadableExchanges {
  const database = openToRead(path);
  const reader = new ExchangeReader(path, database);
  return {
    list: (before) => reader.list(before),
    find: (id) => reader.find(id),
    measure: () => reader.measure(),
    close: () => void database.close(),
  };
}

async function readAllLines(path: string): Promise<ReadableExchanges> {
  const { size } = statSync(path);
  if (size > MAX_LINES_BYTES) {
    throw new ProxyError('ERR_BAD_OPTION', `${path} is larger than ${MAX_LINES_BYTES / 1e9} GB.`, {
      hint: 'Export less of it: `bedrock-proxy inspect export --filter`.',
    });
  }
  const exchanges: Exchange[] = [];
  let number = 0;
  for await (const line of readLines(path)) {
    number += 1;
    const exchange = readExchangeLine(line, `${path}, line ${number}`);
    if (exchange !== undefined) exchanges.push(exchange);
  }
  // An export has the newest first.
  return readableList(
    exchanges.toSorted((one, other) => one.row.startedAtMs - other.row.startedAtMs),
    size,
  );
}

function readHead(path: string): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(16);
      return head.subarray(0, readSync(file, head));
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw new ProxyError('ERR_BAD_OPTION', `${path} cannot be read (${findCode(thrown) ?? 'unknown'}).`, {
      hint: 'Name a file of --inspect-db, or one that `bedrock-proxy inspect export` has written.',
      cause: thrown,
    });
  }
}

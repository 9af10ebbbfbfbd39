/**
 * The files of the page: public bytes without any data. They are read once, and what is not among them does not exist:
 * no path of a request ever becomes one of a file.
 */
import { readFileSync } from 'node:fs';
import type { ClientResponse, HeaderPair } from '../http/message.ts';
import { sendResponse } from '../http/send-response.ts';
import { ProxyError } from '../lib/errors.ts';

const BUILT = new URL('../../page/built/', import.meta.url);
/** By the path below `/inspect/`. */
const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '': { file: 'index.html', type: 'text/html; charset=utf-8' },
  'assets/page.js': { file: 'assets/page.js', type: 'text/javascript; charset=utf-8' },
  'assets/page.css': { file: 'assets/page.css', type: 'text/css; charset=utf-8' },
  'assets/icon.svg': { file: 'assets/icon.svg', type: 'image/svg+xml' },
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

/** On every response below `/inspect`. */
export const GUARD_HEADERS: readonly HeaderPair[] = [
  ['content-security-policy', POLICY],
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['x-frame-options', 'DENY'],
];

/** By file name. */
const READ = new Map<string, Buffer>();

/** Sends a file of the page; false: there is none of this path. */
export function sendPageFile(path: string, isHead: boolean, clientResponse: ClientResponse): boolean {
  const found = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (found === undefined) return false;
  const body = readPageFile(found.file);
  const headers: HeaderPair[] = [
    ['content-type', found.type],
    ['content-length', String(body.length)],
    ['cache-control', 'no-cache'],
    ...GUARD_HEADERS,
  ];
  sendResponse({ status: 200, headers, body: isHead ? Buffer.alloc(0) : body }, clientResponse);
  return true;
}

/** A file of the built page, by its name below `page/built/`. */
export function readPageFile(name: string): Buffer {
  const known = READ.get(name);
  if (known !== undefined) return known;
  const bytes = readBuilt(name);
  READ.set(name, bytes);
  return bytes;
}

/** Throws ERR_INTERNAL. */
function readBuilt(name: string): Buffer {
  try {
    return readFileSync(new URL(name, BUILT));
  } catch (cause) {
    throw new ProxyError('ERR_INTERNAL', 'The page of the inspector is not built.', {
      hint: '`npm run generate:page` builds it.',
      cause,
    });
  }
}

/**
 * A recording as the text of its file: JSON, with each frame, each header list and each body on a line of its own, so
 * that a review shows what changed. Pure.
 */
import type { RecordedRequest, RecordedResponse, Recording } from './recording.ts';

/** The text, with a newline at its end. */
export function printRecording({ version, request, response }: Recording): string {
  return `${printObject(
    [
      ['version', String(version)],
      ['request', printObject(requestFields(request), '  ')],
      ['response', printObject(responseFields(response), '  ')],
    ],
    '',
  )}\n`;
}

type Field = readonly [name: string, text: string];

function requestFields(request: RecordedRequest): readonly Field[] {
  return Object.entries(request).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, JSON.stringify(value)]],
  );
}

const LISTS: ReadonlySet<string> = new Set(['headers', 'frames', 'events', 'chunks', 'sentFrames', 'sentChunks']);

function responseFields(response: RecordedResponse): readonly Field[] {
  return Object.entries(response).flatMap(([name, value]: [string, unknown]): Field[] => {
    if (value === undefined) return [];
    return [[name, LISTS.has(name) && Array.isArray(value) ? printList(value) : JSON.stringify(value)]];
  });
}

function printObject(fields: readonly Field[], indent: string): string {
  const lines = fields.map(([name, text]) => `${indent}  ${JSON.stringify(name)}: ${text}`);
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

function printList(items: readonly unknown[]): string {
  if (items.length === 0) return '[]';
  return `[\n${items.map((item) => `      ${JSON.stringify(item)}`).join(',\n')}\n    ]`;
}

/** `cassette list`. */
import { formatTable, printData, printJson, terminalWidth } from '../../app/print.ts';
import { type LoadedCassette, readCassette, verifyResponse } from '../../cassette/directory.ts';
import { canonicalizeRecorded, modelOf } from '../../cassette/match.ts';
import type { NamedRecording } from '../../cassette/recording.ts';
import { ProxyError } from '../../lib/errors.ts';
import { formatCount, formatMs } from '../../lib/format.ts';
import { printable } from '../../lib/printable.ts';

/** What is said of a recording in a list. */
interface ListedRecording {
  readonly name: string;
  readonly operation: string;
  readonly model: string | undefined;
  readonly status: number;
  readonly end: string;
  readonly bytes: number;
  /** From when it was sent until its end, as recorded. */
  readonly totalMs: number;
  /** `edited`: it has no hash. */
  readonly proof: 'exact' | 'edited' | 'broken';
}

const RIGHT = new Set(['status', 'bytes', 'time']);

/** Prints a line for each recording. Throws ERR_BAD_OPTION. */
export async function listCassette({ directory, json }: { directory: string; json: boolean }): Promise<void> {
  const cassette = await readCassette(directory);
  if (cassette.recordings.length === 0) {
    throw new ProxyError('ERR_BAD_OPTION', `There are no recordings in ${directory}.`, {
      hint: 'Name the directory that --cassette had.',
    });
  }
  const listed = cassette.recordings.map((named) => describe(named, cassette));
  if (json) return printJson(listed);
  const rows = listed.map(({ name, operation, model, status, end, bytes, totalMs, proof }) => [
    printable(name, 200),
    printable(operation || '-', 100),
    printable(model ?? '-', 200),
    String(status),
    proof === 'exact' ? end : `${end}, ${proof}`,
    formatCount(bytes),
    formatMs(totalMs),
  ]);
  const header = ['name', 'operation', 'model', 'status', 'end', 'bytes', 'time'];
  printData(formatTable(header, rows, { right: RIGHT, width: terminalWidth(), spare: ['bytes', 'model', 'time'] }));
}

function describe(named: NamedRecording, { rules, openBlob }: LoadedCassette): ListedRecording {
  const { request, response } = named.recording;
  const pieces = response.frames ?? response.events ?? response.chunks ?? [];
  return {
    name: named.name,
    operation: request.operation,
    model: modelOf(canonicalizeRecorded(request, rules, openBlob)),
    status: response.status,
    end: response.end,
    bytes: response.bytes ?? 0,
    totalMs: response.firstByteMs + (pieces.at(-1)?.[0] ?? 0),
    proof: proofOf(named, openBlob),
  };
}

function proofOf({ recording }: NamedRecording, openBlob: LoadedCassette['openBlob']): ListedRecording['proof'] {
  try {
    return verifyResponse(recording.response, openBlob);
  } catch {
    // A blob is not there, or is another one.
    return 'broken';
  }
}

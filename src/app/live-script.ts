/**
 * The script of a running offline Bedrock: taken anew when its file changes, with nothing used up. A file that is wrong
 * replaces nothing.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { findCode } from '../lib/errno.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { MAX_SCRIPT_BYTES, parseScript, type Script } from '../upstream/offline/script.ts';
import { FileWatch } from './file-watch.ts';

/** A script that may change. */
export interface LiveScript {
  readonly find: () => Script;
  close(): void;
}

/** `tell`: one sentence, the file was taken anew or could not be. Throws ERR_BAD_OPTION if the file is wrong. */
export async function openLiveScript(
  path: string,
  tell: (message: string) => void,
  lookEveryMs?: number,
): Promise<LiveScript> {
  let script: Script | undefined;
  const onChange = async (): Promise<void> => {
    try {
      script = await readScript(path);
      tell('The script was taken anew: its file has changed.');
    } catch (thrown) {
      const { message, hint } = toProxyError(thrown);
      const words = hint === undefined ? message : `${message} ${hint}`;
      tell(`The script has changed, but that of before stays in force: ${words}`);
    }
  };
  const watch = await FileWatch.open({ files: [path], lookEveryMs, onChange });
  try {
    const first = await readScript(path);
    return { find: () => script ?? first, close: () => watch.close() };
  } catch (thrown) {
    watch.close();
    throw thrown;
  }
}

async function readScript(path: string): Promise<Script> {
  return parseScript(await readText(path));
}

/** No more than a script may have, whatever the path names. */
async function readText(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const bytes = Buffer.alloc(MAX_SCRIPT_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      if (bytesRead === 0) return bytes.toString('utf8', 0, length);
      length += bytesRead;
    }
  } catch (cause) {
    const code = findCode(cause) ?? 'unknown';
    const message = `The file of --script cannot be read (${code}).`;
    throw new ProxyError('ERR_BAD_OPTION', message, { detail: path, cause });
  } finally {
    await file?.close();
  }
  throw new ProxyError('ERR_BAD_OPTION', `The file of --script is longer than ${MAX_SCRIPT_BYTES} bytes.`);
}

/**
 * Asks before what cannot be undone, where a person is there to answer.
 */
import { ProxyError } from '../lib/errors.ts';

/** Whether somebody at a terminal gave the command and reads what it says. */
function hasPerson(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}

/** Asks on a terminal, and nowhere else. Throws ERR_BAD_REQUEST for every answer but yes. */
export async function requireYes(question: string): Promise<void> {
  if (!hasPerson() || (await ask(question))) return;
  throw new ProxyError('ERR_BAD_REQUEST', 'Nothing was changed.', { hint: '--yes does it without a question.' });
}

async function ask(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new AbortController();
  // Ctrl-C and Ctrl-D close it, and are no yes.
  lines.once('close', () => closed.abort());
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: closed.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    process.stderr.write('\n');
    return false;
  } finally {
    lines.close();
  }
}

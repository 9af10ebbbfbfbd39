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

/**
 * Has words typed on a terminal, or given by an option where nobody can be asked. Throws ERR_BAD_REQUEST for others.
 */
export async function requireWords(what: string, words: string, given: string | undefined): Promise<void> {
  const typed = given ?? (hasPerson() ? await readAnswer(`${what} Type "${words}" to go on: `) : undefined);
  if (typed?.trim().toLowerCase() === words) return;
  throw new ProxyError('ERR_BAD_REQUEST', 'Nothing was written.', { hint: `${what} Give --confirm "${words}".` });
}

async function ask(question: string): Promise<boolean> {
  const answer = await readAnswer(`${question} [y/N] `);
  return answer !== undefined && /^y(es)?$/i.test(answer.trim());
}

/** Undefined: there is none. */
async function readAnswer(question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new AbortController();
  // Ctrl-C and Ctrl-D close it, and are no yes.
  lines.once('close', () => closed.abort());
  try {
    return await lines.question(question, { signal: closed.signal });
  } catch {
    process.stderr.write('\n');
    return undefined;
  } finally {
    lines.close();
  }
}

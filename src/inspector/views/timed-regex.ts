/**
 * A regular expression of somebody who looks, held against text of somebody else, in the process that requests pass
 * through: some take hours for a megabyte, and JavaScript has no others.
 */
import { type Context, createContext, Script } from 'node:vm';
import { ProxyError } from '../../lib/errors.ts';

/** What a plain one takes for 8 MB, several times over. */
const MAX_MS = 250;
const CALL = new Script('test()');
const scope = { test: (): boolean => false };
let context: Context | undefined;

/** Whether it matches. Throws ERR_BAD_REQUEST if that takes too long. */
export function testInTime(regex: RegExp, text: string): boolean {
  context ??= createContext(scope);
  scope.test = () => regex.test(text);
  try {
    return CALL.runInContext(context, { timeout: MAX_MS }) === true;
  } catch (cause) {
    throw new ProxyError('ERR_BAD_REQUEST', `The regular expression /${regex.source}/ takes too long.`, {
      hint: 'Repeat nothing that repeats itself, or look for plain text.',
      cause,
    });
  } finally {
    scope.test = () => false;
  }
}

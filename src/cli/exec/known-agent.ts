/**
 * Which client a command line starts, by the name of its program or of the package that npx, uvx and their like run.
 * Pure.
 */
import type { ClientName } from '../env/client-settings.ts';

/** A client that was found in a command line. */
export interface KnownAgent {
  readonly client: ClientName;
  /** Where its own name stands in the command line; its arguments follow. */
  readonly index: number;
}

/** Programs and packages. The other clients of `--for` are libraries, which no name of a program tells. */
const AGENTS: ReadonlyMap<string, ClientName> = new Map([
  ['claude', 'claude-code'],
  ['@anthropic-ai/claude-code', 'claude-code'],
  ['codex', 'codex'],
  ['@openai/codex', 'codex'],
  ['opencode', 'opencode'],
  ['opencode-ai', 'opencode'],
  ['cline', 'cline'],
  ['aider', 'aider'],
  ['aider-chat', 'aider'],
  ['cn', 'continue'],
  ['@continuedev/cli', 'continue'],
  ['goose', 'goose'],
]);
/** Programs that run a package, with the words that have to come first. */
const RUNNERS: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ['npx', [[]]],
  ['pnpx', [[]]],
  ['bunx', [[]]],
  ['uvx', [[]]],
  ['npm', [['exec'], ['x']]],
  ['pnpm', [['dlx'], ['exec']]],
  ['yarn', [['dlx']]],
  ['bun', [['x']]],
  ['uv', [['tool', 'run']]],
  ['pipx', [['run']]],
]);
/** Their options that take the next word. */
const TAKES_WORD = new Set(['-p', '--package', '--from', '--with', '--python', '--spec']);

/** The client that the command starts; undefined if it is none of those that are known by name. */
export function findKnownAgent(commandLine: readonly string[]): KnownAgent | undefined {
  const program = programName(commandLine[0] ?? '');
  const verbs = RUNNERS.get(program)?.find((words) => words.every((word, at) => commandLine[at + 1] === word));
  const index = verbs === undefined ? 0 : findPackage(commandLine, 1 + verbs.length);
  const name = verbs === undefined ? program : packageName(commandLine[index] ?? '');
  const client = AGENTS.get(name);
  return client === undefined ? undefined : { client, index };
}

/** Without folder and the endings of Windows. */
function programName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  return name.replace(/\.(exe|cmd|bat|ps1)$/i, '');
}

/** Without version: `@openai/codex@latest`. */
function packageName(word: string): string {
  return word.replace(/(?<=.)(@|==).*$/, '');
}

/** The first word that is no option of the runner. */
function findPackage(words: readonly string[], from: number): number {
  let index = from;
  while (words[index]?.startsWith('-') === true) index += TAKES_WORD.has(words[index] ?? '') ? 2 : 1;
  return index;
}

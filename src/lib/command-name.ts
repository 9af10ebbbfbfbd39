/**
 * How this user calls the program. Texts name its commands as `bedrock-proxy …`; who came by npx, bunx or pnpm has no
 * such command, and is told to call it the way that works. Pure.
 */

/** A command in a text: in backticks, at a prompt, or within `$(…)`. */
const COMMAND = /(?<=[`(]|^ *\$ .*|^ *> |"\$\()bedrock-proxy(?= [a-z-])/gm;

/**
 * `npx bedrock-proxy`, `bunx bedrock-proxy`, `pnpm dlx bedrock-proxy` or `bedrock-proxy`, by what npm and its like put
 * into the environment.
 */
export function findCommandName(environment: Readonly<Record<string, string | undefined>>): string {
  const { npm_command: command, npm_lifecycle_event: event, npm_config_user_agent: agent = '' } = environment;
  const isRunOnce = command === 'exec' || command === 'dlx' || event === 'npx' || event === 'bunx';
  if (!isRunOnce) return 'bedrock-proxy';
  if (event === 'bunx' || agent.startsWith('bun/')) return 'bunx bedrock-proxy';
  if (agent.startsWith('pnpm/')) return `pnpm ${command === 'exec' ? 'exec' : 'dlx'} bedrock-proxy`;
  return agent.startsWith('yarn/') ? 'yarn dlx bedrock-proxy' : 'npx bedrock-proxy';
}

/** The text with its commands as this user calls them. */
export function nameCommands(text: string, environment: Readonly<Record<string, string | undefined>>): string {
  const name = findCommandName(environment);
  return name === 'bedrock-proxy' ? text : text.replaceAll(COMMAND, name);
}

/** A word of a POSIX shell, for a command that is there to be pasted: names may hold blanks, and quotes. */
export function quoteForShell(text: string): string {
  return /^[\w.@:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

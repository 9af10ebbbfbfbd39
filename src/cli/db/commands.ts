/**
 * The `db` commands: words and options only; each command's own file is imported when it runs.
 */
import { type CommandGroup, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy db check
  $ bedrock-proxy db backup keys-2026-01-31.db
  $ bedrock-proxy db restore keys-2026-01-31.db
`;
const BACKUP_NOTES = `
The backup is one file, as of one moment; a proxy may go on meanwhile. The file
beside the database that seals the keys (.secret) is not in it: keep a copy of
that elsewhere. Nothing is written over.
`;
const RESTORE_NOTES = `
Only while no proxy and no other command has the database open. What it replaces
is kept beside it, under a name of its own.
`;
const CHECK_NOTES = `
Only reads; a proxy may go on meanwhile. Ends with 1 if something is wrong.
`;
const OUTPUT = { ...pickOptions('db'), json: JSON_OPTION };

const BACKUP = defineCommand({
  name: 'backup',
  description: 'copy the database to a file, while proxies use it',
  examples: EXAMPLES,
  notes: BACKUP_NOTES,
  arguments: { file: { usage: '<file>', description: 'where to; must not be there yet' } },
  options: OUTPUT,
  run: async (input) => (await import('./backup.ts')).backUp(input),
});

const RESTORE = defineCommand({
  name: 'restore',
  description: 'put a backup in the place of the database',
  examples: EXAMPLES,
  notes: RESTORE_NOTES,
  arguments: { file: { usage: '<file>', description: 'what `db backup` made' } },
  options: OUTPUT,
  run: async (input) => (await import('./restore.ts')).restore(input),
});

const CHECK = defineCommand({
  name: 'check',
  description: 'whether the database is whole, ours alone, and adds up',
  examples: EXAMPLES,
  notes: CHECK_NOTES,
  options: OUTPUT,
  run: async (input) => (await import('./check.ts')).check(input),
});

/** `db` and its verbs. */
export const DB: CommandGroup = {
  name: 'db',
  description: 'back up, restore and check the database',
  examples: EXAMPLES,
  commands: [BACKUP, RESTORE, CHECK],
};

/**
 * The `db` commands: words and options only; each command's own file is imported when it runs.
 */
import { type CommandGroup, type CommandOptions, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy db check
  $ bedrock-proxy db backup keys-2026-01-31.db
  $ bedrock-proxy db restore keys-2026-01-31.db
  $ bedrock-proxy db status --db postgres://proxy@db.internal/proxy
  $ bedrock-proxy db migrate --db postgres://proxy@db.internal/proxy
  $ bedrock-proxy db copy --from keys.db --to postgres://proxy@db.internal/proxy
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
const STATUS_NOTES = `
Only reads; proxies may go on meanwhile. Ends with 1 if the database cannot be
used. Of a SQLite file, it is what \`db check\` says.
`;
const MIGRATE_NOTES = `
Makes our tables in PostgreSQL, in the schema bedrock_proxy, and brings them up
to date. \`start\` does the same, if it may: this is for whoever runs proxies with
a role that makes no tables.
`;
const COPY_NOTES = `
Keys with their limits, what they have spent, and the ledger. End the proxies
of the file first. What is in the database already stays: if it was cut, run it
again. At the end both are compared; it ends with 1 if something is missing.
Keys are sealed anew, with BEDROCK_PROXY_SALT_KEY.
`;
const COPY_ENDS = {
  from: {
    flag: '--from <file>',
    description: 'the SQLite file; else the one in your user data folder',
  },
  to: {
    flag: '--to <url>',
    description: 'the PostgreSQL database; else the one that --db would be',
    env: ['BEDROCK_PROXY_DB', 'DATABASE_URL'],
  },
} as const satisfies CommandOptions;
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

const DATABASE_STATUS = defineCommand({
  name: 'status',
  description: 'whether the database responds, and what is in it',
  examples: EXAMPLES,
  notes: STATUS_NOTES,
  options: OUTPUT,
  run: async (input) => (await import('./status.ts')).printDatabaseStatus(input),
});

const MIGRATE = defineCommand({
  name: 'migrate',
  description: 'make the tables in PostgreSQL, or bring them up to date',
  examples: EXAMPLES,
  notes: MIGRATE_NOTES,
  options: OUTPUT,
  run: async (input) => (await import('./migrate.ts')).migrateDatabase(input),
});

const COPY = defineCommand({
  name: 'copy',
  description: 'copy a SQLite file into a PostgreSQL database',
  examples: EXAMPLES,
  notes: COPY_NOTES,
  options: { ...COPY_ENDS, json: JSON_OPTION },
  run: async (input) => (await import('./copy.ts')).copyDatabase(input),
});

/** `db` and its verbs. */
export const DB: CommandGroup = {
  name: 'db',
  description: 'back up, restore, check, migrate and copy the database',
  examples: EXAMPLES,
  commands: [BACKUP, RESTORE, CHECK, DATABASE_STATUS, MIGRATE, COPY],
};

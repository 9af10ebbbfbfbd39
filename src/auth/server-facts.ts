/**
 * What a running proxy tells the commands of its database (`env`, `exec`, `doctor`), and nobody else: see
 * `server-proof.ts`. Types, and how they are read off JSON.
 */

/** Who may call: anybody on this machine, whoever has a key, or the master key too. */
export type ServerAccess = 'open' | 'keys' | 'master';

/** A running proxy. Never a secret. */
export interface ServerFacts {
  readonly version: string;
  readonly access: ServerAccess;
  /** Of requests that name none. */
  readonly region: string | undefined;
  readonly isOffline: boolean;
  /** Undefined: AWS. */
  readonly upstream: string | undefined;
  readonly databasePath: string;
  readonly hasTls: boolean;
  /** Why it cannot sign, and what to do; undefined if it can, or does not know yet. */
  readonly credentialsProblem: { readonly message: string; readonly hint: string | undefined } | undefined;
  /** Whether its database has the key that the question named; undefined if it named none. */
  readonly hasKey: boolean | undefined;
}

const ACCESSES: readonly unknown[] = ['open', 'keys', 'master'] satisfies readonly ServerAccess[];

/** The facts in a response; undefined if it is of another shape, as that of another version may be. */
export function parseServerFacts(value: unknown): ServerFacts | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const facts: Readonly<Partial<Record<keyof ServerFacts, unknown>>> = value;
  const { version, access, isOffline, databasePath, hasTls } = facts;
  if (typeof version !== 'string' || typeof databasePath !== 'string' || !isAccess(access)) return undefined;
  return {
    version,
    access,
    region: findText(facts.region),
    isOffline: isOffline === true,
    upstream: findText(facts.upstream),
    databasePath,
    hasTls: hasTls === true,
    credentialsProblem: parseProblem(facts.credentialsProblem),
    hasKey: typeof facts.hasKey === 'boolean' ? facts.hasKey : undefined,
  };
}

function isAccess(value: unknown): value is ServerAccess {
  return ACCESSES.includes(value);
}

function parseProblem(value: unknown): ServerFacts['credentialsProblem'] {
  if (typeof value !== 'object' || value === null || !('message' in value)) return undefined;
  const message = findText(value.message);
  return message === undefined ? undefined : { message, hint: findText('hint' in value ? value.hint : undefined) };
}

function findText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

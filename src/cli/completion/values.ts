/**
 * The values of a kind for the completion of a command line: of this user's database, profiles and configuration.
 * Asks no network, changes nothing, and says nothing if something is wrong: who presses TAB has no use for an error.
 */
import type { ValueKind } from './complete.ts';
import { readDatabaseLocation } from '../../config/database-location.ts';
import { readConfigFiles } from '../../config/files.ts';
import { CONFIG_FILES, type Flags, readList } from '../../config/options.ts';

/** So that no value needs quotes, and none does anything in a shell. What has other characters is left out. */
const HARMLESS = /^[\p{L}\p{N}_][\p{L}\p{N}\w.:@/+-]*$/u;

/** Those that can stand in a command line as they are. */
export async function findValues(kind: Exclude<ValueKind, 'file'>): Promise<string[]> {
  const values = await lookUp(kind).catch(() => []);
  return [...new Set(values)].filter((value) => HARMLESS.test(value));
}

async function lookUp(kind: Exclude<ValueKind, 'file'>): Promise<readonly string[]> {
  switch (kind) {
    case 'key': {
      const { listKeyNames } = await import('../../app/open-store.ts');
      return listKeyNames(readDatabaseLocation(readFlags(), process.env));
    }
    case 'profile':
      return (await (await import('../../upstream/aws/credentials.ts')).loadProfileNames()) ?? [];
    case 'model': {
      const { listCallableIds } = await import('../../upstream/offline/models.ts');
      return [
        ...readList('modelAlias', readFlags(), process.env).map(({ value }) => value.replace(/=.*$/s, '')),
        ...listCallableIds(),
      ];
    }
    case 'region':
      return (await import('../../upstream/offline/places.ts')).BEDROCK_REGIONS;
    default:
      return kind satisfies never;
  }
}

function readFlags(): Flags {
  const places = { environment: process.env, workingFolder: process.cwd(), platform: process.platform };
  return { [CONFIG_FILES]: readConfigFiles(places) };
}

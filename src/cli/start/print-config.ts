/**
 * `start --print-config`: every option with its value and where that comes from. Checks them all as `start` does, and
 * starts nothing.
 */
import { nameInFile } from '../../config/files.ts';
import { MASTER_KEY_VARIABLES, readConfig, SALT_KEY_VARIABLE } from '../../config/config.ts';
import {
  findSetting,
  type Flags,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type OptionSpec,
  readList,
  type Setting,
  showValue,
} from '../../config/options.ts';
import { formatTable, printData, printJson } from '../../app/print.ts';

interface PrintedSetting {
  readonly name: string;
  readonly value: string | readonly string[];
  readonly from: string;
}

/** Prints them. Throws ERR_BAD_OPTION as `start` does. */
export function printConfig(input: Flags & { readonly json: boolean }): void {
  const { redisUrl } = readConfig(input, process.env);
  // A REDIS_URL that counts for nothing is another program's.
  const names = OPTION_NAMES.filter((name) => name !== 'redisUrl' || redisUrl !== undefined);
  const settings = [...names.flatMap((name) => describeOption(name, input)), ...describeSecrets()];
  if (input.json) return printJson(Object.fromEntries(settings.map(({ name, ...setting }) => [name, setting])));
  const rows = settings.map(({ name, value, from }) => [name, [value].flat().join(' '), from]);
  printData(formatTable(['option', 'value', 'from'], rows));
}

/** Nothing of an option that has no value. */
function describeOption(option: OptionName, input: Flags): PrintedSetting[] {
  const { repeatable = false }: OptionSpec = OPTIONS[option];
  const found = repeatable ? readList(option, input, process.env) : [findSetting(option, input, process.env)];
  const settings = found.filter((setting) => setting !== undefined);
  const [first] = settings;
  if (first === undefined) return [];
  const values = settings.map(showValue);
  return [{ name: nameInFile(option), value: repeatable ? values : values.join(' '), from: originOf(first) }];
}

function originOf({ origin, isDefault }: Setting): string {
  if (isDefault === true) return 'default';
  return origin.startsWith('"') ? origin.replace(/^".*?" in /, '') : origin;
}

/** That they are set, never what they are. */
function describeSecrets(): PrintedSetting[] {
  const secrets = [
    ['master key', findSet(MASTER_KEY_VARIABLES)],
    ['salt key', findSet([SALT_KEY_VARIABLE])],
    ['api key', findSet(['AWS_BEARER_TOKEN_BEDROCK'])],
  ] as const;
  return secrets.flatMap(([name, from]) => (from === undefined ? [] : [{ name, value: '(set)', from }]));
}

function findSet(names: readonly string[]): string | undefined {
  return names.find((name) => process.env[name]?.trim());
}

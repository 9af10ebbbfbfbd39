/** The verbs that people know from other programs, and what they are here. Pure. */

/** By the verb, what may be meant, the most likely first: the first that there is counts. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  ls: ['list', 'key list'],
  ps: ['status'],
  show: ['list', 'key show'],
  info: ['show', 'key show'],
  get: ['show', 'key show'],
  describe: ['show', 'key show'],
  create: ['generate', 'key generate'],
  new: ['generate', 'key generate'],
  add: ['generate', 'key generate'],
  make: ['generate', 'key generate'],
  generate: ['key generate'],
  list: ['key list'],
  keys: ['key list'],
  rm: ['delete', 'key delete'],
  remove: ['delete', 'key delete'],
  del: ['delete', 'key delete'],
  delete: ['key delete'],
  revoke: ['key revoke'],
  edit: ['update', 'key update'],
  set: ['update', 'key update'],
  disable: ['block', 'key block'],
  enable: ['unblock', 'key unblock'],
  version: ['--version'],
  serve: ['start'],
  run: ['exec', 'start'],
  up: ['start'],
  proxy: ['start'],
  log: ['logs'],
  tail: ['logs'],
  cost: ['usage'],
  costs: ['usage'],
  spend: ['usage'],
  check: ['doctor', 'db check'],
  backup: ['db backup'],
  restore: ['db restore'],
};

/** What a verb is among the commands `names` of a group or of the program; undefined if it is nothing there. */
export function findVerb(verb: string, names: readonly string[]): string | undefined {
  const isProgram = names.includes('start');
  return (Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined)?.find((words) => {
    const [first = ''] = words.split(' ');
    return names.includes(first) || (isProgram && words.startsWith('--'));
  });
}

/** What a word without a flag is meant for, by the command that takes none. */
const FLAGS: Readonly<Record<string, string>> = {
  generate: '--alias',
  env: '--for',
  'credential-process': '--key',
  usage: '--key',
  logs: '--key',
  start: '--profile',
  doctor: '--profile',
};

/** The flag that a word was probably meant for, among those of the command; undefined if none comes to mind. */
export function findMeantFlag(command: string, word: string, flags: readonly string[]): string | undefined {
  const flag = /^\d+$/.test(word) ? '--port' : Object.hasOwn(FLAGS, command) ? FLAGS[command] : undefined;
  return flag !== undefined && flags.includes(flag) ? flag : undefined;
}

/** The faults of a server, as its options have them: which ones, and whether there may be any. */
import { randomInt } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { FaultBoard } from '../faults/board.ts';
import { isLoopbackName } from '../lib/loopback.ts';

const MAX_SEED = 1_000_000;
const SHARED =
  'Faults would befall everybody who can reach this proxy over the network: it takes none without --fault-in-shared.';
const WORKERS = 'Faults are counted in one process: leave --workers out.';

/** Opens the board. Throws ERR_BAD_OPTION for a rule that cannot be read, and if there may be none. */
export function openFaultBoard({
  faults,
  faultSeed,
  faultInShared,
  hosts,
  workers,
  offline,
  cassette,
}: Pick<
  Config,
  'faults' | 'faultSeed' | 'faultInShared' | 'hosts' | 'workers' | 'offline' | 'cassette'
>): Promise<FaultBoard> {
  const isShared = !hosts.every(isLoopbackName);
  return FaultBoard.open({
    rules: faults,
    seed: faultSeed,
    obstacle: workers > 1 ? WORKERS : isShared && !faultInShared ? SHARED : undefined,
    takesOwn: offline || cassette !== undefined,
    drawSeed: () => randomInt(1, MAX_SEED),
  });
}

/** What a start says of faults in force; undefined if there are none. */
export function describeFaults(board: FaultBoard): string | undefined {
  const { seed, faults } = board.read();
  if (faults.length === 0) return undefined;
  const rules = faults.map(({ fault }) => `  ${fault}`).join('\n');
  return `warning: Faults are injected into responses (faults seed ${seed}):\n${rules}`;
}

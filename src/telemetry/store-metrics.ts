/** The metrics of a database that several proxies share, and of the rows that wait for it. There are none of a file. */
import type { StoreHealth } from '../domain/store.ts';
import type { MetricFamily, Sample } from './metric-text.ts';

/** What is known of the database, and of the ledger's rows. */
export interface StoreReadings {
  readonly readHealth: () => StoreHealth['shared'];
  readonly readLedger: () => {
    readonly waitingRows: number;
    readonly lostRows: number;
    readonly spilledRows?: number | undefined;
  };
}

/** Those there are. Connections and whether it responds are told of each worker; rows add up. */
export function listStoreFamilies(prefix: string, { readHealth, readLedger }: StoreReadings): MetricFamily[] {
  const connections = (): Sample[] => {
    const { open = 0, idle = 0, waiting = 0 } = readHealth()?.connections ?? {};
    return [
      ['', { state: 'busy' }, open - idle],
      ['', { state: 'idle' }, idle],
      ['', { state: 'waited_for' }, waiting],
    ];
  };
  return [
    {
      name: `${prefix}store_up`,
      help: '1 if the database responded when it was asked last.',
      type: 'gauge',
      isOfProcess: true,
      samples: one(() => (readHealth()?.awayForMs === undefined ? 1 : 0)),
    },
    {
      name: `${prefix}store_connections`,
      help: 'Connections to the database, and requests that wait for one.',
      type: 'gauge',
      isOfProcess: true,
      samples: connections,
    },
    {
      name: `${prefix}ledger_waiting_rows`,
      help: 'Rows of the ledger that wait in memory.',
      type: 'gauge',
      samples: one(() => readLedger().waitingRows),
    },
    {
      name: `${prefix}ledger_spilled_rows`,
      help: 'Rows of the ledger that wait in files until the database takes them.',
      type: 'gauge',
      samples: one(() => readLedger().spilledRows ?? 0),
    },
    {
      name: `${prefix}ledger_lost_rows_total`,
      help: 'Rows that the ledger does not have and will not get.',
      type: 'counter',
      samples: one(() => readLedger().lostRows),
    },
  ];
}

function one(read: () => number): () => Sample[] {
  return () => [['', {}, read()]];
}

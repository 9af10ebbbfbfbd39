/** What a server has served since its start, as it says at its end. */
import { findCostNanoUsd, findPricing } from '../domain/outcome.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { formatCount } from '../lib/format.ts';
import { formatUsd } from '../lib/usd.ts';

/** State: the sums. */
export class RunTotals {
  #requests = 0;
  #costNanoUsd = 0;
  /** The cost of some is unknown, or known in part. */
  #hasUnknown = false;

  /** A request that has ended. */
  add(record: RequestRecord): void {
    this.#requests += 1;
    this.#costNanoUsd += findCostNanoUsd(record) ?? 0;
    const pricing = findPricing(record);
    this.#hasUnknown ||= pricing === 'unpriced' || (record.partial && pricing === 'priced');
  }

  /** `Stopped after 2 requests, $0.0000054.`; `cutOff`: how many of them were. */
  describe(cutOff: number): string {
    const cost = `${formatUsd(this.#costNanoUsd)}${this.#hasUnknown ? ' + ?' : ''}`;
    const cut =
      cutOff === 0 ? '' : ` ${formatCount(cutOff)} ${cutOff === 1 ? 'request was' : 'requests were'} cut off.`;
    const count = `${formatCount(this.#requests)} ${this.#requests === 1 ? 'request' : 'requests'}`;
    return `Stopped after ${count}, ${cost}.${cut}`;
  }
}

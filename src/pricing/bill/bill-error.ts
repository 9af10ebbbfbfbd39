/** What is wrong with a bill's file, as the owner is told. */
import { ProxyError } from '../../lib/errors.ts';
import { printable, quote } from '../../lib/printable.ts';

/** Where in a file: `line 7`, `line 7, column 12`, `ResultsByTime[3]`; undefined if all of it is meant. */
export type BillPlace = string | undefined;

/** ERR_BAD_OPTION that names file and place. */
export function badBill(path: string, place: BillPlace, problem: string, hint?: string): ProxyError {
  const where = place === undefined ? '' : ` at ${printable(place)}`;
  return new ProxyError('ERR_BAD_OPTION', `The bill ${quote(path)} cannot be read${where}: ${problem}.`, { hint });
}

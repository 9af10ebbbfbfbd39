/** `inspect clear`: deletes what was kept, so that nothing of it stays on the disk. */
import type { Flags } from '../../config/options.ts';
import { printData, printJson } from '../../app/print.ts';
import { clearFile } from '../../store/exchanges/clear-file.ts';
import { requireYes } from '../confirm.ts';
import { findInspectFile } from './find-file.ts';

/** Asks on a terminal. Throws ERR_BAD_OPTION, ERR_BAD_REQUEST and ERR_STORE_UNAVAILABLE. */
export async function clearKept(
  input: Flags & { readonly all: boolean; readonly yes: boolean; readonly json: boolean },
): Promise<void> {
  const path = findInspectFile(input, process.env);
  const { all, yes, json } = input;
  if (!yes) await requireYes(`Delete ${all ? 'all exchanges' : 'the exchanges that are not pinned'} in ${path}?`);
  const { removed, kept } = clearFile(path, all);
  if (json) printJson({ removed, kept });
  else printData(`${removed} deleted${kept === 0 ? '' : `, ${kept} pinned ones kept (--all deletes them, too)`}`);
}

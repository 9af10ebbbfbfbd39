/** `inspect open`: shows exchanges of a file on a page. */
import { startInspectServer } from '../../app/inspect-server.ts';
import { openExchanges } from '../../app/open-exchanges.ts';
import { printData, printJson, printTalk } from '../../app/print.ts';
import { untilToldToEnd } from '../../app/ending.ts';
import { parseInteger } from '../../config/options.ts';
import { readVersion } from '../../lib/version.ts';

/** Until it is interrupted. Throws ERR_BAD_OPTION, ERR_ADDRESS_IN_USE and ERR_STORE_UNAVAILABLE. */
export async function openPage({
  file,
  port = '0',
  json,
}: {
  readonly file: string;
  readonly port: string | undefined;
  readonly json: boolean;
}): Promise<void> {
  const source = await openExchanges(file);
  try {
    const number = parseInteger({ value: port, origin: '--port' }, 0, 65_535);
    const { url, close } = await startInspectServer(source, { port: number, version: readVersion() });
    const { exchanges } = source.state();
    if (json) printJson({ url, exchanges });
    else {
      printData(url);
      printTalk(`${exchanges === 1 ? '1 exchange' : `${exchanges} exchanges`} of ${file}. Ctrl-C ends it.`);
    }
    await untilToldToEnd();
    await close();
  } finally {
    await source.close();
  }
}

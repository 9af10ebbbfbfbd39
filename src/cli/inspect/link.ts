/**
 * `inspect`: the link to the page of a proxy that runs, which tells its token to whoever holds the secret of its
 * database. The browser is started with a code in the place of the token, which other users of this machine could see.
 */
import { randomBytes } from 'node:crypto';
import { inspectLink } from '../../app/banner.ts';
import { hasBrowser, openBrowser } from '../../app/open-browser.ts';
import { EXIT_FAILED, printData, printJson, printTalk } from '../../app/print.ts';
import { makeLinkCode } from '../../auth/link-code.ts';
import { ProxyError } from '../../lib/errors.ts';
import { describeNone, findChosen } from '../status/status.ts';

interface LinkInput {
  readonly port: string | undefined;
  readonly noOpen: boolean;
  readonly json: boolean;
}

/** Prints it, and opens it if somebody is there. Sets the exit code to 1 if no proxy runs. Throws ERR_BAD_OPTION. */
export async function printLink({ port, noOpen, json }: LinkInput): Promise<void> {
  const found = await findChosen({ port });
  const running = found.flatMap(({ file, status, inspectToken }) => (status ? [{ file, status, inspectToken }] : []));
  if (json) {
    if (running.length === 0) process.exitCode = EXIT_FAILED;
    return printJson(
      running.map(({ file, status, inspectToken }) => ({
        port: file.port,
        url: inspectToken === undefined ? null : inspectLink(status.url, inspectToken),
      })),
    );
  }
  const [proxy, ...others] = running;
  if (proxy === undefined) {
    process.exitCode = EXIT_FAILED;
    return printTalk(describeNone({ port }));
  }
  if (others.length > 0) {
    const ports = running.map(({ file }) => file.port).join(', ');
    throw new ProxyError('ERR_BAD_OPTION', `Several proxies run, on the ports ${ports}.`, {
      hint: `Name one: \`bedrock-proxy inspect --port ${proxy.file.port}\`.`,
    });
  }
  const { status, inspectToken } = proxy;
  if (inspectToken === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', 'The inspector of this proxy is off, because others reach its port.', {
      hint: 'Start it with --inspect-remote.',
    });
  }
  printData(inspectLink(status.url, inspectToken));
  if (noOpen || process.stdout.isTTY !== true || !hasBrowser(process.env)) return;
  const code = makeLinkCode(inspectToken, Date.now(), randomBytes(16));
  const url = `${new URL(status.url).origin}/inspect/#c=${code}`;
  if (!(await openBrowser(url))) printTalk('No browser could be started: open the link.');
}

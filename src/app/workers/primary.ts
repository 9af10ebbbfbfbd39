/**
 * `start --workers`: the process that the user started. It serves no request and opens neither database nor upstream:
 * it has the port, the signals and the workers, and counts what has to be counted in one place.
 */
import { createRateLimits } from '../../admission/rates.ts';
import type { Config } from '../../config/config.ts';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { toProxyError } from '../../lib/errors.ts';
import type { Announce } from '../announce.ts';
import type { HotKeys } from '../hot-keys.ts';
import { newInspectToken } from '../inspector.ts';
import { createAuthRefresh } from '../auth-refresh.ts';
import { createBudgetNotices } from '../budget-notices.ts';
import { describeDelay, describeEnding, onSecondSignal, untilToldToEnd } from '../ending.ts';
import { printError, printTalk } from '../print.ts';
import { Crew, FirstWorkerFailed } from './crew.ts';

/** Runs the workers until a signal has ended all of them. Ends the process itself if the first one cannot start. */
export async function leadWorkers(config: Config, announce: Announce, hotKeys: HotKeys | undefined): Promise<void> {
  const { workers, port, quiet, shutdownGraceMs, shutdownDelayMs, awsAuthRefresh } = config;
  const budgets = createBudgetNotices(config);
  const crew = new Crew({
    count: workers,
    port,
    rates: createRateLimits({ tickMs: MACHINE_TICKS }),
    tickMs: MACHINE_TICKS,
    warn: (message) => printTalk(`warning: ${message}`),
    onBudget: budgets.tell,
    line: hotKeys?.line,
    inspectToken: config.inspectToken ?? newInspectToken(),
    refreshAuth:
      awsAuthRefresh === undefined ? undefined : createAuthRefresh({ command: awsAuthRefresh, tickMs: MACHINE_TICKS }),
  });
  // What it holds for the workers must outlive any fault of its own.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (thrown) => printError(toProxyError(thrown), true));
  const toldToEnd = untilToldToEnd();
  const started = crew.start().then((opened) => {
    announce(opened, undefined);
    return opened;
  });
  let opened: number | undefined;
  try {
    opened = await Promise.race([started, toldToEnd.then(() => undefined)]);
  } catch (error) {
    // It has said why.
    process.exit(error instanceof FirstWorkerFailed ? error.exitCode : 1);
  }
  started.catch(() => {});
  if (opened !== undefined) await hotKeys?.open(opened, (isOn) => crew.showOnlyErrors(isOn));
  await toldToEnd;
  onSecondSignal((exitCode) => void crew.endNow(exitCode).finally(() => process.exit(exitCode)));
  if (!quiet) printTalk(shutdownDelayMs > 0 ? describeDelay(shutdownDelayMs) : describeEnding(shutdownGraceMs));
  const cutOff = await crew.drain(shutdownGraceMs, shutdownDelayMs);
  await budgets.close();
  if (cutOff > 0 && !quiet) printTalk(`${cutOff} requests were cut off.`);
}

/**
 * A port that is taken, in front of a person: who has it, and whether the next free one will do.
 */
import { createInterface } from 'node:readline/promises';
import type { Config } from '../config/config.ts';
import { printTalk } from './print.ts';
import { findRunningProxy } from './running-proxy.ts';
import { describeRunning, findFreePort } from './taken-port.ts';

/** The configuration with a port that is free, if it was taken and the person at the terminal agrees. */
export async function askForPort(config: Config): Promise<Config> {
  const { hosts, port } = config;
  const next = port === 0 ? port : await findFreePort(hosts, port);
  if (next === undefined || next === port) return config;
  const holder = describeRunning(await findRunningProxy(config), 'Another program');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D say no.
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('n')));
  printTalk(`${holder} has port ${port}.`);
  const question = `Use ${next} instead? [Y/n] `;
  const answer = await Promise.race([terminal.question(question), closed]).finally(() => terminal.close());
  return /^\s*(y(es)?)?\s*$/i.test(answer) ? { ...config, port: next } : config;
}

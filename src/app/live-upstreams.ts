/**
 * The ways to Bedrock of a running server, if there are several: those of a file, taken anew when it changes, or those
 * that flags name. A file that is wrong replaces nothing.
 */
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/options.ts';
import { primaryUpstream, readUpstreamsFile, type UpstreamSpec } from '../config/upstreams.ts';
import { toProxyError } from '../lib/errors.ts';
import { FileWatch } from './file-watch.ts';

/** Upstreams that may change. */
export interface LiveUpstreams {
  readonly specs: readonly UpstreamSpec[];
  /** To be called once: `take` gets those that are in force from now on. */
  onChange(take: (specs: readonly UpstreamSpec[]) => void): void;
  close(): void;
}

/**
 * Undefined: there is one way. `tell` gets one sentence if the file was taken anew, or could not be. Throws
 * ERR_BAD_OPTION.
 */
export async function openLiveUpstreams(
  { upstreamsFile, fallbacks }: Pick<Config, 'upstreamsFile' | 'fallbacks'>,
  environment: Environment,
  tell: (message: string) => void,
  lookEveryMs?: number,
): Promise<LiveUpstreams | undefined> {
  if (upstreamsFile !== undefined) return watchUpstreamsFile(upstreamsFile, { environment, tell, lookEveryMs });
  if (fallbacks.length === 0) return undefined;
  return { specs: [primaryUpstream(), ...fallbacks], onChange: () => {}, close: () => {} };
}

interface Watching {
  readonly environment: Environment;
  readonly tell: (message: string) => void;
  readonly lookEveryMs: number | undefined;
}

async function watchUpstreamsFile(path: string, { environment, tell, lookEveryMs }: Watching): Promise<LiveUpstreams> {
  let take: ((specs: readonly UpstreamSpec[]) => void) | undefined;
  const onChange = async (): Promise<void> => {
    try {
      const specs = await readUpstreamsFile(path, environment);
      take?.(specs);
      tell('The upstreams were taken anew: their file has changed.');
    } catch (thrown) {
      tell(`The file of --upstreams has changed, but those of before stay in force: ${toProxyError(thrown).message}`);
    }
  };
  const watch = await FileWatch.open({ files: [path], lookEveryMs, onChange });
  try {
    const specs = await readUpstreamsFile(path, environment);
    return { specs, onChange: (listener) => (take = listener), close: () => watch.close() };
  } catch (thrown) {
    watch.close();
    throw thrown;
  }
}

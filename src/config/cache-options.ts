/** The options of the cache doctor, read. Pure. */
import { resolve } from 'node:path';
import { type Environment, findSetting, type Flags, parseSwitch } from './options.ts';

/** What is configured of the cache doctor. */
export interface CacheDoctorConfig {
  /** Undefined: nothing was said; it is on if exchanges are kept. */
  readonly cacheDoctor: boolean | undefined;
  /** What it should know otherwise. */
  readonly cacheFactsFile: string | undefined;
}

/** Throws ERR_BAD_OPTION. */
export function readCacheDoctorConfig(flags: Flags, environment: Environment): CacheDoctorConfig {
  const doctor = findSetting('cacheDoctor', flags, environment);
  const facts = findSetting('cacheFacts', flags, environment);
  return {
    cacheDoctor: doctor === undefined ? undefined : parseSwitch(doctor),
    cacheFactsFile: facts && resolve(facts.value),
  };
}

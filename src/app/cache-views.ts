/** What the page is told by the cache doctor: its report, with both texts of a change if their bodies are kept. */
import type { CacheDoctor } from '../diagnose/cache-doctor.ts';
import type { InspectorOptions } from '../inspector-api/options.ts';
import type { ExchangeSource } from '../inspector/exchange.ts';

/** Undefined of a request that the doctor has not looked at, or has forgotten. */
export function openCacheViews(
  live: { readonly doctor: CacheDoctor } | undefined,
  source: Pick<ExchangeSource, 'find'>,
): Pick<InspectorOptions, 'findCache' | 'findCacheTexts'> {
  const doctor = live?.doctor;
  return {
    findCache: (id) => doctor?.verdictOf(id),
    findCacheTexts: async (id) => {
      const report = doctor?.verdictOf(id);
      if (doctor === undefined || report === undefined || report.previous === null) return report;
      const [body, previousBody] = await Promise.all([readBodyOf(source, id), readBodyOf(source, report.previous)]);
      return body === undefined || previousBody === undefined ? report : doctor.withTexts(report, body, previousBody);
    },
  };
}

/** Only a whole one: places in it are counted from its start. */
async function readBodyOf(source: Pick<ExchangeSource, 'find'>, id: string): Promise<Buffer | undefined> {
  const body = (await source.find(id))?.layers.clientRequest?.body;
  return body?.hole === undefined ? body?.read() : undefined;
}

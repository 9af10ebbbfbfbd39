import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseUsageType } from '../../src/pricing/aws-usage-type.ts';

/** Name, unit, scopes, tier, and `long` if it is. */
function summarize(usageType: string): string | undefined {
  const meter = parseUsageType(usageType);
  if (meter === undefined) return undefined;
  const { name, unit, scopes, tier, isLong, limits } = meter;
  const size = limits === undefined ? [] : [JSON.stringify(limits)];
  return [name, unit, scopes.join('+'), tier, ...(isLong ? ['long'] : []), ...size].join(' ').trim();
}

describe('a usage type', () => {
  it.each([
    ['USE1-NovaPro-input-tokens', 'NovaPro input region+geo standard'],
    ['NovaPro-output-tokens', 'NovaPro output region+geo standard'],
    ['EUC1-NovaPro-cache-read-input-token-count', 'NovaPro cacheRead region+geo standard'],
    ['USE1-NovaPro-cache-write-input-token-count', 'NovaPro cacheWrite region+geo standard'],
    ['USE1-Nova2.0Lite-input-tokens-flex', 'Nova2.0Lite input region+geo flex'],
    ['USE1-Nova2.0Lite-input-tokens-priority-cross-region-global', 'Nova2.0Lite input global priority'],
    ['USE1-Nova2.0Lite-output-tokens-cross-region-global-batch', 'Nova2.0Lite output global batch'],
    ['USW2-NovaPro-input-tokens-cross-region-geo', 'NovaPro input geo standard'],
    ['USE1-Llama3-1-405B-output-tokens-batch', 'Llama3-1-405B output region+geo batch'],
    ['USE1-NovaPro-input-tokens-latency-optimized', 'NovaPro input region+geo optimized'],
    ['USE1-Claude4Sonnet-output-tokens-long-context-cross-region-global', 'Claude4Sonnet output global standard long'],
    [
      'USE1-Claude4Sonnet-cache-read-input-token-count-long-context-cross-region-global-batch',
      'Claude4Sonnet cacheRead global batch long',
    ],
    ['USE1-openai.gpt-oss-120b-mantle-input-tokens-standard', 'openai.gpt-oss-120b input region+geo standard'],
    [
      'USE1-openai.gpt-5.6-luna-mantle-cache-write-tokens-5m-long-ctx-flex',
      'openai.gpt-5.6-luna cacheWrite region+geo flex long',
    ],
    ['USE1-TitanEmbeddingsG1-Text-input-tokens', 'TitanEmbeddingsG1-Text input region+geo standard'],
    ['USE1-NovaSonic-speech-input-tokens', 'NovaSonic inputAudio region+geo standard'],
    ['USE1-NovaSonic-text-output-tokens', 'NovaSonic output region+geo standard'],
    [
      'USE1-NovaMultiModalEmbeddings-input-audio-second',
      'NovaMultiModalEmbeddings inputAudioSeconds region+geo standard',
    ],
    ['USE1-NovaMultiModalEmbeddings-input-standard-image', 'NovaMultiModalEmbeddings inputImages region+geo standard'],
    ['APN1-AmazonRerank-v1-searchunits', 'AmazonRerank-v1 searchQueries region+geo standard'],
    ['USE1-NovaCanvas-T2I-1024-Premium', 'NovaCanvas image region+geo standard {"quality":"premium","maxSide":1024}'],
    ['USW2-Ray-V2-Medfps-HDRes', 'Ray-V2 videoSeconds region+geo standard {"quality":"hd"}'],
    ['USE1-Guardrail-ContentPolicyUnitsConsumed', 'guardrails contentPolicyUnits region+geo standard'],
    [
      'USE1-Guardrail-SensitiveInformationPolicyPaidUnitsConsumed',
      'guardrails sensitiveInformationPolicyUnits region+geo standard',
    ],
    [
      'USE1-Guardrail-SensitiveInformationPolicyFreeUnitsConsumed',
      'guardrails sensitiveInformationPolicyFreeUnits region+geo standard',
    ],
    ['USE1-GuardrailChecks-PromptAttackCheckUnitsConsumed', 'guardrails promptAttack.textUnits region+geo standard'],
    ['USE1-MP:USE1_InputTokenCount-Units', 'input region+geo standard'],
    ['USE1-MP:USE1_InputTokenCount_Global-Units', 'input global standard'],
    ['USE1-MP:USE1_InputTokenCount_Geo-Units', 'input geo standard'],
    ['USE1-MP:USE1_InputTokenCount_LCtx_Global-Units', 'input global standard long'],
    ['USE1-MP:USE1_OutputTokenCount_Global_Batch-Units', 'output global batch'],
    ['USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units', 'cacheWrite1h global standard'],
    ['USE1-MP:USE1_CacheReadInputTokenCount-Units', 'cacheRead region+geo standard'],
    ['USE1-MP:USE1_MillionBatchInputTokens-Units', 'input region+geo batch'],
    ['USE1_input_tokens_standard-Units', 'input region+geo standard'],
    ['EU-MP:EU_cache_write_tokens_1h_global_standard-Units', 'cacheWrite1h global standard'],
    ['USE1-MP:USE1_cache_write_tokens_30m_standard-Units', 'cacheWrite region+geo standard'],
    ['USE1-MP:USE1_cached_input_tokens_long_ctx_standard-Units', 'cacheRead region+geo standard long'],
    ['USE1-MP:USE1_InputTokenCount_LatencyOptimized-Units', 'input region+geo optimized'],
    ['USE1-MP:USE1_search_units-Units', 'searchQueries region+geo standard'],
    ['USE1-MP:USE1_created_image-Units', 'image region+geo standard'],
    ['USE1-MP:USE1_InputImageCount-Units', 'inputImages region+geo standard'],
  ])('%s meters %s', (usageType, meter) => {
    expect(summarize(usageType)).toBe(meter);
  });

  it.each([
    ['', 'is empty'],
    ['USE1-NovaPro-input-tokens-custom-model', 'is of a custom model'],
    ['USE1-NovaPro-ProvisionedThroughput-NoCommit-ModelUnits', 'is of provisioned throughput'],
    ['USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units', 'is of reserved throughput'],
    ['USE1-MP:USE1_ProvisionedThroughput_1MonthCommit_ModelUnits_Usage-Units', 'is of a commitment'],
    ['USE1-Nova2.0Pro-input-image-token-count-cross-region-global', 'counts tokens of pictures'],
    ['USE1-NovaMultiModalEmbeddings-input-document-image', 'has a word that nobody knows'],
    ['USE1-NovaPro-input-tokens-flex-priority', 'is of two tiers'],
    ['USE1-input-tokens', 'names no model'],
    ['USE1-NovaPro', 'meters nothing'],
    ['USE1-NovaPro-input-output-tokens', 'meters two things'],
    ['USE1-NovaPro-cache-read-write-tokens', 'reads and writes'],
  ])('%s is left out: it %s', (usageType) => {
    expect(parseUsageType(usageType)).toBeUndefined();
  });

  const TIERS = ['standard', 'flex', 'priority', 'batch'] as const;
  it('says the same in the words of both offers', () => {
    const any = fc.record({
      kind: fc.constantFrom(
        ['input', 'input'] as const,
        ['output', 'output'] as const,
        ['cache-read', 'cacheRead'] as const,
      ),
      tier: fc.constantFrom(...TIERS),
      isGlobal: fc.boolean(),
      isLong: fc.boolean(),
    });
    fc.assert(
      fc.property(any, ({ kind: [kind, unit], tier, isGlobal, isLong }) => {
        const words = [kind, 'tokens', ...(isLong ? ['long-ctx'] : []), ...(isGlobal ? ['global'] : []), tier];
        const native = parseUsageType(`USE1-xai.grok-4.6-mantle-${words.join('-')}`);
        const listed = parseUsageType(`USE1-MP:USE1_${words.join('_').replaceAll('-', '_')}-Units`);
        const meter = { unit, tier, isLong, scopes: isGlobal ? ['global'] : ['region', 'geo'] };
        expect(native).toMatchObject({ ...meter, name: 'xai.grok-4.6', style: 'native' });
        expect(listed).toMatchObject({ ...meter, name: '', style: 'marketplace' });
      }),
    );
  });

  it('throws never, and is never of a model without a name', () => {
    const word = fc.constantFrom(
      'USE1',
      'MP:',
      'input',
      'tokens',
      'Global',
      'T2I',
      '1024',
      'Units',
      'HDRes',
      '-',
      '_',
      'ü',
    );
    const any = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 12 }).map((words) => words.join('')),
      fc.array(word).map((words) => words.join('-')),
    );
    fc.assert(
      fc.property(any, (text) => {
        const meter = parseUsageType(text);
        expect(meter === undefined || meter.style === 'marketplace' || meter.name !== '').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
